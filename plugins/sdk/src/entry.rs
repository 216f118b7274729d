//! Converts the host's call into a request for a handler, and its answer back.

use std::time::Duration;

use crate::bindings::http::exports::hearth::plugin::handler as wire;
use crate::bindings::imports::hearth::plugin::types;
use crate::caller::Caller;
use crate::context::{Context, Deadline};
use crate::request::Request;
use crate::router::Router;

/// Makes a plugin of a router: exports `hearth:plugin/handler`. A handler that
/// panics ends in a trap, which the host answers with 500 and which rolls back
/// what was not committed.
///
/// ```
/// use hearth_plugin::prelude::*;
/// fn ping(_: &Request) -> Answer {
///     Response::json(200, &"pong")
/// }
/// fn router() -> Router {
///     Router::new().get("/ping", ping)
/// }
/// hearth_plugin::handler!(router);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! handler {
    ($router:path) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::http::exports::hearth::plugin::handler as wire;
            struct Component;
            impl wire::Guest for Component {
                fn handle(request: wire::Request) -> wire::Response {
                    $crate::entry::handle(request, $router())
                }
            }
    $crate::bindings::http::export_http!(Component with_types_in $crate::bindings::http);
        };
        // Elsewhere the plugin is only tested, and nothing calls it.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() -> $crate::Router = $router;
    };
}

/// Answers one request of the host.
#[doc(hidden)]
pub fn handle(request: wire::Request, router: Router) -> wire::Response {
    let (status, headers, body) = router.answer(&take(request)).into_parts();
    wire::Response {
        status,
        headers,
        body,
    }
}

fn take(request: wire::Request) -> Request {
    let target = match &request.query {
        Some(query) => [&request.path, "?", query].concat(),
        None => request.path,
    };
    Request::new(&request.method, &target, context(request.context))
        .with_headers(request.headers)
        .with_body(request.body)
}

pub(crate) fn context(context: types::Context) -> Context {
    let caller = context.caller.map(|caller| Caller {
        customer_id: caller.customer_id,
        key_id: caller.key_id,
        scopes: caller.scopes,
    });
    let deadline = Deadline::after(Duration::from_millis(context.deadline_ms));
    Context {
        request_id: context.request_id,
        caller,
        deadline,
        mount: context.mount,
    }
}
