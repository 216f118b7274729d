//! Schedules: once for the whole fleet, by a clock that the test puts forward.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fixture::{Worker, packed};
use crate::harness::host::{Setup, runs};

const HOUR_MS: u64 = 3_600_000;
const QUICK: &str = "[schedule]\nlook_ms = 50\ncustomers_max = 2\nheld_ms = 1_000";

/// A plugin with a schedule that is due every day, half a day from now: no test
/// runs into it by itself.
fn daily(whose: &str) -> Vec<u8> {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let hour = (now.hour() + 12) % 24;
    let schedule = format!(
        "[[schedule]]\nname = \"daily\"\ncron = \"0 {hour} * * *\"\nqueue = \"jobs\"\n\
         message = '{{\"number\": 7}}'\nfor = \"{whose}\"\n"
    );
    packed("0.1.0", "visibility_ms = 2_000", &schedule)
}

struct Clock(PathBuf);

impl Clock {
    fn new(folder: &Path) -> Clock {
        Clock(folder.join("clock"))
    }

    fn set(&self, setup: Setup) -> Setup {
        setup.env("HEARTH_CLOCK_FILE", &self.0.display().to_string())
    }

    /// So many hours later than the machine's.
    fn put_forward(&self, hours: u64) {
        std::fs::write(&self.0, (hours * HOUR_MS).to_string()).unwrap();
    }
}

/// Looks enough for every host, so that what comes twice has come.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(1_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedule_is_sent_once_to_each_customer_over_two_hosts() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::new(folder.path());
    let worker = Worker::start_with(&daily("each-customer"), QUICK, |setup| clock.set(setup)).await;
    let _other = worker.another(QUICK, |setup| clock.set(setup));
    for customer in ["one", "two", "three"] {
        worker.key(customer);
    }
    a_while().await;
    assert_eq!(
        worker.recorded().await,
        0,
        "what was due before it was there is not sent"
    );
    clock.put_forward(12);
    worker.until_recorded(3).await;
    a_while().await;
    assert_eq!(worker.recorded().await, 3);
    // Ten days pass without a host that looks: the latest is sent, once.
    clock.put_forward(12 + 240);
    worker.until_recorded(6).await;
    a_while().await;
    let each = "SELECT count(*)::text FROM ROWS WHERE number = 7 GROUP BY customer_id";
    assert_eq!(worker.column(each).await, ["2", "2", "2"]);
    let rows = "SELECT count(*)::text FROM hearth.schedule_occurrences";
    assert_eq!(
        worker.column(rows).await,
        ["1"],
        "only the last one is kept"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedule_that_is_for_nobody_sends_one_message_without_a_customer() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::new(folder.path());
    let worker = Worker::start_with(&daily("none"), QUICK, |setup| clock.set(setup)).await;
    let other = worker.another(QUICK, |setup| clock.set(setup));
    worker.key("acme");
    clock.put_forward(12);
    let lines = || {
        [worker.host.log(), other.log()]
            .concat()
            .matches("nobody's job")
            .count()
    };
    crate::harness::postgres::until(async || lines() > 0).await;
    a_while().await;
    assert_eq!(lines(), 1);
    assert_eq!(worker.recorded().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn occurrence_that_a_killed_host_left_half_way_goes_on_and_nobody_gets_it_twice() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::new(folder.path());
    let plugin = daily("each-customer");
    let mut worker = Worker::start_with(&plugin, QUICK, |setup| clock.set(setup)).await;
    let count = runs(200, 2_000);
    let customers = format!(
        "INSERT INTO hearth.customers (id, name, tier)
         SELECT 'cus_' || n, 'customer ' || n, 'free' FROM generate_series(1, {count}) AS n
         RETURNING id"
    );
    assert_eq!(worker.column(&customers).await.len(), count);
    a_while().await;
    clock.put_forward(12);
    worker.until_recorded(5).await;
    worker.host.kill();
    let before = worker.recorded().await;
    assert!(before < count, "it was killed too late");
    worker.host.restart();
    worker.until_recorded(count).await;
    worker.until_empty().await;
    let each = "SELECT DISTINCT count(DISTINCT id)::text FROM ROWS GROUP BY customer_id";
    assert_eq!(worker.column(each).await, ["1"]);
    let customers = "SELECT count(DISTINCT customer_id)::text FROM ROWS";
    assert_eq!(worker.column(customers).await, [count.to_string()]);
}
