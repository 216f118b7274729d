//! The interface's functions, on what a call borrows.

use std::future::Future;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use wasmtime::component::Resource;

use super::batch::{self, Call};
use super::enqueue::Message;
use super::run::{self, Answer, Want};
use super::statement::Access;
use super::transaction::{Open, Transaction};
use super::{
    BatchCall, Error, GuestError, Host, HostTransaction, Isolation, Lent, Outcome, OutgoingMessage,
    RowSet, Statement, Value, View, convert_error,
};
use crate::backend::postgres::tenancy::Tenant;
use crate::capability::Call as Circumstances;

/// What the guest gets: its own error as a value; a trap only for a handle that
/// is none.
type Guest<T> = wasmtime::Result<Result<T, GuestError>>;

fn guest<T>(call: &Circumstances, result: Result<T, Error>) -> Guest<T> {
    let result = result.inspect_err(|error| call.fault("sql", error));
    Ok(result.map_err(convert_error))
}

/// Runs `work` until the deadline. What is dropped then is ended in Postgres by
/// the lease that the work holds.
async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let ended = until(deadline, work).await;
    ended.unwrap_or(Err(Error::DeadlineExceeded))
}

/// `None` where the deadline passed while the work was on its way, so that
/// nobody knows how far it came. A deadline that has passed already is an error:
/// nothing was sent.
async fn until<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, Error>>,
) -> Option<Result<T, Error>> {
    if Instant::now() >= deadline {
        return Some(Err(Error::DeadlineExceeded));
    }
    timeout_at(deadline, work).await.ok()
}

impl Host for View<'_> {
    async fn query(&mut self, statement: String, params: Vec<Value>) -> Guest<RowSet> {
        self.call.host_call()?;
        guest(
            self.call,
            self.alone(&statement, params, Want::Rows)
                .await
                .and_then(rows),
        )
    }

    async fn execute(&mut self, statement: String, params: Vec<Value>) -> Guest<u64> {
        self.call.host_call()?;
        guest(
            self.call,
            self.alone(&statement, params, Want::Count)
                .await
                .and_then(count),
        )
    }

    async fn batch(&mut self, calls: Vec<BatchCall>) -> Guest<Vec<Outcome>> {
        self.call.host_call()?;
        guest(self.call, self.run_batch(calls).await)
    }
}

impl HostTransaction for View<'_> {
    async fn begin(&mut self, isolation: Isolation) -> Guest<Resource<Transaction>> {
        self.call.host_call()?;
        let begun = self.begin_transaction(isolation).await;
        match begun {
            Ok(number) => Ok(Ok(self.table.push(Transaction { number })?)),
            Err(error) => guest(self.call, Err(error)),
        }
    }

    async fn query(
        &mut self,
        this: Resource<Transaction>,
        statement: String,
        params: Vec<Value>,
    ) -> Guest<RowSet> {
        self.call.host_call()?;
        let number = self.table.get(&this)?.number;
        guest(
            self.call,
            self.in_transaction(number, &statement, params, Want::Rows)
                .await
                .and_then(rows),
        )
    }

    async fn execute(
        &mut self,
        this: Resource<Transaction>,
        statement: String,
        params: Vec<Value>,
    ) -> Guest<u64> {
        self.call.host_call()?;
        let number = self.table.get(&this)?.number;
        guest(
            self.call,
            self.in_transaction(number, &statement, params, Want::Count)
                .await
                .and_then(count),
        )
    }

    async fn enqueue(
        &mut self,
        this: Resource<Transaction>,
        queue: String,
        message: OutgoingMessage,
    ) -> Guest<String> {
        self.call.host_call()?;
        let number = self.table.get(&this)?.number;
        guest(self.call, self.enqueue_in(number, &queue, message).await)
    }

    async fn commit(&mut self, this: Resource<Transaction>) -> Guest<()> {
        self.call.host_call()?;
        let number = self.table.delete(this)?.number;
        guest(self.call, self.commit_transaction(number).await)
    }

    async fn rollback(&mut self, this: Resource<Transaction>) -> Guest<()> {
        self.call.host_call()?;
        let number = self.table.delete(this)?.number;
        self.forget_transaction(number);
        Ok(Ok(()))
    }

    async fn drop(&mut self, this: Resource<Transaction>) -> wasmtime::Result<()> {
        let number = self.table.delete(this)?.number;
        self.forget_transaction(number);
        Ok(())
    }
}

