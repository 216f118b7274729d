//! Ending on the server what a call left running there.
//!
//! A query whose future is dropped goes on in Postgres, and whoever uses the
//! connection next waits for it. So the statement is cancelled first. The
//! request to cancel names a connection and not a statement: it must have acted
//! before the next statement is sent, or it may hit that one. Postgres closes
//! the stream of the request once it has signalled the session, so the stream is
//! read to its end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_postgres::CancelToken;
use tokio_postgres::config::Host;
use tokio_postgres::tls::MakeTlsConnect;

use super::Tls;

/// Cancels what the token's session runs, and returns once the server has
/// signalled it. Where several hosts are configured each is asked: the session's
/// key fits only one.
pub(super) async fn cancel(
    token: &CancelToken,
    connect: &tokio_postgres::Config,
    tls: &Tls,
) -> io::Result<()> {
    let ports = connect.get_ports();
    for (index, host) in connect.get_hosts().iter().enumerate() {
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        let stream = open(host, port).await?;
        let name = match host {
            Host::Tcp(name) => name.as_str(),
            #[cfg(unix)]
            Host::Unix(_) => "",
        };
        let tls = MakeTlsConnect::<ToEnd>::make_tls_connect(&mut tls.clone(), name)
            .map_err(io::Error::other)?;
        token
            .cancel_query_raw(stream, tls)
            .await
            .map_err(io::Error::other)?;
    }
    Ok(())
}

async fn open(host: &Host, port: u16) -> io::Result<ToEnd> {
    let stream: Box<dyn Stream> = match host {
        Host::Tcp(name) => Box::new(TcpStream::connect((name.as_str(), port)).await?),
        #[cfg(unix)]
        Host::Unix(folder) => {
            Box::new(UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await?)
        }
    };
    Ok(ToEnd(stream))
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A stream whose shutdown ends when the server has closed it. The driver shuts
/// the stream down after it has written the request and then returns.
struct ToEnd(Box<dyn Stream>);

impl AsyncRead for ToEnd {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for ToEnd {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 256];
        loop {
            let mut buf = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
                // A reset is an end too: the server had nothing more to say.
                Ok(()) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}
