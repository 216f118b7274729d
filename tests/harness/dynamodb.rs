//! A private DynamoDB in this process, for tests that need no host.

mod moto;
mod proxy;

use hearth::backend::dynamodb::{Config, Dynamo, EmbeddedSync};
use hearth::embedded::dynamodb::{Embedded, Options};
use tempfile::TempDir;

pub use moto::Moto;
pub use proxy::{Fate, Proxy, Request};

/// Dropped, it is stopped and its folder removed.
pub struct Private {
    pub embedded: Embedded,
    pub dir: TempDir,
}

impl Private {
    pub async fn start() -> Private {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            sync: EmbeddedSync::Normal,
            ..Options::default()
        };
        let embedded = Embedded::start(dir.path(), options).await.unwrap();
        Private { embedded, dir }
    }

    pub fn url(&self) -> &str {
        self.embedded.url()
    }

    /// A client of it, its tables made.
    pub async fn dynamo(&self) -> Dynamo {
        let dynamo = Dynamo::open(&Config::default(), Some(self.url())).await;
        dynamo.prepare().await.unwrap();
        dynamo
    }
}
