//! A private DynamoDB in this process, for tests that need no host.

mod moto;
mod proxy;
mod server;

use aws_smithy_http_client::Builder;
use hearth::backend::dynamodb::{Config, Dynamo, EmbeddedSync};
use hearth::embedded::dynamodb::{Embedded, Options};
use tempfile::TempDir;

use self::server::Server;

pub use moto::Moto;
pub use proxy::{Fate, Proxy, Read, Request};

/// Dropped, it is stopped and its folder removed.
pub struct Private {
    pub embedded: Embedded,
    pub dir: TempDir,
    server: Server,
}

/// A client of whatever speaks DynamoDB's protocol at that URL.
pub async fn dynamo_at(url: &str, config: &Config) -> Dynamo {
    let config = Config {
        endpoint_url: Some(url.to_owned()),
        ..config.clone()
    };
    Dynamo::open(&config, Some(Builder::new().build_http())).await
}

impl Private {
    pub async fn start() -> Private {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            sync: EmbeddedSync::Normal,
            ..Options::default()
        };
        let embedded = Embedded::start(dir.path(), options).await.unwrap();
        let server = Server::start(embedded.connector().clone()).await;
        Private {
            embedded,
            dir,
            server,
        }
    }

    /// Where other processes reach it while this one lives: it has no socket itself.
    pub fn url(&self) -> &str {
        &self.server.url
    }

    /// A client of it, its tables made.
    pub async fn dynamo(&self) -> Dynamo {
        let way = self.embedded.connector().http_client();
        let dynamo = Dynamo::open(&Config::default(), Some(way)).await;
        dynamo.prepare().await.unwrap();
        dynamo
    }
}
