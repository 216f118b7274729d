//! Another user of this machine.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::sockets::Sockets;
use super::{PATHS, assert_tells_nothing, host};

/// `nobody`, on every system.
const NOBODY: libc::c_long = 65534;

/// Does something on a thread that is another user: the kernel keeps users for each
/// thread, and the C library alone makes them the process's.
fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            // SAFETY: the calls change this thread's identity and no memory; it ends here.
            unsafe {
                let none = std::ptr::null::<libc::gid_t>();
                assert_eq!(
                    libc::syscall(libc::SYS_setgroups, 0 as libc::c_long, none),
                    0
                );
                for call in [libc::SYS_setresgid, libc::SYS_setresuid] {
                    assert_eq!(libc::syscall(call, NOBODY, NOBODY, NOBODY), 0);
                }
            }
            work()
        });
        working.join().unwrap()
    })
}

/// What a socket answers, as far as it does within a moment.
fn said(socket: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(socket).unwrap();
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// As the SDK asks, with credentials that nobody gave out.
fn dynamodb(operation: &str, body: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\
         content-type: application/x-amz-json-1.0\r\nx-amz-date: 20200101T000000Z\r\n\
         x-amz-target: DynamoDB_20120810.{operation}\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=x/20200101/us-east-1/dynamodb/aws4_request, \
         SignedHeaders=host, Signature=0\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn requests() -> Vec<String> {
    let get = |path| format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
    let mut all: Vec<String> = PATHS.into_iter().map(get).collect();
    all.push(dynamodb("ListTables", "{}"));
    all.push(dynamodb("Scan", r#"{"TableName":"hearth-documents"}"#));
    all
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_user_gets_nothing_from_any_socket() {
    if !is_root() {
        return;
    }
    let host = host().await;
    let sockets = Sockets::of(&host);
    assert_eq!((sockets.tcp.len(), sockets.unix.len()), (2, 1));
    as_nobody(|| {
        for socket in &sockets.tcp {
            for request in requests() {
                let said = said(*socket, &request);
                assert!(said.starts_with("HTTP/1.1 "), "{request}: {said}");
                assert_tells_nothing(&said, &format!("{socket} to {request}"));
            }
        }
        for socket in &sockets.unix {
            let refused = UnixStream::connect(socket).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{socket:?}");
        }
    });
    // The same socket takes whoever it belongs to.
    UnixStream::connect(&sockets.unix[0]).unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut all = vec![folder.to_owned()];
    for path in entries.map(|entry| entry.path()) {
        match path.is_dir() && !path.is_symlink() {
            true => all.extend(files(&path)),
            false => all.push(path),
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_user_reads_no_file_of_the_data_folder() {
    if !is_root() {
        return;
    }
    let host = host().await;
    let data = host.data_dir();
    // What is around it keeps nobody out, as on a machine where an operator made it.
    let around = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(data.parent().unwrap(), around).unwrap();
    let all = files(&data);
    let names = ["secret", "admin-token", "dynamodb.sqlite", "PG_VERSION"];
    for name in names {
        assert!(all.iter().any(|path| path.ends_with(name)), "{name}");
    }
    as_nobody(|| {
        std::fs::metadata(data.parent().unwrap()).unwrap();
        for path in &all {
            let refused = match path == &data {
                true => std::fs::read_dir(path).map(drop),
                false => std::fs::File::open(path).map(drop),
            };
            assert_eq!(
                refused.unwrap_err().kind(),
                ErrorKind::PermissionDenied,
                "{path:?}"
            );
        }
    });
}
