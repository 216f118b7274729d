//! SQS as others built it: moto's server (Python) and rustack's (Rust).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_http_client::Builder;
use hyper_util::rt::TokioIo;
use rustack_sqs_core::config::SqsConfig;
use rustack_sqs_core::handler::RustackSqsHandler;
use rustack_sqs_core::provider::RustackSqs;
use rustack_sqs_http::service::{SqsHttpConfig, SqsHttpService};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::postgres::{free_port, until};
use super::python::python;

/// What the environment says to hosts that speak to an emulator, which looks at none
/// of it.
pub const ENVIRONMENT: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_REGION", "us-east-1"),
];

/// Whose implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    Moto,
    Rustack,
}

/// A server with two queues: `plain` and `ordered.fifo`.
pub struct Sqs {
    pub url: String,
    pub client: Client,
    server: Server,
}

enum Server {
    Moto(Child),
    Rustack(JoinHandle<()>),
}

impl Drop for Sqs {
    fn drop(&mut self) {
        match &mut self.server {
            Server::Moto(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Server::Rustack(task) => task.abort(),
        }
    }
}

impl Sqs {
    pub async fn start(make: Make) -> Sqs {
        Sqs::start_on(make, free_port()).await
    }

    /// On a port that a test knows before there is a server.
    pub async fn start_on(make: Make, port: u16) -> Sqs {
        let url = format!("http://127.0.0.1:{port}");
        let server = match make {
            Make::Moto => Server::Moto(moto(port)),
            Make::Rustack => Server::Rustack(rustack(port).await),
        };
        let client = client(&url);
        until(async || client.list_queues().send().await.is_ok()).await;
        let sqs = Sqs {
            url,
            client,
            server,
        };
        sqs.create("plain", &[]).await;
        let fifo = [(QueueAttributeName::FifoQueue, "true")];
        sqs.create("ordered.fifo", &fifo).await;
        sqs
    }

    pub async fn create(&self, name: &str, attributes: &[(QueueAttributeName, &str)]) -> String {
        let mut queue = self.client.create_queue().queue_name(name);
        for (name, value) in attributes {
            queue = queue.attributes(name.clone(), *value);
        }
        queue.send().await.unwrap().queue_url.unwrap()
    }

    pub async fn queue_url(&self, name: &str) -> String {
        let found = self.client.get_queue_url().queue_name(name).send().await;
        found.unwrap().queue_url.unwrap()
    }
}

fn moto(port: u16) -> Child {
    Command::new(python("python3"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("harness/moto_server.py"))
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn rustack(port: u16) -> JoinHandle<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let provider = Arc::new(RustackSqs::new(SqsConfig {
        host: "127.0.0.1".into(),
        port,
        ..SqsConfig::default()
    }));
    let handler = Arc::new(RustackSqsHandler::new(provider));
    let service = SqsHttpService::new(handler, SqsHttpConfig::default());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(connection);
        }
    })
}

/// The official SDK, for what a test does by itself.
fn client(url: &str) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(Builder::new().build_http())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .build();
    Client::from_conf(config)
}
