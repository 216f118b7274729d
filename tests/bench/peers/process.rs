//! A server of others in a process of its own, which ends with the benchmark.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::host::signal_process;
use crate::harness::postgres::free_port;

const START: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(5);

/// Dropped, it is gone with all of its children.
pub struct Peer {
    child: Child,
    pub url: String,
}

impl Peer {
    /// Starts it on a free port of the loopback; answers when it takes connections.
    pub fn start(of: impl FnOnce(SocketAddr) -> Command) -> Peer {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = of(address);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        // A group of its own, for a server may have workers.
        let mut child = command.process_group(0).spawn().unwrap();
        let until = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            let ended = child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < until,
                "{command:?} does not listen: {ended:?}"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let url = format!("http://{address}");
        Peer { child, url }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let group = -i32::try_from(self.child.id()).unwrap();
        signal_process(group, libc::SIGTERM);
        let until = Instant::now() + END;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        signal_process(group, libc::SIGKILL);
        let _ = self.child.wait();
    }
}

/// A program that `make peers` left in .toolchain.
pub fn fetched(path: &str) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../.toolchain")
        .join(path);
    assert!(
        file.is_file(),
        "{} is missing: run `make bench`, or `make peers` for it alone",
        file.display()
    );
    file
}
