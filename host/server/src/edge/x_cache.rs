//! `X-Cache`: what the caches had to do with an answer.
//!
//! A list. First `HIT`, `STALE` or `MISS`, of the response cache where the route is
//! one whose answers are kept (there also `BYPASS`), else of what the plugin looked
//! for in the fleet's cache, the worst of it. Then `shared` where another host had
//! computed something of it, or `shared-away` where the shared tier could not be
//! asked.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use hearth_runtime::capability::{Cached, Lookups};

pub const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// Says what a plugin's own looks found, unless the plugin said it.
pub fn tell_lookups(lookups: &Lookups, headers: &mut HeaderMap) {
    let found = match lookups.found() {
        None => return,
        Some(Cached::Hit) => "HIT",
        Some(Cached::Stale) => "STALE",
        Some(Cached::Miss) => "MISS",
    };
    let own = headers.get(X_CACHE).and_then(|own| own.to_str().ok());
    let found = own.unwrap_or(found);
    let said = match (lookups.away(), lookups.shared()) {
        (true, _) => format!("{found}, {AWAY}"),
        (false, true) => format!("{found}, shared"),
        (false, false) => found.to_owned(),
    };
    if let Ok(said) = HeaderValue::from_str(&said) {
        headers.insert(X_CACHE, said);
    }
}

/// Says what the response cache did with an answer that the plugin made.
pub fn tell_response(did: &str, headers: &mut HeaderMap) {
    let members = headers.get(X_CACHE).and_then(|said| said.to_str().ok());
    let mut members = members.unwrap_or_default().split(',').map(str::trim);
    let said = match members.any(|member| member == AWAY) {
        true => format!("{did}, {AWAY}"),
        false => did.to_owned(),
    };
    if let Ok(said) = HeaderValue::from_str(&said) {
        headers.insert(X_CACHE, said);
    }
}

const AWAY: &str = "shared-away";

#[cfg(test)]
mod tests {
    use super::*;

    fn told(looks: &[(Cached, bool, bool)], own: Option<&'static str>) -> Option<String> {
        let (lookups, mut headers) = (Lookups::default(), HeaderMap::new());
        for (found, shared, away) in looks {
            lookups.note(*found, *shared, *away);
        }
        if let Some(own) = own {
            headers.insert(X_CACHE, HeaderValue::from_static(own));
        }
        tell_lookups(&lookups, &mut headers);
        let said = headers.get(X_CACHE);
        said.map(|said| said.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_worst_look_is_told_and_what_the_shared_tier_did() {
        let hit = (Cached::Hit, false, false);
        assert_eq!(told(&[], None), None);
        assert_eq!(told(&[hit], None).unwrap(), "HIT");
        let shared = (Cached::Hit, true, false);
        assert_eq!(told(&[hit, shared], None).unwrap(), "HIT, shared");
        let away = (Cached::Miss, false, true);
        assert_eq!(told(&[shared, away], None).unwrap(), "MISS, shared-away");
        let stale = (Cached::Stale, false, false);
        assert_eq!(told(&[stale, hit], None).unwrap(), "STALE");
        assert_eq!(told(&[away], Some("HIT")).unwrap(), "HIT, shared-away");
    }

    #[test]
    fn a_kept_route_says_what_the_response_cache_did() {
        let mut headers = HeaderMap::new();
        tell_response("MISS", &mut headers);
        assert_eq!(headers[X_CACHE], "MISS");
        headers.insert(X_CACHE, HeaderValue::from_static("HIT, shared"));
        tell_response("MISS", &mut headers);
        assert_eq!(headers[X_CACHE], "MISS");
        headers.insert(X_CACHE, HeaderValue::from_static("HIT, shared-away"));
        tell_response("BYPASS", &mut headers);
        assert_eq!(headers[X_CACHE], "BYPASS, shared-away");
    }
}
