//! A fleet with a clock of its own: hosts that exchange as they do through
//! Postgres, and requests that come when they are told to.

use std::sync::Arc;

use super::{Ledger, Report};
use crate::edge::rate::bucket::{Nanos, Quota};
use crate::edge::rate::{Allowance, Config};

const MS: Nanos = 1_000_000;
const EXCHANGE_MS: Nanos = 200;
const PAUSE_MS: Nanos = 20;
const STANDARD: Allowance = Allowance {
    per_second: 50,
    burst: 100,
};

struct Host {
    ledger: Ledger,
    exchanged_at: Nanos,
    in_a_hurry: bool,
}

struct Fleet {
    hosts: Vec<Host>,
    /// What Postgres keeps.
    full_at: Nanos,
    asked: u64,
    customer: Arc<str>,
    now: Nanos,
}

impl Fleet {
    fn of(hosts: i64) -> Fleet {
        // Each host has a time of its own.
        let host = |number| Host {
            ledger: Ledger::new(&Config::default()),
            exchanged_at: -37 * number * MS,
            in_a_hurry: false,
        };
        Fleet {
            hosts: (0..hosts).map(host).collect(),
            full_at: 0,
            asked: 0,
            customer: Arc::from("acme"),
            now: 0,
        }
    }

    fn ask(&mut self, host: usize) -> bool {
        let quota = Quota::new(STANDARD);
        let host = &mut self.hosts[host];
        let judged = host.ledger.take(&self.customer, quota, self.now);
        host.in_a_hurry |= judged.hurry;
        judged.wait.is_none()
    }

    fn exchange(&mut self, host: usize) {
        let (hosts, now) = (self.hosts.len() as u64, self.now);
        let host = &mut self.hosts[host];
        (host.exchanged_at, host.in_a_hurry) = (now, false);
        let told = host.ledger.reports(now);
        let fleet: Vec<super::Fleet> = told
            .iter()
            .map(|report: &Report| {
                self.full_at = self.full_at.max(now) + report.cost;
                self.asked += report.asked;
                super::Fleet {
                    customer: report.customer.clone(),
                    owed: self.full_at - now,
                    asked: self.asked,
                }
            })
            .collect();
        host.ledger.settle(now, &told, &fleet, hosts);
    }

    /// Lets time pass with requests: each millisecond `arrivals` says which hosts
    /// get one. Answers how many were admitted.
    fn run(&mut self, ms: Nanos, mut arrivals: impl FnMut(Nanos) -> Vec<usize>) -> u64 {
        let mut admitted = 0;
        for _ in 0..ms {
            self.now += MS;
            for host in 0..self.hosts.len() {
                let since = (self.now - self.hosts[host].exchanged_at) / MS;
                let hurries = self.hosts[host].in_a_hurry && since >= PAUSE_MS;
                if hurries || since >= EXCHANGE_MS {
                    self.exchange(host);
                }
            }
            for host in arrivals(self.now / MS) {
                admitted += u64::from(self.ask(host));
            }
        }
        admitted
    }
}

#[track_caller]
fn within_a_tenth(admitted: u64, seconds: u64) {
    let allowed = STANDARD.per_second * seconds + STANDARD.burst;
    let off = admitted.abs_diff(allowed);
    assert!(
        off * 10 <= allowed,
        "{admitted} were admitted where {allowed} are allowed"
    );
}

#[test]
fn one_host_gets_the_whole_limit_where_all_requests_come_to_it() {
    let admitted = Fleet::of(2).run(10_000, |_| vec![0]);
    within_a_tenth(admitted, 10);
}

#[test]
fn hosts_with_equal_traffic_admit_the_limit_together() {
    for hosts in [2, 3, 8] {
        let admitted = Fleet::of(hosts).run(10_000, |_| (0..hosts as usize).collect());
        within_a_tenth(admitted, 10);
    }
}

#[test]
fn hosts_with_unequal_traffic_admit_the_limit_together() {
    let admitted = Fleet::of(2).run(10_000, |ms| match ms % 10 {
        0 => vec![1],
        _ => vec![0],
    });
    within_a_tenth(admitted, 10);
}

#[test]
fn limit_follows_traffic_that_moves_from_host_to_host() {
    let mut fleet = Fleet::of(3);
    let admitted = fleet.run(12_000, |ms| vec![(ms / 1_500) as usize % 3]);
    within_a_tenth(admitted, 12);
}

#[test]
fn host_that_comes_late_finds_the_limit_used() {
    let mut fleet = Fleet::of(2);
    let early = fleet.run(10_000, |_| vec![0]);
    let both = fleet.run(10_000, |_| vec![0, 1]);
    within_a_tenth(early + both, 20);
}

