//! The client of a host's admin listener, for the commands that deploy.
//!
//! It speaks plain HTTP/1.1: the listener is on this machine, or a tunnel ends
//! here. The token goes to whatever address is named, so name one you trust.

mod address;
mod error;
pub mod progress;
pub mod steps;
pub mod table;
mod tolerant_stream;

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

pub use self::address::Address;
pub use self::error::{Error, reason};
use self::tolerant_stream::TolerantStream;
use super::open;

/// How long a host may take to accept a connection.
const CONNECT_MS_MAX: u64 = 5_000;
/// The longest head of an answer that is read.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The longest body that is read, but for a plugin's file.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A token is one line; what is longer is another file.
const TOKEN_BYTES_MAX: usize = 4 * 1024;
/// Characters of a plugin's name.
const NAME_CHARS_MAX: usize = 32;
/// The file with the token that the host makes in its data folder.
const TOKEN_FILE: &str = "admin-token";

/// Which host is asked, and with which token.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Reach {
    /// The admin listener: http://ADDRESS:PORT or unix:/PATH. Default: admin.listen of
    /// the configuration.
    #[arg(long, env = "HEARTH_ADMIN", value_name = "URL")]
    pub admin: Option<String>,
    /// A file with the admin token. Default: admin.token_file of the configuration, or
    /// the file that the host created in its data folder.
    #[arg(long, env = "HEARTH_ADMIN_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<OsString>,
    /// Give up when the host has sent nothing for this time, in milliseconds.
    #[arg(long, default_value_t = 900_000, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    pub silence_ms_max: u64,
}

impl Reach {
    /// The address and the file with the token. The configuration is read only
    /// where one of them is not given.
    fn resolve(&self, config: Option<&Path>) -> anyhow::Result<(Address, PathBuf)> {
        // An empty variable is one that nobody set: compose files make them.
        let admin = self.admin.as_deref().filter(|text| !text.is_empty());
        let file = self.token_file.as_ref().filter(|text| !text.is_empty());
        let address = admin.map(Address::parse).transpose()?;
        if let (Some(address), Some(file)) = (&address, file) {
            return Ok((address.clone(), PathBuf::from(file)));
        }
        let config = open::config(config)?;
        let address = match address {
            Some(address) => address,
            None => Address::of(config.admin.listen)?,
        };
        let made = config.data_dir.join(TOKEN_FILE);
        let file = file.map(PathBuf::from).or(config.admin.token_file);
        Ok((address, file.unwrap_or(made)))
    }

    /// The options that say the same again, for a command that is shown.
    pub fn shown(&self) -> Vec<String> {
        let mut words = Vec::new();
        let given = |variable: &str| open::environment(variable).unwrap_or_default();
        if let Some(admin) = self.admin.as_ref()
            && *admin != given("HEARTH_ADMIN")
        {
            words.extend(["--admin".into(), admin.clone()]);
        }
        if let Some(file) = self.token_file.as_ref().map(|file| file.to_string_lossy())
            && *file != given("HEARTH_ADMIN_TOKEN_FILE")
        {
            words.extend(["--token-file".into(), file.into_owned()]);
        }
        words
    }
}

/// A connection to the admin listener. It is closed when it is dropped.
pub struct Client {
    pub address: Address,
    token_file: PathBuf,
    authorization: HeaderValue,
    silence: Duration,
    sender: http1::SendRequest<Full<Bytes>>,
    _io: AbortOnDropHandle<()>,
}

impl Client {
    /// Connects, then reads the token: where no host runs, that is what is told.
    pub async fn open(reach: &Reach, config: Option<&Path>) -> anyhow::Result<Client> {
        let (address, token_file) = reach.resolve(config)?;
        let wait = Duration::from_millis(CONNECT_MS_MAX);
        let (sender, io) = timeout(wait, connect(&address))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {CONNECT_MS_MAX} ms")))
            .map_err(|why| Error::Unreachable {
                at: address.clone(),
                why,
            })?;
        Ok(Client {
            authorization: read_token(&token_file)?,
            address,
            token_file,
            silence: Duration::from_millis(reach.silence_ms_max),
            sender,
            _io: io,
        })
    }

    /// Sends one request; what is not 200 is an error.
    pub async fn send(
        &mut self,
        method: Method,
        target: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, Error> {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, self.address.host())
            .header(AUTHORIZATION, self.authorization.clone())
            .body(Full::new(body))
            .map_err(|error| Error::Usage(error.to_string()))?;
        let sent = timeout(self.silence, self.sender.send_request(request)).await;
        let answer = sent
            .map_err(|_| self.silent())?
            .map_err(|error| self.unanswered(&error))?;
        match answer.status() {
            StatusCode::OK => Ok(answer),
            status => Err(self.error_of(target, status, answer).await),
        }
    }

