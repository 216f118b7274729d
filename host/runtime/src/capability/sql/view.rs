//! The interface's functions, on what a call borrows.

use std::future::Future;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use wasmtime::component::Resource;

use super::batch::{self, BatchItem};
use super::enqueue::Message;
use super::run::{self, StatementResult, Want};
use super::statement::AccessMode;
use super::step::{account, count, is_message, message_bytes, outcome, queue, rows, step, writes};
use super::transaction::{self, OpenTransaction, Transaction};
use super::usage::{Relay, Usage};
use super::{
    BatchCall, Error, GuestError, Host, HostTransaction, Isolation, Outcome, OutgoingMessage,
    RowSet, Value, View, convert_error,
};
use crate::capability::{Call, GuestResult};
use hearth_backend::postgres::tenancy::Tenant;
use hearth_base::telemetry::statements::Operation;
use hearth_base::telemetry::{Span, SpanKind};

fn guest<T>(call: &Call, result: Result<T, Error>) -> GuestResult<T, GuestError> {
    let result = result.inspect_err(|error| call.fault("sql", error));
    Ok(result.map_err(convert_error))
}

/// Runs `work` until the deadline. What is dropped then is ended in Postgres by
/// the lease that the work holds.
async fn within<T>(call: &Call, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let ended = until(call, work).await;
    ended.unwrap_or(Err(Error::DeadlineExceeded))
}

/// `None` where the deadline passed while the work was on its way, so that
/// nobody knows how far it came. A deadline that has passed already is an error:
/// nothing was sent.
async fn until<T>(
    call: &Call,
    work: impl Future<Output = Result<T, Error>>,
) -> Option<Result<T, Error>> {
    if Instant::now() >= call.deadline {
        return Some(Err(Error::DeadlineExceeded));
    }
    let _counted = call.spent.sql();
    timeout_at(call.deadline, work).await.ok()
}

impl Host for View<'_> {
    async fn query(
        &mut self,
        statement: String,
        params: Vec<Value>,
    ) -> GuestResult<RowSet, GuestError> {
        self.call.host_call()?;
        guest(
            self.call,
            self.alone(&statement, params, Want::Rows)
                .await
                .and_then(rows),
        )
    }

    async fn execute(
        &mut self,
        statement: String,
        params: Vec<Value>,
    ) -> GuestResult<u64, GuestError> {
        self.call.host_call()?;
        guest(
            self.call,
            self.alone(&statement, params, Want::Count)
                .await
                .and_then(count),
        )
    }

    async fn batch(&mut self, calls: Vec<BatchCall>) -> GuestResult<Vec<Outcome>, GuestError> {
        self.call.host_call()?;
        guest(self.call, self.run_batch(calls).await)
    }
}

