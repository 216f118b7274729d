//! What a client says of the codings that it takes.

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
    let said: Vec<(&str, u16)> = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(weighed)
        .collect();
    let named = |is: &dyn Fn(&str) -> bool| {
        let found = said.iter().find(|(name, _)| is(name));
        found.map(|(_, weight)| *weight)
    };
    let any = named(&|name| name == "*").unwrap_or(0);
    // Bytes as they are always will do, but what is liked at all is liked more.
    let identity = named(&|name| name.eq_ignore_ascii_case("identity")).unwrap_or(0);
    let mut best = None;
    let mut most = identity.max(1);
    for coding in CODINGS {
        let weight = named(&|name| coding.is(name)).unwrap_or(any);
        if weight > most || (weight == most && best.is_none()) {
            (best, most) = (Some(coding), weight);
        }
    }
    best
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
}
