//! Reads the `Grip-*` headers of an answer. Clients never see them.

use hearth_runtime::capability::push::{Config, Start, is_name};
use hearth_runtime::plugin::instance::Response;

/// What is wrong with a hold. The guest is to blame for each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHold {
    #[error("the plugin has no grant `push`")]
    NotGranted,
    #[error("`Grip-Hold: {0}` is unsupported: only `stream` is supported")]
    Mode(String),
    #[error("only the answer to a GET can be held open, not the answer to {0}")]
    Method(String),
    #[error("only an answer with status 200 can be held open, not with {0}")]
    Status(u16),
    #[error("a stream needs 1 to {0} headers `Grip-Channel` (push.channels_max)")]
    Channels(usize),
    #[error(
        "`Grip-Channel: {0}` is invalid: it must be a channel's name, with `; prev-id=ID` or nothing after it"
    )]
    Channel(String),
}

/// Characters of a guest's header that a log repeats.
const TOLD_CHARS_MAX: usize = 64;

/// The headers, as they are.
#[derive(Debug, PartialEq, Eq)]
pub struct Grip {
    hold: String,
    channels: Vec<String>,
}

/// Whether the header is between the guest and the host alone.
pub fn is_grip(name: &str) -> bool {
    name.get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("grip-"))
}

impl Grip {
    /// `None` where the answer wants no hold.
    pub fn of(response: &Response) -> Option<Grip> {
        let lines = |wanted: &'static str| {
            let headers = response.headers.iter();
            let named = headers.filter(move |(name, _)| name.eq_ignore_ascii_case(wanted));
            named.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        };
        Some(Grip {
            hold: lines("grip-hold").next()?,
            channels: lines("grip-channel").collect(),
        })
    }

    /// The channels, and from where on each is wanted. What names none starts at
    /// `otherwise`.
    pub fn channels(
        &self,
        config: &Config,
        otherwise: &Start,
    ) -> Result<Vec<(String, Start)>, BadHold> {
        if self.hold.trim() != "stream" {
            return Err(BadHold::Mode(shorten(&self.hold)));
        }
        if !(1..=config.channels_max).contains(&self.channels.len()) {
            return Err(BadHold::Channels(config.channels_max));
        }
        let mut channels = Vec::new();
        for line in &self.channels {
            let read = channel(line, config).ok_or_else(|| BadHold::Channel(shorten(line)))?;
            let (name, id) = read;
            let start = id.map_or_else(|| otherwise.clone(), |id| Start::of(id, config));
            if !channels.iter().any(|(known, _)| known == name) {
                channels.push((name.to_owned(), start));
            }
        }
        Ok(channels)
    }
}

/// One channel a line, strictly: an id that came from a client must not become another
/// channel, and a parameter that is not known would change what is sent.
fn channel<'a>(line: &'a str, config: &Config) -> Option<(&'a str, Option<&'a str>)> {
    let mut parts = line.split(';').map(str::trim);
    let name = parts.next()?;
    let id = match parts.next() {
        None => None,
        Some(parameter) => {
            let (key, value) = parameter.split_once('=')?;
            let bare = value
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'));
            (key.trim() == "prev-id").then_some(())?;
            Some(bare.unwrap_or(value))
        }
    };
    let good = |text: &str| is_name(text, config.name_bytes_max);
    let whole = parts.next().is_none() && good(name) && id.is_none_or(good);
    whole.then_some((name, id))
}

fn shorten(text: &str) -> String {
    text.chars().take(TOLD_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_backend::postgres::events::Position;

    fn grip(lines: &[(&str, &str)]) -> Option<Grip> {
        let header = |(name, value): &(&str, &str)| (name.to_string(), value.as_bytes().to_vec());
        Grip::of(&Response {
            status: 200,
            headers: lines.iter().map(header).collect(),
            body: Vec::new(),
        })
    }

    fn channels(lines: &[&str]) -> Result<Vec<(String, Start)>, BadHold> {
        let lines = lines.iter().map(|line| ("Grip-Channel", *line));
        let all: Vec<_> = [("grip-hold", "stream")].into_iter().chain(lines).collect();
        grip(&all)
            .unwrap()
            .channels(&Config::default(), &Start::Unknown)
    }

    #[test]
    fn each_line_is_a_channel_with_the_place_that_it_names() {
        let read = channels(&[
            "a",
            "b; prev-id=psh_000000000000000a",
            "c;prev-id=\"evt_1\"",
            "a",
        ]);
        let expected = [
            ("a".to_owned(), Start::Unknown),
            ("b".to_owned(), Start::After(Position(10))),
            ("c".to_owned(), Start::Named("evt_1".to_owned())),
        ];
        assert_eq!(read.unwrap(), expected);
    }

    #[test]
    fn what_is_no_channel_is_refused() {
        for bad in [
            "",
            "a b",
            "a, b",
            "a; prev-id=1, b",
            "a; prev-id=",
            "a; prev-id",
            "a; filter=skip",
            "a; prev-id=1; prev-id=2",
            "a;",
            "a; prev-id=\"1\"\"",
        ] {
            assert!(
                matches!(channels(&[bad]), Err(BadHold::Channel(_))),
                "{bad}"
            );
        }
        assert_eq!(channels(&[]), Err(BadHold::Channels(16)));
        assert_eq!(channels(&["a"; 17]), Err(BadHold::Channels(16)));
        let response = grip(&[("Grip-Hold", "response"), ("Grip-Channel", "a")]).unwrap();
        let read = response.channels(&Config::default(), &Start::Unknown);
        assert_eq!(read, Err(BadHold::Mode("response".to_owned())));
        assert_eq!(grip(&[("Grip-Channel", "a")]), None);
    }
}
