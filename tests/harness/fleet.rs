//! Several hosts on one database, with one root secret.

use super::host::{Host, Setup};
use super::postgres::Cluster;

/// A database that outlives its hosts.
pub struct Fleet {
    pub cluster: Cluster,
    secret: String,
}

impl Fleet {
    pub async fn start() -> Fleet {
        // Each fleet has a secret of its own.
        let bytes: [u8; 32] = rand::random();
        Fleet {
            cluster: Cluster::start().await,
            secret: format!("1 {}\n", hex::encode(bytes)),
        }
    }

    /// What a host of this fleet is started with, before everything else.
    pub fn setup(&self) -> Setup {
        Setup::new()
            .secret(&self.secret)
            .config(&format!("[database]\nurl = {:?}", self.cluster.url()))
    }

    pub fn host(&self, with: impl FnOnce(Setup) -> Setup) -> Host {
        with(self.setup()).start()
    }
}
