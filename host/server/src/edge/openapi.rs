//! `GET /openapi.json`: the OpenAPI documents of all plugins that serve, merged into
//! one of version 3.1. It is built with the first request after a swap, and cached
//! until the next.
//!
//! No key is required: the document has no data of customers, and nothing that the
//! answers themselves do not show.

mod describe;
mod merge;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::Full;
use serde_json::Value;

use super::fixed::Fixed;
use super::problem::Problem;
use hearth_runtime::plugin::deployment::Deployment;
use hearth_runtime::router::Router;

pub use merge::{Part, merge};

/// The document of what serves now.
pub struct Documents {
    router: Arc<Router>,
    current: ArcSwapOption<CurrentDocument>,
    /// Many who ask at once after a swap wait for one who makes it.
    making: tokio::sync::Mutex<()>,
}

struct CurrentDocument {
    /// The deployments that the document is of: plugin and number.
    of: Vec<(Arc<str>, u64)>,
    document: Fixed,
}

impl Documents {
    pub fn new(router: Arc<Router>) -> Documents {
        Documents {
            router,
            current: ArcSwapOption::empty(),
            making: tokio::sync::Mutex::new(()),
        }
    }

    /// The document, or 304 where the client has it.
    pub async fn answer(&self, headers: &HeaderMap) -> Result<Response<Full<Bytes>>, Problem> {
        let current = match self.kept() {
            Some(current) => current,
            None => self.made().await?,
        };
        Ok(current.document.answer(headers))
    }

    fn kept(&self) -> Option<Arc<CurrentDocument>> {
        let current = self.current.load_full()?;
        (current.of == names(&self.router.deployments())).then_some(current)
    }

    async fn made(&self) -> Result<Arc<CurrentDocument>, Problem> {
        let _making = self.making.lock().await;
        if let Some(current) = self.kept() {
            return Ok(current);
        }
        let serving = self.router.deployments();
        // Megabytes of JSON may be in it: not on a thread that serves.
        let made = tokio::task::spawn_blocking(move || CurrentDocument::of(&serving)).await;
        let current = Arc::new(made.map_err(|_| Problem::internal())?);
        self.current.store(Some(current.clone()));
        Ok(current)
    }
}

impl CurrentDocument {
    fn of(serving: &[Arc<Deployment>]) -> CurrentDocument {
        let part = |deployment: &Arc<Deployment>| Part {
            plugin: deployment.plugin.clone(),
            mount: deployment.mount.clone(),
            public: deployment.manifest.public,
            fragment: deployment.openapi.clone(),
        };
        let parts: Vec<Part> = serving.iter().map(part).collect();
        let document = Value::Object(merge(&parts)).to_string();
        CurrentDocument {
            of: names(serving),
            document: Fixed::new("application/json", Bytes::from(document)),
        }
    }
}

fn names(serving: &[Arc<Deployment>]) -> Vec<(Arc<str>, u64)> {
    let name = |one: &Arc<Deployment>| (one.plugin.clone(), one.number);
    serving.iter().map(name).collect()
}
