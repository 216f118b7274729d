//! Several statements in one round trip, all or nothing.

use std::marker::PhantomData;

use super::connection::Database;
use super::error::Error;
use super::output::Output;
use super::value::Value;
use crate::bindings::imports::hearth::plugin::sql as wire;
use crate::queue::Message;

/// A declared statement with its parameters. `T` is what it answers.
pub struct Step<T> {
    statement: wire::Statement,
    answer: PhantomData<T>,
}

impl<T> Step<T> {
    /// A step of a declared text; `sql!` writes this.
    #[doc(hidden)]
    pub fn new(text: &str, params: Vec<Value>) -> Self {
        Step {
            statement: wire::Statement {
                text: text.into(),
                params,
            },
            answer: PhantomData,
        }
    }
}

/// Where the answer of a step is found when the batch is done.
pub struct PendingAnswer<T> {
    index: usize,
    answer: PhantomData<T>,
}

/// Several statements in one transaction and one round trip: the fast way to
/// write. No step sees another's answer before the end.
///
/// ```no_run
/// use hearth_plugin::prelude::*;
/// use hearth_plugin::sql::Batch;
/// row! { pub struct Note { id: String, text: String } }
/// sql! {
///     pub write fn insert(id: &str, text: &str) -> Note =
///         "INSERT INTO notes (id, text) VALUES ($1, $2) RETURNING id, text";
///     pub write fn audit(note: &str) -> u64 = "INSERT INTO audits (note) VALUES ($1)";
/// }
/// fn create(request: &Request) -> Answer {
///     let mut batch = Batch::new();
///     let note = batch.add(insert::step("note_1", "hello"));
///     batch.add(audit::step("note_1"));
///     let mut outcomes = batch.run(&request.database())?;
///     Response::json(200, &outcomes.take(note)?)
/// }
/// # fn main() {}
/// ```
#[derive(Default)]
pub struct Batch {
    calls: Vec<wire::Call>,
}

impl Batch {
    /// A batch without steps.
    pub fn new() -> Self {
        Batch::default()
    }

    /// Adds a statement.
    pub fn add<T: Output>(&mut self, step: Step<T>) -> PendingAnswer<T> {
        self.push(match T::WANTS_ROWS {
            true => wire::Call::Query(step.statement),
            false => wire::Call::Execute(step.statement),
        })
    }

    /// Adds a message, sent if, and only if, the batch commits. Its answer is
    /// the message's id; see [`Outcomes::take_id`].
    pub fn enqueue(&mut self, queue: &str, message: Message) -> PendingAnswer<String> {
        self.push(wire::Call::Enqueue(wire::Enqueue {
            queue: queue.into(),
            message: message.into_host(),
        }))
    }

    /// Runs all steps and commits; an error means that none had an effect, but
    /// for `OutcomeUnknown`.
    pub fn run(self, _: &Database) -> Result<Outcomes, Error> {
        crate::host::require_postgres();
        let outcomes = wire::batch(&self.calls)?;
        Ok(Outcomes(outcomes.into_iter().map(Some).collect()))
    }

    fn push<T>(&mut self, call: wire::Call) -> PendingAnswer<T> {
        self.calls.push(call);
        PendingAnswer {
            index: self.calls.len() - 1,
            answer: PhantomData,
        }
    }
}

/// What the steps of a batch answered.
pub struct Outcomes(Vec<Option<wire::Outcome>>);

impl Outcomes {
    /// The answer of a statement.
    pub fn take<T: Output>(&mut self, place: PendingAnswer<T>) -> Result<T, Error> {
        match self.pick(place.index) {
            Some(wire::Outcome::Rows(set)) if T::WANTS_ROWS => T::from_rows(set.rows),
            Some(wire::Outcome::Affected(rows)) if !T::WANTS_ROWS => T::from_affected(rows),
            _ => Err(Error::Unexpected),
        }
    }

    /// The id of a message.
    pub fn take_id(&mut self, place: PendingAnswer<String>) -> Result<String, Error> {
        match self.pick(place.index) {
            Some(wire::Outcome::Enqueued(id)) => Ok(id),
            _ => Err(Error::Unexpected),
        }
    }

    fn pick(&mut self, index: usize) -> Option<wire::Outcome> {
        self.0.get_mut(index)?.take()
    }
}
