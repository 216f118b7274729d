//! The sockets of a process, as the kernel tells them.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::harness::host::{Host, Setup};

/// Those of a process on which it waits for others.
#[derive(Debug, Default)]
pub struct Sockets {
    pub tcp: Vec<SocketAddr>,
    pub unix: Vec<PathBuf>,
}

/// TCP_LISTEN of the kernel's `tcp_states.h`, and SO_ACCEPTCON of its `net.h`.
const LISTENS: &str = "0A";
const ACCEPTS: &str = "00010000";

impl Sockets {
    /// Of a host and of the Postgres that it started.
    pub fn of(host: &Host) -> Sockets {
        let mut all = Sockets::default();
        let postmaster = u32::try_from(host.postmaster_pid()).unwrap();
        for pid in [host.pid(), postmaster] {
            all.add(pid);
        }
        all
    }

    fn add(&mut self, pid: u32) {
        let own = inodes(pid);
        let read = |table: &str| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap();
            let rows = text.lines().skip(1);
            rows.map(|row| row.split_whitespace().map(str::to_owned).collect())
                .collect::<Vec<Vec<String>>>()
        };
        for row in [read("tcp"), read("tcp6")].concat() {
            if row[3] == LISTENS && own.contains(&row[9]) {
                self.tcp.push(address(&row[1]));
            }
        }
        for row in read("unix") {
            if row[3] == ACCEPTS && own.contains(&row[6]) {
                self.unix.push(PathBuf::from(&row[7]));
            }
        }
    }
}

fn inodes(pid: u32) -> HashSet<String> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = open
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let number = |link: PathBuf| {
        let link = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        Some(link.to_owned())
    };
    links.filter_map(number).collect()
}

/// Words of four bytes in the machine's own order, a colon and the port.
fn address(text: &str) -> SocketAddr {
    let (address, port) = text.split_once(':').unwrap();
    let word = |at: usize| u32::from_str_radix(&address[at..at + 8], 16).unwrap();
    let bytes: Vec<u8> = (0..address.len())
        .step_by(8)
        .flat_map(|at| word(at).to_ne_bytes())
        .collect();
    let address: IpAddr = match <[u8; 4]>::try_from(&bytes[..]) {
        Ok(v4) => v4.into(),
        Err(_) => <[u8; 16]>::try_from(&bytes[..]).unwrap().into(),
    };
    SocketAddr::new(address, u16::from_str_radix(port, 16).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_listens_on_its_two_ports_and_its_postgres_on_a_private_socket() {
    let host = Setup::new().start();
    let mut sockets = Sockets::of(&host);
    let port = |url: &str| url.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let mut ports: Vec<u16> = sockets.tcp.drain(..).map(|socket| socket.port()).collect();
    let mut expected = [port(&host.url), port(&host.admin)];
    ports.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ports, expected);
    let [socket] = &sockets.unix[..] else {
        panic!("{sockets:?}");
    };
    assert!(socket.ends_with(".s.PGSQL.5432"), "{socket:?}");
}
