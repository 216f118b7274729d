//! From a path to the route of the manifest that it is.

use percent_encoding::percent_decode_str;

use crate::plugin::deployment::Deployment;
use crate::plugin::manifest::{CachedRoute, Piece, Segment};

/// A route and the values of its parameters.
pub struct Matched<'a> {
    pub route: &'a CachedRoute,
    values: Vec<String>,
}

/// The first route that fits a request's path.
pub fn find<'a>(deployment: &'a Deployment, path: &str) -> Option<Matched<'a>> {
    let routes = &deployment.manifest.response_cache;
    if routes.is_empty() {
        return None;
    }
    let local = path.strip_prefix(deployment.mount.trim_end_matches('/'))?;
    let segments: Vec<&str> = match local {
        "" | "/" => Vec::new(),
        local => local.strip_prefix('/')?.split('/').collect(),
    };
    routes.iter().find_map(|route| fit(route, &segments))
}

/// A plugin sees decoded parameters, so tags are made of those.
fn fit<'a>(route: &'a CachedRoute, segments: &[&str]) -> Option<Matched<'a>> {
    if route.path.len() != segments.len() {
        return None;
    }
    let mut values = Vec::new();
    for (own, given) in route.path.iter().zip(segments) {
        match own {
            Segment::Text(text) if text == given => {}
            Segment::Parameter(_) if !given.is_empty() => {
                values.push(percent_decode_str(given).decode_utf8().ok()?.into_owned());
            }
            _ => return None,
        }
    }
    Some(Matched { route, values })
}

impl Matched<'_> {
    pub fn tags(&self) -> Vec<String> {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Parameter(place) => self.values.get(*place).cloned().unwrap_or_default(),
        };
        let tag = |pieces: &Vec<Piece>| pieces.iter().map(text).collect();
        self.route.tags.iter().map(tag).collect()
    }
}