impl HostTransaction for View<'_> {
    async fn begin(
        &mut self,
        isolation: Isolation,
    ) -> GuestResult<Resource<Transaction>, GuestError> {
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
    ) -> GuestResult<RowSet, GuestError> {
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
    ) -> GuestResult<u64, GuestError> {
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
    ) -> GuestResult<String, GuestError> {
        self.call.host_call()?;
        let number = self.table.get(&this)?.number;
        guest(self.call, self.enqueue_in(number, &queue, message).await)
    }

    async fn commit(&mut self, this: Resource<Transaction>) -> GuestResult<(), GuestError> {
        self.call.host_call()?;
        let number = self.table.delete(this)?.number;
        guest(self.call, self.commit_transaction(number).await)
    }

    async fn rollback(&mut self, this: Resource<Transaction>) -> GuestResult<(), GuestError> {
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

    async fn alone(
        &mut self,
        text: &str,
        params: Vec<Value>,
        want: Want,
    ) -> Result<StatementResult, Error> {
        let (call, lent) = (self.call, self.lent);
        let ready = lent.ready(text, params, want)?;
        let tenant = self.tenant()?;
        let mark = call.mark();
        let operation = match want {
            Want::Rows => Operation::Query,
            Want::Count => Operation::Execute,
        };
        if ready.known.declared.access == AccessMode::Write && mark.is_some() {
            // The mark commits with the statement, so the two need a transaction.
            let ready = vec![BatchItem::Statement(ready)];
            let span = call.trace.span("transaction", SpanKind::Internal);
            let mut answers = self.batch(ready, mark, operation, span).await?;
            let last = answers.pop();
            return last.ok_or_else(|| Error::Unavailable("there was no answer".into()));
        }
        let mut usage = Usage::waiting(&ready.known.account, operation, &call.trace);
        let work = async {
            let lease = lent.lease(call, &tenant, usage.statement()).await;
            usage.leased(&lease);
            let mut lease = lease?;
            let result = run::alone(lease.connection()?, &tenant, &ready, &lent.config).await;
            usage.ended(&result);
            result.map_err(|halt| match ready.known.declared.access {
                AccessMode::Read => halt.into(),
                // It is a transaction of its own, so it commits.
                AccessMode::Write => halt.while_committing(),
            })
        };
        let result = within(call, work).await;
        usage.timed_out();
        result
    }

    async fn run_batch(&mut self, calls: Vec<BatchCall>) -> Result<Vec<Outcome>, Error> {
        let lent = self.lent;
        let statements = calls.iter().filter(|call| !is_message(call)).count();
        let messages = calls.len() - statements;
        if statements > lent.config.batch_calls_max || lent.sender.is_too_much(messages, 0) {
            return Err(Error::TooLarge);
        }
        let span = self.call.trace.span("transaction", SpanKind::Internal);
        let (trace, mut ready) = (span.scope(), Vec::with_capacity(calls.len()));
        for call in calls {
            ready.push(step(lent, self.call, &trace, call)?);
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
        let answers = self.batch(ready, mark, Operation::Batch, span).await;
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
        ready: Vec<BatchItem<'_>>,
        mark: Option<String>,
        operation: Operation,
        mut span: Span,
    ) -> Result<Vec<StatementResult>, Error> {
        let (call, lent, tenant) = (self.call, self.lent, self.tenant()?);
        span.number("db.operation.batch.size", ready.len());
        let relay = Relay::new(ready.iter().filter_map(account), operation, &span.scope());
        let work = async {
            let first = ready.iter().find_map(account);
            let statement = first.map(|account| &*account.metrics.name);
            let lease = lent.lease(call, &tenant, statement).await;
            relay.leased(&lease);
            let mut lease = lease?;
            let (connection, config) = (lease.connection()?, &lent.config);
            batch::run(connection, &tenant, &ready, config, mark.as_deref(), &relay).await
        };
        let result = until(call, work).await;
        relay.timed_out();
        let unknown = Err(Error::OutcomeUnknown);
        span.text(
            "hearth.outcome",
            transaction::outcome(result.as_ref().unwrap_or(&unknown)),
        );
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
        let (call, lent) = (self.call, self.lent);
        let span = call.trace.span("transaction", SpanKind::Internal);
        let work = async {
            let lease = lent.lease(call, &tenant, None).await?;
            let began = Instant::now();
            let begun = OpenTransaction::begin(lease, &tenant, isolation, number, span).await;
            lent.tell(call, "begin", began.elapsed(), &begun);
            begun
        };
        self.state.open = Some(within(call, work).await?);
        self.state.begun += 1;
        Ok(number)
    }

    fn open(&mut self, number: u64) -> Result<&mut OpenTransaction, Error> {
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
    ) -> Result<StatementResult, Error> {
        let (call, lent) = (self.call, self.lent);
        let open = self.open(number)?;
        let result = match (open.failed(), lent.ready(text, params, want)) {
            (Some(error), _) => Err(error.clone()),
            (None, Err(error)) => Err(error),
            (None, Ok(ready)) => {
                let (account, trace) = (&ready.known.account, open.trace());
                let mut usage = Usage::running(account, Operation::Transaction, &trace);
                let result = within(call, open.run(&ready, &lent.config, &mut usage)).await;
                usage.timed_out();
                result
            }
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
        let (call, lent) = (self.call, self.lent);
        let open = self.open(number)?;
        let message = Message::new(lent, call, &open.trace(), queue, message);
        let result = match (open.failed(), message) {
            (Some(error), _) => Err(error.clone()),
            (None, Err(error)) => Err(error),
            (None, Ok(message)) => {
                let (messages, bytes) = open.with_message(message.bytes());
                match lent.sender.is_too_much(messages, bytes) {
                    true => Err(Error::TooLarge),
                    false => within(call, open.enqueue(message)).await,
                }
            }
        };
        result.map_err(|error| open.fail(error))
    }

    /// Past the deadline COMMIT may have been sent and not answered.
    async fn commit_transaction(&mut self, number: u64) -> Result<(), Error> {
        self.open(number)?;
        let open = self.state.open.take();
        let open =
            open.ok_or_else(|| Error::Unavailable("the transaction no longer exists".into()))?;
        if let Some(error) = open.failed() {
            return Err(error.clone());
        }
        let call = self.call;
        let began = Instant::now();
        if began >= call.deadline {
            return Err(Error::DeadlineExceeded);
        }
        let mark = call.mark().filter(|_| open.wrote());
        let queues = open.queues().to_vec();
        let committed = until(call, open.commit(mark.as_deref())).await;
        let result = committed.unwrap_or(Err(Error::OutcomeUnknown));
        self.lent.tell(call, "commit", began.elapsed(), &result);
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
