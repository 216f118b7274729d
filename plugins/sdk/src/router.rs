//! Finds the handler for a method and path.

mod parameter;
mod pattern;

use crate::problem::Problem;
use crate::request::Request;
use crate::response::Response;
use crate::{Answer, percent};

pub use parameter::{Handler, PathParameter};
use pattern::Pattern;

type Endpoint = Box<dyn Fn(&Request, &[String]) -> Answer>;

/// The routes of a plugin, below its mount.
///
/// A segment in braces is a parameter: it matches one segment that is not empty,
/// and its percent-decoded text goes to the handler as the type that the handler
/// declares. A parameter that its type refuses is 404. A route that names a
/// segment wins over one that has a parameter there, whatever their order and
/// methods, as in OpenAPI: `/tickets/count` is never a ticket. A path that ends with a
/// slash is the path before it: `/tickets/` is `/tickets`.
///
/// An unknown path is 404; a known path with another method is 405 with `Allow`;
/// HEAD is answered as GET, and the host keeps the body to itself, OPTIONS with 204 and `Allow`.
///
/// ```
/// use hearth_plugin::prelude::*;
/// fn list(_: &Request) -> Answer {
///     Response::json(200, &[0; 0])
/// }
/// fn show(_: &Request, id: i64) -> Answer {
///     Response::json(200, &id)
/// }
/// fn router() -> Router {
///     Router::new().get("/notes", list).get("/notes/{id}", show)
/// }
/// ```
#[derive(Default)]
pub struct Router {
    routes: Vec<Route>,
}

struct Route {
    method: &'static str,
    pattern: Pattern,
    endpoint: Endpoint,
}

impl Router {
    /// A router without routes.
    pub fn new() -> Self {
        Router::default()
    }

    /// Answers GET (and so HEAD) at a pattern.
    pub fn get<P>(self, pattern: &'static str, handler: impl Handler<P>) -> Self {
        self.route("GET", pattern, handler)
    }

    /// Answers POST at a pattern.
    pub fn post<P>(self, pattern: &'static str, handler: impl Handler<P>) -> Self {
        self.route("POST", pattern, handler)
    }

    /// Answers PUT at a pattern.
    pub fn put<P>(self, pattern: &'static str, handler: impl Handler<P>) -> Self {
        self.route("PUT", pattern, handler)
    }

    /// Answers PATCH at a pattern.
    pub fn patch<P>(self, pattern: &'static str, handler: impl Handler<P>) -> Self {
        self.route("PATCH", pattern, handler)
    }

    /// Answers DELETE at a pattern.
    pub fn delete<P>(self, pattern: &'static str, handler: impl Handler<P>) -> Self {
        self.route("DELETE", pattern, handler)
    }

    /// Answers any method, in capitals, at a pattern.
    pub fn route<P>(
        mut self,
        method: &'static str,
        pattern: &'static str,
        handler: impl Handler<P>,
    ) -> Self {
        let pattern = Pattern::parse(pattern);
        let endpoint: Endpoint =
            Box::new(move |request, parameters| handler.call(request, parameters));
        self.routes.push(Route {
            method,
            pattern,
            endpoint,
        });
        self
    }

    /// Answers a request; every problem as `application/problem+json`.
    pub fn answer(&self, request: &Request) -> Response {
        let answer = self.dispatch(request);
        answer.unwrap_or_else(|problem| problem.into_response(request))
    }

    fn dispatch(&self, request: &Request) -> Answer {
        let path = request
            .local_path()
            .and_then(segments)
            .ok_or_else(Problem::not_found)?;
        let mut routes: Vec<_> = self
            .routes
            .iter()
            .filter(|route| route.pattern.matches(&path))
            .collect();
        let best = routes.iter().map(|route| route.pattern.rank()).min();
        let best = best.ok_or_else(Problem::not_found)?;
        routes.retain(|route| route.pattern.rank() == best);
        let with = |method| routes.iter().find(|route| route.method == method);
        let route = match request.method() {
            "HEAD" => with("HEAD").or_else(|| with("GET")),
            method => with(method),
        };
        match route {
            Some(route) => (route.endpoint)(request, &route.pattern.parameters(&path)),
            None if request.method() == "OPTIONS" => {
                Ok(Response::no_content().header("allow", &allow(&routes)))
            }
            None => Err(method_not_allowed(&allow(&routes))),
        }
    }
}

fn method_not_allowed(allow: &str) -> Problem {
    Problem::new(405, "method-not-allowed", "Method not allowed")
        .detail(["the methods allowed here are ", allow].concat())
        .header("allow", allow)
}

/// The methods of some routes, each once, as `Allow` wants them.
fn allow(routes: &[&Route]) -> String {
    let mut methods: Vec<_> = routes.iter().map(|route| route.method).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.sort_unstable();
    methods.dedup();
    methods.join(", ")
}

/// The percent-decoded segments of a path, but for the empty one behind a slash at its
/// end. `None` where one cannot be decoded.
fn segments(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').map(percent::decode).collect()
}

#[cfg(test)]
mod tests;
