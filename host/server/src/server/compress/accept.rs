//! Reads the content codings that a client accepts.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// How an answer may be encoded. Of two that the client likes alike the earlier
/// is taken: the first costs the least for its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

pub(super) const CODINGS: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

impl Coding {
    pub fn name(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }

    fn is(self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.name())
            || (self == Coding::Gzip && name.eq_ignore_ascii_case("x-gzip"))
    }
}

/// The coding that the client wants most, or none where it would rather have the
/// bytes as they are. Without the header nothing is encoded.
pub fn wanted(headers: &HeaderMap) -> Option<Coding> {
    let said = Said::of(headers);
    let mut best = None;
    let mut most = said.identity().max(1);
    for coding in CODINGS {
        let weight = said.weight(coding);
        if weight > most || (weight == most && best.is_none()) {
            (best, most) = (Some(coding), weight);
        }
    }
    best
}

/// Whether an answer that lies in this coding may be sent as it is: it is accepted, and the
/// bytes as they are are not liked more.
pub fn accepts(headers: &HeaderMap, coding: Coding) -> bool {
    let said = Said::of(headers);
    said.weight(coding) >= said.identity().max(1)
}

/// What a client says of codings: names and weights in thousandths.
struct Said<'h>(Vec<(&'h str, u16)>);

impl Said<'_> {
    fn of(headers: &HeaderMap) -> Said<'_> {
        let values = headers.get_all(ACCEPT_ENCODING).iter();
        let items = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        Said(items.filter_map(weighed).collect())
    }

    fn find(&self, is: impl Fn(&str) -> bool) -> Option<u16> {
        let found = self.0.iter().find(|(name, _)| is(name));
        found.map(|(_, weight)| *weight)
    }

    fn weight(&self, coding: Coding) -> u16 {
        let any = || self.find(|name| name == "*");
        self.find(|name| coding.is(name)).or_else(any).unwrap_or(0)
    }

    /// Bytes as they are always will do, but what is liked at all is liked more.
    fn identity(&self) -> u16 {
        let own = self.find(|name| name.eq_ignore_ascii_case("identity"));
        own.unwrap_or(0)
    }
}

/// A name and its weight in thousandths. A weight that is none drops the name.
fn weighed(item: &str) -> Option<(&str, u16)> {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let weight = parts.find_map(|part| {
        part.strip_prefix(['q', 'Q'])?
            .trim_start()
            .strip_prefix('=')
    });
    let Some(weight) = weight else {
        return Some((name, 1_000));
    };
    let weight: f32 = weight.trim().parse().ok()?;
    (0.0..=1.0)
        .contains(&weight)
        .then_some((name, (weight * 1_000.0).round() as u16))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(text: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(text).unwrap());
        wanted(&headers).map(Coding::name)
    }

    #[test]
    fn highest_weight_wins_and_then_the_hosts_own_order() {
        assert_eq!(of("gzip"), Some("gzip"));
        assert_eq!(of("X-GZIP"), Some("gzip"));
        assert_eq!(of("gzip, deflate, br, zstd"), Some("zstd"));
        assert_eq!(of("gzip;q=1.0, br;q=0.9"), Some("gzip"));
        assert_eq!(of("br ; q=0.5 , gzip;q=0.4"), Some("br"));
        assert_eq!(of("*"), Some("zstd"));
        assert_eq!(of("*;q=0.1, zstd;q=0"), Some("br"));
        assert_eq!(of("gzip;q=0.001"), Some("gzip"));
    }

    #[test]
    fn what_is_refused_or_liked_less_is_not_taken() {
        for text in [
            "",
            "identity",
            "gzip;q=0",
            "deflate",
            "gzip;q=0.5, identity;q=1",
            "*;q=0",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
        for odd in ["gzip;q=2", "gzip;q=-1", "gzip;q=NaN", ";q=1", "gzip;q="] {
            assert_eq!(of(odd), None, "{odd}");
        }
        assert_eq!(wanted(&HeaderMap::new()), None);
    }

    #[test]
    fn coding_that_is_not_liked_most_is_accepted_all_the_same() {
        let accepts = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(text).unwrap());
            super::accepts(&headers, Coding::Gzip)
        };
        for text in ["gzip", "gzip, br, zstd", "br;q=1, gzip;q=0.1", "*"] {
            assert!(accepts(text), "{text}");
        }
        for text in ["", "br", "gzip;q=0, *", "gzip;q=0.5, identity"] {
            assert!(!accepts(text), "{text}");
        }
    }
}