#[test]
fn what_was_admitted_too_much_at_the_start_is_paid_back() {
    let mut fleet = Fleet::of(4);
    let at_once = fleet.run(30, |_| vec![0, 1, 2, 3]);
    assert!(at_once > STANDARD.burst, "the hosts knew of one another");
    let rest = fleet.run(14_970, |_| vec![0, 1, 2, 3]);
    within_a_tenth(at_once + rest, 15);
}

#[test]
fn pause_on_one_host_does_not_make_its_customer_pay_for_the_past() {
    let mut fleet = Fleet::of(2);
    fleet.run(3_000, |_| vec![0, 1]);
    // At the limit's rate on one host, for as long as would cost ten bursts.
    fleet.run(20_000, |ms| if ms % 21 == 0 { vec![1] } else { vec![] });
    let refused = !fleet.ask(0);
    assert!(!refused, "what came back in the meantime was charged again");
    fleet.exchange(0);
    assert!(fleet.ask(0));
}

#[test]
fn hosts_that_hear_nobody_admit_one_limit_together() {
    let mut fleet = Fleet::of(4);
    fleet.run(1_000, |_| vec![0, 1, 2, 3]);
    for host in &mut fleet.hosts {
        host.ledger.go_alone();
    }
    let mut admitted = 0;
    for _ in 0..10_000 {
        fleet.now += MS;
        for host in 0..4 {
            admitted += u64::from(fleet.ask(host));
        }
    }
    assert!(
        (400..=STANDARD.per_second * 10 + 60).contains(&admitted),
        "{admitted}"
    );
}

#[test]
fn customer_far_from_the_limit_is_not_told_to_others() {
    let mut ledger = Ledger::new(&Config::default());
    let quota = Quota::new(STANDARD);
    for number in 0..9 {
        let customer = Arc::from(format!("c{number}"));
        for _ in 0..=number {
            ledger.take(&customer, quota, MS);
        }
    }
    assert!(ledger.reports(2 * MS).is_empty());
    ledger.take(&Arc::from("c8"), quota, 3 * MS);
    let told = ledger.reports(4 * MS);
    assert_eq!(told.len(), 1);
    assert_eq!((&*told[0].customer, told[0].asked), ("c8", 10));
}

#[test]
fn ledger_holds_no_more_customers_than_it_may_and_keeps_those_at_their_limit() {
    let config = Config {
        customers_max: 100,
        ..Config::default()
    };
    let (mut ledger, quota) = (Ledger::new(&config), Quota::new(STANDARD));
    let greedy: Arc<str> = Arc::from("greedy");
    while ledger.take(&greedy, quota, MS).wait.is_none() {}
    for number in 0..10_000 {
        ledger.take(&Arc::from(format!("c{number}")), quota, MS);
        assert!(ledger.accounts.len() <= 100);
    }
    assert!(ledger.take(&greedy, quota, MS).wait.is_some());
}

#[test]
fn whoever_waits_as_told_comes_in() {
    let (mut ledger, quota) = (Ledger::new(&Config::default()), Quota::new(STANDARD));
    let customer: Arc<str> = Arc::from("acme");
    let mut now = MS;
    for _ in 0..1_000 {
        now += 3 * MS;
        if let Some(wait) = ledger.take(&customer, quota, now).wait {
            assert!(ledger.take(&customer, quota, now + wait - 1).wait.is_some());
            now += wait;
            assert!(ledger.take(&customer, quota, now).wait.is_none());
        }
    }
}

/// Its bucket in Postgres begins to fill later, when the report arrives.
#[test]
fn late_report_makes_nobody_wait_longer_than_told() {
    let (mut fleet, quota) = (Fleet::of(1), Quota::new(STANDARD));
    for _ in 0..STANDARD.burst {
        assert!(fleet.ask(0));
    }
    let judged = fleet.hosts[0]
        .ledger
        .take(&fleet.customer, quota, fleet.now);
    fleet.now += judged.wait.unwrap() / 2;
    fleet.exchange(0);
    fleet.now += judged.wait.unwrap() / 2;
    assert!(fleet.ask(0));
}

#[test]
fn accounts_that_owe_nothing_are_forgotten() {
    let (mut ledger, quota) = (Ledger::new(&Config::default()), Quota::new(STANDARD));
    ledger.take(&Arc::from("acme"), quota, MS);
    ledger.reports(9_000 * MS);
    assert_eq!(ledger.accounts.len(), 1);
    ledger.reports(20_000 * MS);
    assert!(ledger.accounts.is_empty());
}
