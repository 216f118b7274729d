//! Hosts with tickets and the guest `listener`, which hears what they tell.

use serde_json::Value;
use tempfile::TempDir;
use tokio_postgres::Client;

use super::super::Support;
use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, Setup};
use crate::harness::postgres::until;

pub const QUEUES: [&str; 2] = ["webhook-events", "notification-events"];
const LISTENER: [&str; 4] = [
    "sql",
    "log",
    "consume:webhook-events",
    "consume:notification-events",
];

/// A fleet, the first of its hosts, and the database beside it.
pub struct Stage {
    pub support: Support,
    pub fleet: Fleet,
    pub database: Client,
    folder: TempDir,
}

impl Stage {
    pub async fn open() -> Stage {
        let (fleet, folder) = (Fleet::start().await, tempfile::tempdir().unwrap());
        let host = setup(&fleet, &folder).start();
        let key = host.key("acme", &[]);
        let agent = host.key("acme", &["--scope", "customer", "--scope", "agent"]);
        let database = fleet.cluster.connect(None).await;
        Stage {
            support: Support { host, key, agent },
            fleet,
            database,
            folder,
        }
    }

    /// Another host of the fleet, with the same plugins.
    pub fn another(&self) -> Host {
        setup(&self.fleet, &self.folder).start()
    }

    /// Puts all clocks so many minutes forward from the machine's, once everything was
    /// heard: what is being heard would be given to another, its time being over.
    pub async fn put_forward(&self, minutes: i64) {
        until(async || self.under_way().await == 0).await;
        self.put_forward_at_once(minutes);
    }

    pub fn put_forward_at_once(&self, minutes: i64) {
        let text = (minutes * 60_000).to_string();
        std::fs::write(self.folder.path().join("clock"), text).unwrap();
    }

    /// What came of each queue, once so many have come and no more is under way.
    pub async fn heard(&self, count: usize) -> [Vec<Value>; 2] {
        let enough = async |queue: &str| self.heard_of(queue).await.len() >= count;
        until(async || enough(QUEUES[0]).await && enough(QUEUES[1]).await).await;
        until(async || self.under_way().await == 0).await;
        let heard = [
            self.heard_of(QUEUES[0]).await,
            self.heard_of(QUEUES[1]).await,
        ];
        for heard in &heard {
            assert_eq!(heard.len(), count, "{:?}", kinds(heard));
        }
        heard
    }

    async fn heard_of(&self, queue: &str) -> Vec<Value> {
        let heard = "SELECT body::text FROM plugin_listener.heard WHERE queue = $1 ORDER BY place";
        let rows = self.database.query(heard, &[&queue]).await.unwrap();
        let texts = rows.iter().map(|row| row.get::<_, String>(0));
        texts
            .map(|text| serde_json::from_str(&text).unwrap())
            .collect()
    }

    async fn under_way(&self) -> i64 {
        let count = "SELECT count(*) FROM hearth.outbox WHERE queue <> 'ticket-clocks'";
        self.database.query_one(count, &[]).await.unwrap().get(0)
    }

    /// Until all has been done that was to be done so many minutes from now.
    pub async fn until_looked(&self, minutes: i64) {
        let count = "SELECT count(*) FROM hearth.outbox WHERE queue = 'ticket-clocks'
            AND (lease IS NOT NULL
                 OR due_at <= clock_timestamp() + $1::bigint * interval '1 minute')";
        let due = async || -> i64 {
            let row = self.database.query_one(count, &[&minutes]).await;
            row.unwrap().get(0)
        };
        until(async || due().await == 0).await;
    }
}

fn setup(fleet: &Fleet, folder: &TempDir) -> Setup {
    let clock = folder.path().join("clock");
    let setup = fleet.setup().config("[schedule]\nlook_ms = 50");
    let setup = setup.env("HEARTH_CLOCK_FILE", &clock.display().to_string());
    let setup = setup.guest("listener", &LISTENER, "");
    setup.tickets_telling(&QUEUES.join(","))
}

pub fn of_ticket(heard: &[Value], id: &str) -> Vec<Value> {
    let of = |event: &&Value| event["data"]["ticket"]["id"] == id;
    heard.iter().filter(of).cloned().collect()
}

pub fn kinds(heard: &[Value]) -> Vec<&str> {
    heard
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}
