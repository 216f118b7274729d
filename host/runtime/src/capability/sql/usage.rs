//! One use of a declared statement: what operators see of it. Whatever ends it, the
//! guest's call included, it is counted once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Error;
use super::error::Halt;
use hearth_base::telemetry::statements::{Operation, StatementMetrics, StatementOutcome};
use hearth_base::telemetry::{BackendCall, BackendWatch, Span, SpanKind, TraceScope};

/// What a declared statement is counted with.
pub(super) struct StatementAccount {
    pub metrics: Arc<StatementMetrics>,
    pub watch: Arc<BackendWatch>,
}

/// Where a use stands.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// For a connection.
    Waits(Instant),
    /// Its connection does something else.
    Rests,
    Runs(Instant),
    Ended,
}

pub(super) struct Usage<'a> {
    account: &'a StatementAccount,
    operation: Operation,
    phase: Phase,
    ran: Duration,
    trace: TraceScope,
    /// From when it waits for a connection, or runs on one that is there.
    span: Span,
}

impl<'a> Usage<'a> {
    /// Of a statement that wants a connection now.
    pub fn waiting(
        account: &'a StatementAccount,
        operation: Operation,
        trace: &TraceScope,
    ) -> Usage<'a> {
        let mut usage = Usage::new(account, operation, trace);
        usage.phase = Phase::Waits(Instant::now());
        usage.begin_span();
        usage
    }

    /// Of one whose connection is there.
    pub fn running(
        account: &'a StatementAccount,
        operation: Operation,
        trace: &TraceScope,
    ) -> Usage<'a> {
        let mut usage = Usage::new(account, operation, trace);
        usage.run();
        usage
    }

    fn new(account: &'a StatementAccount, operation: Operation, trace: &TraceScope) -> Usage<'a> {
        Usage {
            account,
            operation,
            phase: Phase::Rests,
            ran: Duration::ZERO,
            trace: trace.clone(),
            span: Span::default(),
        }
    }

    /// By the name that the plugin's author gave the statement. Its text and its
    /// parameters are in no trace.
    fn begin_span(&mut self) {
        if !self.span.is_recorded() {
            let name = &self.account.metrics.name;
            self.span = self.trace.span(name, SpanKind::Client);
            self.span.text("db.system.name", "postgresql");
            self.span.text("db.query.summary", name);
            self.span.text("db.operation.name", self.operation.name());
        }
    }

    /// Whether there was a connection; then it runs.
    pub fn leased<T>(&mut self, lease: &Result<T, Error>) {
        if let Phase::Waits(since) = self.phase {
            let waited = since.elapsed();
            self.account.metrics.add_wait(waited);
            self.span.number("hearth.wait_us", waited.as_micros());
            match lease {
                Ok(_) => self.phase = Phase::Runs(Instant::now()),
                Err(_) => self.count(StatementOutcome::NoConnection),
            }
        }
    }

    pub fn statement(&self) -> Option<&'a str> {
        self.backend_call().statement
    }

    /// It was answered, or the host gave up.
    pub fn ended<T>(&mut self, result: &Result<T, Halt>) {
        if let Phase::Runs(since) = self.phase {
            self.ran += since.elapsed();
            self.count(
                result
                    .as_ref()
                    .map_or_else(Halt::outcome, |_| StatementOutcome::Ok),
            );
            let watch = &self.account.watch;
            match result.as_ref().err().and_then(Halt::away) {
                Some(reason) => watch.unavailable(self.backend_call(), self.ran, &reason),
                None => watch.answered(self.backend_call(), self.ran),
            }
        }
    }

    /// The deadline passed, where nothing else has ended it.
    pub fn timed_out(&mut self) {
        self.stop(StatementOutcome::DeadlineExceeded);
    }

    fn stop(&mut self, outcome: StatementOutcome) {
        match self.phase {
            Phase::Waits(since) => {
                self.account.metrics.add_wait(since.elapsed());
                self.count(StatementOutcome::NoConnection);
            }
            Phase::Runs(since) => {
                self.ran += since.elapsed();
                self.count(outcome);
                self.account.watch.gave_up(self.backend_call(), self.ran);
            }
            Phase::Rests | Phase::Ended => {}
        }
    }

    fn count(&mut self, outcome: StatementOutcome) {
        self.phase = Phase::Ended;
        let metrics = &self.account.metrics;
        metrics.record(self.operation, outcome, self.ran);
        self.span.text("hearth.outcome", outcome.name());
        if outcome.is_failure() {
            self.span.fail(outcome.name());
        }
        self.span = Span::default();
    }

    fn backend_call(&self) -> BackendCall<'a> {
        let metrics = &self.account.metrics;
        BackendCall {
            plugin: Some(&metrics.plugin),
            statement: Some(&metrics.name),
        }
    }

    fn run(&mut self) {
        if matches!(self.phase, Phase::Rests) {
            self.begin_span();
            self.phase = Phase::Runs(Instant::now());
        }
    }

    fn rest(&mut self) {
        if let Phase::Runs(since) = self.phase {
            self.ran += since.elapsed();
            self.phase = Phase::Rests;
        }
    }
}

impl Drop for Usage<'_> {
    fn drop(&mut self) {
        self.stop(StatementOutcome::Cancelled);
    }
}

/// The uses of a batch's statements, which run on one connection, one after the other.
#[derive(Default)]
pub(super) struct Relay<'a> {
    uses: Mutex<VecDeque<Usage<'a>>>,
}

impl<'a> Relay<'a> {
    /// The first one waits for the connection of all.
    pub fn new(
        accounts: impl Iterator<Item = &'a StatementAccount>,
        operation: Operation,
        trace: &TraceScope,
    ) -> Relay<'a> {
        let mut uses = VecDeque::new();
        for account in accounts {
            uses.push_back(match uses.is_empty() {
                true => Usage::waiting(account, operation, trace),
                false => Usage::new(account, operation, trace),
            });
        }
        Relay {
            uses: Mutex::new(uses),
        }
    }

    pub fn leased<T>(&self, lease: &Result<T, Error>) {
        if let Some(first) = self.uses.lock().front_mut() {
            first.leased(lease);
            first.rest();
        }
    }

    /// The statement of that place is prepared from now on.
    pub fn begin(&self, number: usize) {
        if let Some(usage) = self.uses.lock().get_mut(number) {
            usage.run();
        }
    }

    pub fn prepared<T>(&self, number: usize, result: &Result<T, Halt>) {
        if let Some(usage) = self.uses.lock().get_mut(number) {
            match result {
                Ok(_) => usage.rest(),
                Err(_) => usage.ended(result),
            }
        }
    }

    /// Something was answered that is no declared statement: the first that has not been
    /// answered runs from now on.
    pub fn passed(&self) {
        if let Some(first) = self.uses.lock().front_mut() {
            first.phase = match first.phase {
                Phase::Ended => Phase::Ended,
                _ => Phase::Runs(Instant::now()),
            };
        }
    }

    /// The first was answered, and the next one runs; behind a failure none does.
    pub fn answered<T>(&self, result: &Result<T, Halt>) {
        let mut uses = self.uses.lock();
        let Some(mut first) = uses.pop_front() else {
            return;
        };
        first.ended(result);
        match (result, uses.front_mut()) {
            (Ok(_), Some(next)) => next.run(),
            (Err(_), _) => uses.clear(),
            (Ok(_), None) => {}
        }
    }

    pub fn timed_out(&self) {
        self.uses.lock().iter_mut().for_each(Usage::timed_out);
    }
}
