//! What an answer belongs to.

use std::sync::Arc;

use http::request::Parts;

use crate::edge::keys::Caller;
use hearth_base::budget::Customer;
use hearth_runtime::plugin::deployment::Deployment;

/// All that an answer may depend on: two requests that differ in any of it never
/// get one another's answer. A new deployment begins with nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    plugin: Arc<str>,
    deployment: u64,
    customer: Customer,
    scopes: Vec<String>,
    path: String,
    /// In the order of the names, so that clients may write it as they like.
    query: Vec<String>,
    vary: Vec<Vec<Vec<u8>>>,
}

impl Key {
    pub fn of(
        deployment: &Deployment,
        parts: &Parts,
        caller: Option<&Caller>,
        vary: &[String],
    ) -> Key {
        let mut scopes = caller.map_or_else(Vec::new, |caller| caller.scopes.to_vec());
        scopes.sort_unstable();
        scopes.dedup();
        let values = |name: &String| {
            let lines = parts.headers.get_all(name).iter();
            lines.map(|line| line.as_bytes().to_vec()).collect()
        };
        Key {
            plugin: deployment.plugin.clone(),
            deployment: deployment.number,
            customer: caller.map(|caller| caller.customer_id.clone()),
            scopes,
            path: parts.uri.path().to_owned(),
            query: query(parts.uri.query().unwrap_or_default()),
            vary: vary.iter().map(values).collect(),
        }
    }

    pub fn customer(&self) -> &Customer {
        &self.customer
    }

    pub fn bytes(&self) -> usize {
        let texts = self.scopes.iter().chain(&self.query).map(String::len);
        let vary = self.vary.iter().flatten().map(Vec::len);
        self.path.len() + texts.sum::<usize>() + vary.sum::<usize>()
    }
}

/// The pairs by name; those of one name stay in their order, which may matter.
fn query(text: &str) -> Vec<String> {
    let mut pairs: Vec<String> = text
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(str::to_owned)
        .collect();
    pairs.sort_by(|one, other| name(one).cmp(name(other)));
    pairs
}

fn name(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}
