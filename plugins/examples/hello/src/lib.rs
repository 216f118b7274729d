//! Greets the customer: `GET /hello`.
//!
//! Everything here is written by hand against the contract in `wit/`, to show
//! what a plugin is without the SDK: one function from a request to a response.

#[allow(warnings)]
#[rustfmt::skip]
mod bindings;

use bindings::exports::hearth::plugin::handler::{Guest, Request, Response};
use bindings::hearth::plugin::log;

struct Hello;

impl Guest for Hello {
    fn handle(request: Request) -> Response {
        if request.path != request.context.mount {
            return problem(404, "Not Found");
        }
        if request.method != "GET" {
            let mut response = problem(405, "Method Not Allowed");
            response.headers.push(header("allow", "GET"));
            return response;
        }
        greet(&request)
    }
}

/// The host has already checked the API key and says in the context whose it is.
fn greet(request: &Request) -> Response {
    let context = &request.context;
    let customer = match &context.caller {
        Some(caller) => caller.customer_id.as_str(),
        None => "stranger",
    };
    let (customer, request_id) = (escape(customer), escape(&context.request_id));
    log::write(log::Level::Info, "greeted a customer", "");
    Response {
        status: 200,
        headers: vec![header("content-type", "application/json")],
        body: format!(
            r#"{{"greeting":"Hello, {customer}!","customer_id":"{customer}","request_id":"{request_id}"}}"#
        )
        .into_bytes(),
    }
}

/// An error as RFC 9457 has it.
fn problem(status: u16, title: &str) -> Response {
    Response {
        status,
        headers: vec![header("content-type", "application/problem+json")],
        body: format!(r#"{{"type":"about:blank","title":"{title}","status":{status}}}"#)
            .into_bytes(),
    }
}

fn header(name: &str, value: &str) -> (String, Vec<u8>) {
    (name.to_string(), value.as_bytes().to_vec())
}

/// Text inside a JSON string (RFC 8259, section 7).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\\' => escaped.extend(['\\', character]),
            control if control < ' ' => escaped.push_str(&format!("\\u{:04x}", control as u32)),
            plain => escaped.push(plain),
        }
    }
    escaped
}

bindings::export!(Hello with_types_in bindings);
