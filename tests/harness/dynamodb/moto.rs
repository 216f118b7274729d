//! A DynamoDB as others built it: moto's server, in Python.

use std::process::{Child, Command, Stdio};

use crate::harness::postgres::{free_port, until};
use crate::harness::python::python;

/// Dropped, it is ended.
pub struct Moto {
    pub url: String,
    child: Child,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    pub async fn start() -> Moto {
        let port = free_port().to_string();
        let child = Command::new(python("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        until(async || reqwest::get(format!("{url}/moto-api/")).await.is_ok()).await;
        Moto { url, child }
    }
}
