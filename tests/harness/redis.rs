//! A real Redis for one test: Debian's redis-server, in a folder of its own.

use std::process::{Child, Stdio};

use redis::Commands;
use tempfile::TempDir;

use super::host::signal_process;
use super::postgres::until;
use super::tool::tool;

/// Dropped, it is killed.
pub struct Redis {
    child: Option<Child>,
    port: u16,
    folder: TempDir,
    tls: bool,
}

/// What a server with TLS wants of whoever logs in.
const PASSWORD: &str = "let me in";

impl Redis {
    pub async fn start() -> Redis {
        Redis::launch(false).await
    }

    /// With TLS, for `localhost`, and a password; the file [`Redis::root_file`] is
    /// what a client must trust.
    pub async fn start_with_tls() -> Redis {
        Redis::launch(true).await
    }

    async fn launch(tls: bool) -> Redis {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut redis = Redis {
            child: None,
            port: listener.local_addr().unwrap().port(),
            folder: tempfile::tempdir().unwrap(),
            tls,
        };
        drop(listener);
        if tls {
            redis.certify();
        }
        redis.resume().await;
        redis
    }

    /// Starts it on the same port, empty.
    pub async fn resume(&mut self) {
        let mut command = tool("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(self.folder.path())
            .stdout(Stdio::null());
        let port = self.port.to_string();
        match self.tls {
            false => command.args(["--port", &port]),
            true => command
                .args([
                    "--port",
                    "0",
                    "--tls-port",
                    &port,
                    "--tls-auth-clients",
                    "no",
                ])
                .args(["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem"])
                .args(["--requirepass", PASSWORD]),
        };
        self.child = Some(command.current_dir(self.folder.path()).spawn().unwrap());
        let address = ("127.0.0.1", self.port);
        until(async || tokio::net::TcpStream::connect(address).await.is_ok()).await;
    }

    fn certify(&self) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let file = |name: &str| self.folder.path().join(name);
        std::fs::write(file("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(file("key.pem"), made.signing_key.serialize_pem()).unwrap();
    }

    pub fn root_file(&self) -> std::path::PathBuf {
        self.folder.path().join("cert.pem")
    }

    pub fn url(&self) -> String {
        match self.tls {
            false => format!("redis://127.0.0.1:{}", self.port),
            true => format!("rediss://:let%20me%20in@localhost:{}", self.port),
        }
    }

    /// It stands still: connections stay open and nothing is answered.
    pub fn freeze(&self) {
        self.signal(libc::SIGSTOP);
    }

    pub fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, signal: i32) {
        let child = self.child.as_ref().unwrap();
        signal_process(i32::try_from(child.id()).unwrap(), signal);
    }

    /// It is gone, with all that it held.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// All that lies in it, as whoever can read it sees it.
    pub fn dump(&self) -> Vec<(String, Vec<u8>)> {
        let mut connection = self.connect();
        let names: Vec<String> = connection.keys("*").unwrap();
        let value = |name: String| {
            let value = connection.get(&name).unwrap();
            (name, value)
        };
        names.into_iter().map(value).collect()
    }

    /// What whoever can write to it may do.
    pub fn set(&self, name: &str, value: &[u8]) {
        let _: () = self.connect().set(name, value).unwrap();
    }

    /// A command of an operator's.
    pub fn command(&self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).exec(&mut self.connect()).unwrap();
    }

    fn connect(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_connection().unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
