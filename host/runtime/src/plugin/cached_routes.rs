//! The routes whose answers the host may keep, beside the plugin's other routes.
//!
//! `/{id}` fits `/count` too. As in OpenAPI the path that names a segment wins over the
//! one that has a parameter there, so `/count` is kept only where an entry of its own
//! says so. Which paths there are, the plugin's part of the OpenAPI document tells.

use super::manifest::{CachedRoute, Segment};
use super::openapi::Fragment;

/// Every entry of a manifest that a plugin's routes bear out.
#[derive(Debug, Default)]
pub struct CachedRoutes(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    route: CachedRoute,
    /// Paths of the plugin that win over it.
    winners: Vec<Vec<Segment>>,
}

impl CachedRoutes {
    /// The entries beside the plugin's paths, which begin with `mount`.
    ///
    /// # Errors
    /// With each entry that fits no GET of the plugin's, where it says which it has.
    pub fn of(
        routes: &[CachedRoute],
        fragment: &Fragment,
        mount: &str,
    ) -> Result<CachedRoutes, Vec<String>> {
        let paths: Vec<(Vec<Segment>, bool)> = fragment
            .paths
            .iter()
            .filter_map(|(path, item)| Some((segments(path, mount)?, item.get("get").is_some())))
            .collect();
        let is_get = |route: &CachedRoute| {
            let mut gets = paths.iter().filter(|(_, has_get)| *has_get);
            paths.is_empty() || gets.any(|(path, _)| covers(path, &route.path))
        };
        let mistakes: Vec<String> = routes
            .iter()
            .filter(|route| !is_get(route))
            .map(|route| text(&route.path))
            .map(|path| format!("[[response_cache]] {path}: its OpenAPI part has no GET there"))
            .collect();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let mut entries: Vec<Entry> = routes
            .iter()
            .map(|route| Entry {
                winners: winners(route, &paths),
                route: route.clone(),
            })
            .collect();
        // Stable: of two that are alike the first wins.
        entries.sort_by_key(|entry| rank(&entry.route.path));
        Ok(CachedRoutes(entries))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entry of a path, given by its segments below the mount.
    pub fn find(&self, path: &[&str]) -> Option<&CachedRoute> {
        let fitting = self.0.iter().find(|entry| fits(&entry.route.path, path))?;
        let is_other = fitting.winners.iter().any(|winner| fits(winner, path));
        (!is_other).then_some(&fitting.route)
    }
}

/// A path below the mount, segment by segment. One that is text in part is a parameter.
fn segments(path: &str, mount: &str) -> Option<Vec<Segment>> {
    let local = path.strip_prefix(mount.trim_end_matches('/'))?;
    let segment = |text: &str| match text.contains('{') {
        true => Segment::Parameter(text.trim_matches(['{', '}']).to_owned()),
        false => Segment::Text(text.to_owned()),
    };
    match local {
        "" | "/" => Some(Vec::new()),
        local => Some(local.strip_prefix('/')?.split('/').map(segment).collect()),
    }
}

/// Whether each path of `narrow` is one of `wide`.
fn covers(wide: &[Segment], narrow: &[Segment]) -> bool {
    let covers = |(wide, narrow): (&Segment, &Segment)| match (wide, narrow) {
        (Segment::Parameter(_), _) => true,
        (Segment::Text(wide), Segment::Text(narrow)) => wide == narrow,
        (Segment::Text(_), Segment::Parameter(_)) => false,
    };
    wide.len() == narrow.len() && wide.iter().zip(narrow).all(covers)
}

fn winners(route: &CachedRoute, paths: &[(Vec<Segment>, bool)]) -> Vec<Vec<Segment>> {
    let own = rank(&route.path);
    let paths = paths.iter().map(|(path, _)| path);
    let wins = |path: &&Vec<Segment>| path.len() == own.len() && rank(path) < own;
    paths.filter(wins).cloned().collect()
}

/// Orders the patterns of one path: text comes before a parameter, from left to right.
fn rank(path: &[Segment]) -> Vec<bool> {
    let is_parameter = |segment: &Segment| matches!(segment, Segment::Parameter(_));
    path.iter().map(is_parameter).collect()
}

fn fits(pattern: &[Segment], path: &[&str]) -> bool {
    let fits = |(own, given): (&Segment, &&str)| match own {
        Segment::Text(text) => text == given,
        Segment::Parameter(_) => !given.is_empty(),
    };
    pattern.len() == path.len() && pattern.iter().zip(path).all(fits)
}

fn text(path: &[Segment]) -> String {
    let segments = path.iter().map(|segment| match segment {
        Segment::Text(text) => format!("/{text}"),
        Segment::Parameter(name) => format!("/{{{name}}}"),
    });
    match path.is_empty() {
        true => "/".into(),
        false => segments.collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn route(path: &str) -> CachedRoute {
        CachedRoute {
            path: segments(path, "").unwrap(),
            ttl_ms: 1,
            tags: Vec::new(),
            not_found: false,
            vary: Vec::new(),
        }
    }

    fn of(entries: &[&str], paths: Value) -> Result<CachedRoutes, Vec<String>> {
        let routes: Vec<CachedRoute> = entries.iter().map(|path| route(path)).collect();
        let fragment = Fragment {
            paths: paths.as_object().unwrap().clone(),
            ..Fragment::default()
        };
        CachedRoutes::of(&routes, &fragment, "/m")
    }

    fn found(routes: &CachedRoutes, path: &str) -> Option<String> {
        let path: Vec<&str> = path.split('/').skip(1).collect();
        routes.find(&path).map(|route| text(&route.path))
    }

    #[test]
    fn path_of_another_route_is_not_taken_for_a_parameter() {
        let paths =
            json!({"/m/{id}": {"get": {}}, "/m/count": {"get": {}}, "/m/all": {"post": {}}});
        let routes = of(&["/{id}"], paths.clone()).unwrap();
        assert_eq!(found(&routes, "/7").as_deref(), Some("/{id}"));
        for other in ["/count", "/all", "/7/8", "/"] {
            assert_eq!(found(&routes, other), None, "{other}");
        }
        let both = of(&["/{id}", "/count"], paths).unwrap();
        assert_eq!(found(&both, "/count").as_deref(), Some("/count"));
    }

    #[test]
    fn entry_that_is_no_route_of_the_plugin_is_a_mistake() {
        let paths = json!({"/m/{id}": {"get": {}}, "/m/{id}/parts": {"post": {}}});
        for wrong in ["/{id}/{part}", "/{id}/parts", "/"] {
            let mistakes = of(&[wrong], paths.clone()).unwrap_err();
            assert!(mistakes[0].contains(&format!("{wrong}: ")), "{mistakes:?}");
        }
        assert!(of(&["/{name}", "/one"], paths).is_ok());
        assert!(
            of(&["/whatever"], json!({})).is_ok(),
            "it says nothing of its routes"
        );
    }
}
