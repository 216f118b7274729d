//! Tests of handlers on the author's machine, with `cargo test`: a [`TestHost`] lends cache,
//! documents, queues, push, outbound requests, settings, log and metrics out of memory.
//!
//! ```
//! use hearth_plugin::prelude::*;
//! use hearth_plugin::queue::{self, Message};
//! use hearth_plugin::testing::TestHost;
//! fn order(request: &Request) -> Answer {
//!     queue::send("orders", Message::json(&request.json()?))?;
//!     metrics::count("orders", 1, &[]);
//!     Ok(Response::new(202))
//! }
//! let host = TestHost::start();
//! let request = host.request("POST", "/shop/orders").with_body(b"{\"n\": 1}".to_vec());
//! assert_eq!(order(&request).unwrap().status(), 202);
//! assert_eq!(host.sent("orders")[0].json::<Value>().unwrap(), json!({"n": 1}));
//! assert_eq!(host.counted("orders"), 1);
//! ```
//!
//! What is kept belongs to the test's thread: tests that run side by side share nothing.
//! Everything is the customer's of [`TestHost::request`], there are no grants and no limits
//! but those that the contract itself has, and time is the machine's. SQL is answered by
//! Postgres alone: a handler that asks for it panics here, and is tested against a host.

pub(crate) mod cache;
pub(crate) mod config;
pub(crate) mod documents;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod outbound;
pub(crate) mod push;
pub(crate) mod queue;

use std::cell::RefCell;
use std::marker::PhantomData;
use std::time::Duration;

use serde_json::Value;

use crate::consumer::{Batch, Message};
use crate::context::Deadline;
use crate::outbound::{Answer, Error, Request as OutboundRequest};
use crate::push::Event;
use crate::{Caller, Context, Request};

pub use self::log::Line;

/// The customer of a test's requests.
pub const CUSTOMER: &str = "cus_00000000-0000-7000-8000-000000000000";

/// The scopes that a test's caller has, until [`TestHost::scopes`] says others.
const SCOPES: [&str; 2] = ["read", "write"];

/// Time that a test's call has: nobody wants a test to end because its machine is busy.
const DEADLINE: Duration = Duration::from_secs(600);

/// What a test's thread keeps.
#[derive(Default)]
struct State {
    scopes: Vec<String>,
    settings: config::Settings,
    cache: cache::Cache,
    documents: documents::Table,
    queues: queue::Queues,
    channels: push::Channels,
    remote: outbound::Remote,
    log: Vec<Line>,
    metrics: metrics::Metrics,
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// Lends what the test of this thread has set up.
fn lend<T>(of: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(|state| match state {
        Some(state) => of(state),
        None => panic!(
            "the handler asks the host for something, and this test has none: begin it with \
             `let host = hearth_plugin::testing::TestHost::start();`"
        ),
    })
}

/// A host in memory, for the test of this thread. Dropped, it forgets everything.
pub struct TestHost {
    /// It is of one thread.
    thread: PhantomData<*const ()>,
}

impl TestHost {
    /// Begins with nothing: no setting, no document, no message.
    ///
    /// # Panics
    /// Where this thread has one already.
    pub fn start() -> Self {
        STATE.with_borrow_mut(|state| {
            assert!(state.is_none(), "this test has a TestHost already");
            *state = Some(State {
                scopes: SCOPES.map(str::to_owned).to_vec(),
                ..State::default()
            });
        });
        TestHost {
            thread: PhantomData,
        }
    }

    /// Gives a setting a value, as `[plugins.NAME.config]` of a host's configuration does.
    pub fn set(&self, key: &str, value: &str) {
        lend(|state| state.settings.set(key, value));
    }

    /// Gives a secret a value, as `[plugins.NAME.secrets]` does.
    pub fn set_secret(&self, key: &str, value: &str) {
        lend(|state| state.settings.set_secret(key, value));
    }

    /// The scopes that the caller of later requests has.
    pub fn scopes(&self, scopes: &[&str]) {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        lend(|state| state.scopes = scopes);
    }

    /// A request of the test's customer, to a plugin that is mounted at the first part of the
    /// path: `/notes/7` is `/7` of what is mounted at `/notes`.
    pub fn request(&self, method: &str, target: &str) -> Request {
        let path = target.split('?').next().unwrap_or_default();
        let mount = path.split('/').nth(1).unwrap_or_default();
        let context = Context {
            request_id: "req_test".into(),
            caller: Some(Caller {
                customer_id: CUSTOMER.into(),
                key_id: "key_test".into(),
                scopes: lend(|state| state.scopes.clone()),
            }),
            deadline: Deadline::after(DEADLINE),
            mount: ["/", mount].concat(),
        };
        Request::new(method, target, context)
    }

    /// Messages as a consumer gets them, of the test's customer:
    /// `consume(&host.batch(host.sent("orders")))`.
    pub fn batch(&self, messages: Vec<Message>) -> Batch {
        let context = self.request("POST", "/").context().clone();
        Batch { context, messages }
    }

    /// The messages that were sent to a queue, in order, as its consumer gets them.
    pub fn sent(&self, queue: &str) -> Vec<Message> {
        lend(|state| state.queues.sent(queue))
    }

    /// How long after it was sent each of them may be consumed.
    pub fn delays(&self, queue: &str) -> Vec<Duration> {
        lend(|state| state.queues.delays(queue))
    }

    /// The events that were published to a channel, in order.
    pub fn published(&self, channel: &str) -> Vec<Event> {
        lend(|state| state.channels.published(channel))
    }

    /// Answers outbound requests from now on. Without it each is [`Error::Connect`].
    pub fn answer_outbound(
        &self,
        answer: impl FnMut(&OutboundRequest) -> Result<Answer, Error> + 'static,
    ) {
        lend(|state| state.remote.answer(answer));
    }

    /// The lines that were logged, in order.
    pub fn logged(&self) -> Vec<Line> {
        lend(|state| state.log.clone())
    }

    /// What a counter came to, all labels together.
    pub fn counted(&self, name: &str) -> u64 {
        lend(|state| state.metrics.counted(name))
    }

    /// The attributes of a document, unless it is gone.
    pub fn document(&self, partition: &str, sort: &str) -> Option<Value> {
        let key = crate::documents::Key {
            partition: partition.into(),
            sort: sort.into(),
        };
        let item = crate::documents::get(&key).ok().flatten();
        item.map(|item| item.attributes)
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        STATE.with_borrow_mut(|state| *state = None);
    }
}

#[cfg(test)]
mod tests;