impl View<'_> {
    fn tenant(&self) -> Result<Tenant, Error> {
        Ok(Tenant::of(self.call.customer.as_ref())?)
    }

    async fn alone(&mut self, text: &str, params: Vec<Value>, want: Want) -> Result<Answer, Error> {
        let lent = self.lent;
        let ready = lent.ready(text, params, want)?;
        let tenant = self.tenant()?;
        let mark = self.call.mark();
        if ready.known.declared.access == Access::Write && mark.is_some() {
            // The mark commits with the statement, so the two need a transaction.
            let mut answers = self.batch(vec![Call::Statement(ready)], mark).await?;
            let last = answers.pop();
            return last.ok_or_else(|| Error::Unavailable("it was not answered".into()));
        }
        let work = async {
            let mut lease = lent.connections()?.lease(&tenant).await?;
            let result = run::alone(lease.connection()?, &tenant, &ready, &lent.config).await;
            result.map_err(|halt| match ready.known.declared.access {
                Access::Read => halt.into(),
                // It is a transaction of its own, so it commits.
                Access::Write => halt.while_committing(),
            })
        };
        within(self.call.deadline, work).await
    }

    async fn run_batch(&mut self, calls: Vec<BatchCall>) -> Result<Vec<Outcome>, Error> {
        let lent = self.lent;
        let statements = calls.iter().filter(|call| !is_message(call)).count();
        let messages = calls.len() - statements;
        if statements > lent.config.batch_calls_max || lent.sender.is_too_much(messages, 0) {
            return Err(Error::TooLarge);
        }
        let mut ready = Vec::with_capacity(calls.len());
        for call in calls {
            ready.push(step(lent, self.call, call)?);
        }
        let queues: Vec<_> = ready.iter().filter_map(queue).collect();
        if lent
            .sender
            .is_too_much(messages, ready.iter().map(message_bytes).sum())
        {
            return Err(Error::TooLarge);
        }
        if ready.is_empty() {
            return Ok(Vec::new());
        }
        let mark = self.call.mark().filter(|_| ready.iter().any(writes));
        let answers = self.batch(ready, mark).await;
        self.tell_of(&queues, &answers);
        Ok(answers?.into_iter().map(outcome).collect())
    }

    /// Once messages have been committed, or may have, who waits for them looks.
    fn tell_of<T>(&self, queues: &[Arc<str>], committed: &Result<T, Error>) {
        let told = self.lent.sender.queues();
        if let Some(told) = told.filter(|_| may_have_committed(committed)) {
            told.committed(self.call.customer.as_ref(), queues.iter().cloned());
        }
    }

    /// Statements in one transaction, and in it the mark of a request that is
    /// applied only once.
    async fn batch(
        &mut self,
        ready: Vec<Call<'_>>,
        mark: Option<String>,
    ) -> Result<Vec<Answer>, Error> {
        let (lent, tenant) = (self.lent, self.tenant()?);
        let work = async {
            let mut lease = lent.connections()?.lease(&tenant).await?;
            let connection = lease.connection()?;
            batch::run(connection, &tenant, &ready, &lent.config, mark.as_deref()).await
        };
        let result = until(self.call.deadline, work).await;
        let unknown = Err(Error::OutcomeUnknown);
        if mark.is_some() && may_have_committed(result.as_ref().unwrap_or(&unknown)) {
            self.call.committed();
        }
        result.unwrap_or(Err(Error::DeadlineExceeded))
    }

    async fn begin_transaction(&mut self, isolation: Isolation) -> Result<u64, Error> {
        if self.state.open.is_some() {
            return Err(Error::Denied(
                "a transaction is open already in this call".into(),
            ));
        }
        let tenant = self.tenant()?;
        let number = self.state.begun;
        let pool = self.lent.connections()?;
        let work = async {
            let lease = pool.lease(&tenant).await?;
            Open::begin(lease, &tenant, isolation, number).await
        };
        self.state.open = Some(within(self.call.deadline, work).await?);
        self.state.begun += 1;
        Ok(number)
    }

    fn open(&mut self, number: u64) -> Result<&mut Open, Error> {
        let open = self
            .state
            .open
            .as_mut()
            .filter(|open| open.number == number);
        open.ok_or_else(|| Error::Invalid("the transaction has ended".into()))
    }

    /// Any error ends the transaction, whoever found it.
    async fn in_transaction(
        &mut self,
        number: u64,
        text: &str,
        params: Vec<Value>,
        want: Want,
    ) -> Result<Answer, Error> {
        let (deadline, lent) = (self.call.deadline, self.lent);
        let open = self.open(number)?;
        let result = match (open.failed(), lent.ready(text, params, want)) {
            (Some(error), _) => Err(error.clone()),
            (None, Err(error)) => Err(error),
            (None, Ok(ready)) => within(deadline, open.run(&ready, &lent.config)).await,
        };
        result.map_err(|error| open.fail(error))
    }

    /// Any error ends the transaction here, too.
    async fn enqueue_in(
        &mut self,
        number: u64,
        queue: &str,
        message: OutgoingMessage,
    ) -> Result<String, Error> {
        let message = Message::new(self.lent, self.call, queue, message);
        let (deadline, lent) = (self.call.deadline, self.lent);
        let open = self.open(number)?;
        let result = match (open.failed(), message) {
            (Some(error), _) => Err(error.clone()),
            (None, Err(error)) => Err(error),
            (None, Ok(message)) => {
                let (messages, bytes) = open.with_message(message.bytes());
                match lent.sender.is_too_much(messages, bytes) {
                    true => Err(Error::TooLarge),
                    false => within(deadline, open.enqueue(message)).await,
                }
            }
        };
        result.map_err(|error| open.fail(error))
    }

    /// Past the deadline COMMIT may have been sent and not answered.
    async fn commit_transaction(&mut self, number: u64) -> Result<(), Error> {
        self.open(number)?;
        let open = self.state.open.take();
        let open = open.ok_or_else(|| Error::Unavailable("the transaction is gone".into()))?;
        if let Some(error) = open.failed() {
            return Err(error.clone());
        }
        let deadline = self.call.deadline;
        if Instant::now() >= deadline {
            return Err(Error::DeadlineExceeded);
        }
        let mark = self.call.mark().filter(|_| open.wrote());
        let queues = open.queues().to_vec();
        let result = timeout_at(deadline, open.commit(mark.as_deref()))
            .await
            .unwrap_or(Err(Error::OutcomeUnknown));
        if mark.is_some() && may_have_committed(&result) {
            self.call.committed();
        }
        self.tell_of(&queues, &result);
        result
    }

    /// The lease inside rolls back.
    fn forget_transaction(&mut self, number: u64) {
        self.state.open.take_if(|open| open.number == number);
    }
}

