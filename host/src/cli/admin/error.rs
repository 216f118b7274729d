//! Why a host did not do what a command asked.

use std::error::Error as _;
use std::path::PathBuf;

use http::StatusCode;
use serde::Deserialize;

use super::Address;
use super::table::plain;

/// EX_USAGE of sysexits(3): the command is wrong as it was given.
const USAGE: u8 = 64;
/// EX_UNAVAILABLE of sysexits(3): there is no host that can be asked.
const UNAVAILABLE: u8 = 69;
/// The host was asked and refuses.
const REFUSED: u8 = 1;

/// Characters of a body that is no problem document.
const SHOWN_CHARS: usize = 200;

/// Why a host did not do what a command asked. Each says who is to blame by its
/// exit code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command is to blame.
    #[error("{0}")]
    Usage(String),
    #[error("the admin token cannot be read from {}: {why}. The host creates admin-token in its data folder; name the file with --token-file", file.display())]
    NoToken { file: PathBuf, why: String },
    #[error("no Hearth host answers at {at}; is `hearth serve` running? ({why})")]
    Unreachable { at: Address, why: String },
    #[error("what answers at {at} is not the admin listener of a Hearth host: its answer {what}")]
    Foreign { at: Address, what: String },
    #[error("the connection to {at} ended before the answer was complete ({why})")]
    Cut { at: Address, why: String },
    #[error("the host at {at} has not answered for {ms} ms (--silence-ms-max)")]
    Silent { at: Address, ms: u128 },
    #[error("the host at {at} rejected the token in {}: name the right file with --token-file", file.display())]
    Token { at: Address, file: PathBuf },
    /// It ended in the middle of a change.
    #[error("{0}. It is unknown whether it took effect: check with `hearth status`")]
    Unsure(Box<Error>),
    #[error("{what} not found on the host at {at} ({path})")]
    Missing {
        at: Address,
        what: &'static str,
        path: String,
    },
    /// The host says why.
    #[error("the host at {at} rejected the request: {detail}")]
    Refused { at: Address, detail: String },
}

/// What is read of RFC 9457.
#[derive(Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
}

impl Error {
    /// What an answer with another status than 200 says.
    pub fn of_problem(at: &Address, target: &str, status: StatusCode, body: &[u8]) -> Error {
        let problem = serde_json::from_slice::<Problem>(body).ok();
        let said = problem.and_then(|problem| problem.detail.or(problem.title));
        let at = at.clone();
        let path = target.split('?').next().unwrap_or_default();
        let named = named(path);
        match (said, named) {
            (Some(_), Some(what)) if status == StatusCode::NOT_FOUND => Error::Missing {
                at,
                what,
                path: path.to_owned(),
            },
            (Some(text), _) if status != StatusCode::NOT_FOUND => Error::Refused {
                at,
                detail: format!("{} ({})", plain(&text), status.as_u16()),
            },
            _ => Error::Foreign {
                at,
                what: format!("is {status} {}", beginning(body)),
            },
        }
    }

    /// The same of a request that changes something: what did not end well may
    /// have been done.
    pub fn of_change(self) -> Error {
        match self {
            Error::Cut { .. } | Error::Silent { .. } => Error::Unsure(Box::new(self)),
            known => known,
        }
    }

    /// 1 where the host refuses, 64 where the command is wrong, 69 where there is
    /// no host to ask or it did not answer to the end.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) | Error::NoToken { .. } => USAGE,
            Error::Unreachable { .. }
            | Error::Foreign { .. }
            | Error::Cut { .. }
            | Error::Silent { .. }
            | Error::Unsure(_) => UNAVAILABLE,
            Error::Token { .. } | Error::Missing { .. } | Error::Refused { .. } => REFUSED,
        }
    }
}

/// What a path names, that need not be there.
fn named(path: &str) -> Option<&'static str> {
    let kinds = [
        ("/plugins/", "plugin or deployment"),
        ("/queues/", "queue or dead letter"),
    ];
    let found = kinds.iter().find(|(below, _)| path.starts_with(below));
    found.map(|(_, what)| *what)
}

fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    plain(&text.chars().take(SHOWN_CHARS).collect::<String>())
}

/// An error of the HTTP library with what caused it.
pub fn reason(error: &hyper::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
