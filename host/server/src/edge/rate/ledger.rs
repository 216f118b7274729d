//! What this host knows of every customer that it counts.

mod account;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use self::account::Account;
use super::bucket::{Nanos, Quota};
use super::{Config, millis};

/// How many customers are looked at for the one that loses least by being
/// forgotten.
const LOOKED_AT: usize = 8;

/// Accounts that were silent for so long are forgotten once they owe nothing.
const SILENT: Nanos = 10_000_000_000;

pub(super) struct Ledger {
    accounts: IndexMap<Arc<str>, Account>,
    customers_max: usize,
    /// Added to a wait that other hosts can make longer before they are heard.
    lag: Nanos,
    /// What a request costs in shares of one: as many as hosts while they cannot
    /// be heard, else nothing.
    alone_among: Option<u64>,
    hosts: u64,
    draws: u64,
}

/// How a request was judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    /// How long until the next one passes, where this one did not.
    pub(super) wait: Option<Nanos>,
    pub(super) left: u64,
    pub(super) full_in: Nanos,
    pub(super) hurry: bool,
}

/// What a host tells of one customer: what happened since it last told.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) customer: Arc<str>,
    /// What was admitted, as the time in which it comes back.
    pub(super) cost: Nanos,
    /// Requests admitted or not.
    pub(super) asked: u64,
}

/// What is known of one customer on all hosts, once a report has arrived.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    pub(super) customer: Arc<str>,
    /// How long the bucket takes to be full again.
    pub(super) owed: Nanos,
    /// All requests, admitted or not. The count only grows.
    pub(super) asked: u64,
}

impl Ledger {
    pub(super) fn new(config: &Config) -> Ledger {
        Ledger {
            accounts: IndexMap::new(),
            customers_max: config.customers_max,
            lag: millis(config.exchange_ms),
            alone_among: None,
            hosts: 1,
            draws: 0,
        }
    }

    pub(super) fn take(&mut self, customer: &Arc<str>, quota: Quota, now: Nanos) -> Judged {
        if !self.accounts.contains_key(customer) {
            self.make_room(now);
        }
        let account = self
            .accounts
            .entry(customer.clone())
            .or_insert_with(|| Account::new(quota));
        let wait = account.take(quota, now, self.alone_among).err();
        let lag = if account.is_shared() { self.lag } else { 0 };
        Judged {
            wait: wait.map(|wait| wait.saturating_add(lag)),
            left: account.bucket.left(now, quota),
            full_in: account.bucket.owed(now),
            hurry: account.is_in_a_hurry(),
        }
    }

    /// What the others should know; it counts as told. Whoever is far from the limit is left out.
    pub(super) fn reports(&mut self, now: Nanos) -> Vec<Report> {
        self.accounts
            .retain(|_, account| !account.is_over(now, SILENT));
        let due = self
            .accounts
            .iter_mut()
            .filter(|(_, account)| account.is_due(now));
        due.map(|(customer, account)| account.report(customer))
            .collect()
    }

    /// The reports have arrived, and this is what holds for the fleet. `hosts`
    /// counts this one too.
    pub(super) fn settle(&mut self, now: Nanos, told: &[Report], fleet: &[Fleet], hosts: u64) {
        self.hosts = hosts.max(1);
        self.alone_among = None;
        let told: HashMap<&str, &Report> = told
            .iter()
            .map(|report| (&*report.customer, report))
            .collect();
        for fleet in fleet {
            let account = self.accounts.get_mut(&fleet.customer);
            if let (Some(account), Some(report)) = (account, told.get(&*fleet.customer)) {
                account.settle(now, report, fleet);
            }
        }
    }

    /// From now on nobody is heard.
    pub(super) fn go_alone(&mut self) {
        self.alone_among = Some(self.hosts);
    }

    /// Of a few accounts the one that owes least goes: it has the least to gain
    /// from beginning anew. Which few is a matter of going round.
    fn make_room(&mut self, now: Nanos) {
        let len = self.accounts.len();
        if len < self.customers_max.max(1) {
            return;
        }
        let candidates = (0..LOOKED_AT).map(|_| {
            self.draws = self.draws.wrapping_add(1);
            usize::try_from(self.draws % (len as u64)).unwrap_or(0)
        });
        let candidates: Vec<usize> = candidates.collect();
        let owed = |at: &usize| {
            let found = self.accounts.get_index(*at);
            found.map_or(Nanos::MAX, |(_, account)| account.bucket.owed(now))
        };
        if let Some(at) = candidates.into_iter().min_by_key(owed) {
            self.accounts.swap_remove_index(at);
        }
    }
}
