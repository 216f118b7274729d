//! From a path to the route of the manifest that it is.

use percent_encoding::percent_decode_str;

use hearth_runtime::plugin::deployment::Deployment;
use hearth_runtime::plugin::manifest::{CachedRoute, Piece, Segment};

/// A route and the values of its parameters.
pub struct Matched<'a> {
    pub route: &'a CachedRoute,
    values: Vec<String>,
}

/// The route that a request's path is.
pub fn find<'a>(deployment: &'a Deployment, path: &str) -> Option<Matched<'a>> {
    if deployment.cached.is_empty() {
        return None;
    }
    let local = path.strip_prefix(deployment.mount.trim_end_matches('/'))?;
    let segments: Vec<&str> = match local {
        "" | "/" => Vec::new(),
        local => local.strip_prefix('/')?.split('/').collect(),
    };
    let route = deployment.cached.find(&segments)?;
    let values = values(route, &segments)?;
    Some(Matched { route, values })
}

/// A plugin sees decoded parameters, so tags are made of those.
fn values(route: &CachedRoute, segments: &[&str]) -> Option<Vec<String>> {
    let pairs = route.path.iter().zip(segments);
    let parameters = pairs.filter(|(own, _)| matches!(own, Segment::Parameter(_)));
    let decoded = |given| Some(percent_decode_str(given).decode_utf8().ok()?.into_owned());
    parameters.map(|(_, given)| decoded(given)).collect()
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