/// What Postgres answered with an error, it rolled back.
fn may_have_committed<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Ok(_) | Err(Error::OutcomeUnknown))
}

fn step<'l>(lent: &'l Lent, call: &Circumstances, step: BatchCall) -> Result<Call<'l>, Error> {
    let statement = |step: Statement, want| lent.ready(&step.text, step.params, want);
    Ok(match step {
        BatchCall::Query(step) => Call::Statement(statement(step, Want::Rows)?),
        BatchCall::Execute(step) => Call::Statement(statement(step, Want::Count)?),
        BatchCall::Enqueue(step) => {
            let message = Message::new(lent, call, &step.queue, step.message)?;
            Call::Enqueue(Box::new(message))
        }
    })
}

fn is_message(call: &BatchCall) -> bool {
    matches!(call, BatchCall::Enqueue(_))
}

fn message_bytes(call: &Call<'_>) -> usize {
    match call {
        Call::Statement(_) => 0,
        Call::Enqueue(message) => message.bytes(),
    }
}

fn writes(call: &Call<'_>) -> bool {
    match call {
        Call::Statement(ready) => ready.known.declared.access == Access::Write,
        Call::Enqueue(_) => true,
    }
}

fn queue(call: &Call<'_>) -> Option<Arc<str>> {
    match call {
        Call::Statement(_) => None,
        Call::Enqueue(message) => Some(message.entry.message().queue.clone()),
    }
}

fn rows(answer: Answer) -> Result<RowSet, Error> {
    match answer {
        Answer::Rows(rows) => Ok(rows),
        _ => Err(Error::Invalid("no rows were asked for".into())),
    }
}

fn count(answer: Answer) -> Result<u64, Error> {
    match answer {
        Answer::Count(count) => Ok(count),
        _ => Err(Error::Invalid("no count was asked for".into())),
    }
}

fn outcome(answer: Answer) -> Outcome {
    match answer {
        Answer::Rows(rows) => Outcome::Rows(rows),
        Answer::Count(count) => Outcome::Affected(count),
        Answer::Id(id) => Outcome::Enqueued(id),
    }
}