    /// Sends a request without a body and reads the whole answer, which is JSON.
    pub async fn json(&mut self, method: Method, target: &str) -> Result<String, Error> {
        let answer = self.send(method, target, Bytes::new()).await?;
        let body = self.body(answer, BODY_BYTES_MAX).await?;
        let text = String::from_utf8(body.into()).map_err(|_| self.foreign("is not UTF-8"))?;
        match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(_) => Ok(text),
            Err(_) => Err(self.foreign("is not JSON")),
        }
    }

    /// What an answer means.
    pub fn parse<T: DeserializeOwned>(&self, text: &str) -> Result<T, Error> {
        let parsed = serde_json::from_str(text);
        parsed.map_err(|error| self.foreign(&format!("has an unexpected format ({error})")))
    }

    /// Reads the whole body of an answer.
    pub async fn body(&self, answer: Response<Incoming>, bytes_max: usize) -> Result<Bytes, Error> {
        let whole = Limited::new(answer.into_body(), bytes_max).collect();
        let whole = timeout(self.silence, whole)
            .await
            .map_err(|_| self.silent())?;
        let whole = whole.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => self.foreign(&format!("has more than {bytes_max} bytes")),
            None => self.cut(error.to_string()),
        })?;
        Ok(whole.to_bytes())
    }

    /// How long the host may say nothing.
    pub fn silence(&self) -> Duration {
        self.silence
    }

    /// The host said nothing for too long.
    pub fn silent(&self) -> Error {
        Error::Silent {
            at: self.address.clone(),
            ms: self.silence.as_millis(),
        }
    }

    /// The answer is not one of the admin API.
    pub fn foreign(&self, what: &str) -> Error {
        Error::Foreign {
            at: self.address.clone(),
            what: what.into(),
        }
    }

    /// The connection ended in the middle of an answer.
    pub fn cut(&self, why: String) -> Error {
        Error::Cut {
            at: self.address.clone(),
            why,
        }
    }

    fn unanswered(&self, error: &hyper::Error) -> Error {
        match error.is_parse() {
            true => self.foreign("is not HTTP"),
            false => self.cut(reason(error)),
        }
    }

    /// What the host says where it does not do what it was asked.
    async fn error_of(
        &self,
        target: &str,
        status: StatusCode,
        answer: Response<Incoming>,
    ) -> Error {
        if status == StatusCode::UNAUTHORIZED {
            return Error::Token {
                at: self.address.clone(),
                file: self.token_file.clone(),
            };
        }
        let body = self.body(answer, BODY_BYTES_MAX).await.unwrap_or_default();
        Error::of_problem(&self.address, target, status, &body)
    }
}

type OpenConnection = (http1::SendRequest<Full<Bytes>>, AbortOnDropHandle<()>);

async fn connect(address: &Address) -> Result<OpenConnection, String> {
    let failed = |error: std::io::Error| error.to_string();
    match address {
        Address::Tcp(authority) => {
            let stream = TcpStream::connect(authority).await.map_err(failed)?;
            shake(stream).await
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(failed)?;
            shake(stream).await
        }
    }
}

async fn shake<S>(stream: S) -> Result<OpenConnection, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX);
    let io = TokioIo::new(TolerantStream::new(stream));
    let (sender, io) = builder
        .handshake(io)
        .await
        .map_err(|error| reason(&error))?;
    let io = tokio::spawn(async move {
        // Its errors are told to whoever waits for the answer.
        let _ = io.await;
    });
    Ok((sender, AbortOnDropHandle::new(io)))
}

fn read_token(file: &Path) -> Result<HeaderValue, Error> {
    let refused = |why: String| Error::NoToken {
        file: file.into(),
        why,
    };
    let text = read_bounded(file, TOKEN_BYTES_MAX).map_err(|error| refused(error.to_string()))?;
    let text = std::str::from_utf8(&text).map_err(|_| refused("it must be text".into()))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
        .map_err(|_| refused("it must be one line of visible characters".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads a whole file that is not larger than `bytes_max`.
pub fn read_bounded(file: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let file = std::fs::File::open(file)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() <= bytes_max {
        true => Ok(bytes),
        false => Err(io::Error::other(format!(
            "it is too large: at most {bytes_max} bytes are allowed"
        ))),
    }
}

/// Runs a command that asks a host.
pub fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(command)
}

/// The name of a plugin, by the same rule as in its manifest; it goes into a
/// path as it is.
pub fn check_name(name: &str) -> Result<(), Error> {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(letter) {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "`{}` is not a valid plugin name: use lower-case letters, digits and `-`, at most \
             {NAME_CHARS_MAX}",
            table::line(name)
        ))),
    }
}
