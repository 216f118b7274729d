//! Several hosts on one database, with the root secret that all tests share.

use super::host::{Host, Setup};
use super::postgres::Cluster;

/// A database that outlives its hosts.
pub struct Fleet {
    pub cluster: Cluster,
}

impl Fleet {
    pub async fn start() -> Fleet {
        Fleet {
            cluster: Cluster::start().await,
        }
    }

    /// What a host of this fleet is started with, before everything else. Tables have
    /// statistics when a test makes them.
    pub fn setup(&self) -> Setup {
        let url = self.cluster.url();
        Setup::new().config(&format!(
            "[database]\nurl = {url:?}\nanalyse_look_ms = 3_600_000"
        ))
    }

    pub fn host(&self, with: impl FnOnce(Setup) -> Setup) -> Host {
        with(self.setup()).start()
    }
}
