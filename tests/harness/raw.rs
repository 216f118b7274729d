//! Bytes to a host as they are, and what comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::host::Host;

/// How long anything may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn address(host: &Host) -> &str {
    host.url.split("://").nth(1).unwrap()
}

pub fn connect(host: &Host) -> TcpStream {
    let stream = TcpStream::connect(address(host)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything until the host closes. A host that does not close fails the test.
pub fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut part = [0; 65536];
    loop {
        match stream.read(&mut part) {
            Ok(0) => return all,
            Ok(bytes) => all.extend_from_slice(&part[..bytes]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return all,
            Err(error) => panic!("the host did not close: {error}"),
        }
    }
}

/// Sends bytes and reads until the host closes.
pub fn exchange(host: &Host, bytes: &[u8]) -> String {
    let mut stream = connect(host);
    stream.write_all(bytes).unwrap();
    String::from_utf8_lossy(&rest(&mut stream)).into_owned()
}

/// The status of each answer in what came back.
pub fn statuses(answers: &str) -> Vec<u16> {
    let lines = answers.split("HTTP/1.1 ").skip(1);
    lines.map(|rest| rest[..3].parse().unwrap()).collect()
}
