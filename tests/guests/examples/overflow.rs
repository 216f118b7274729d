//! Calls itself until its stack is full.

use hearth_plugin::prelude::*;

#[allow(unconditional_recursion, reason = "this is what the guest is for")]
#[inline(never)]
fn deeper(level: u64) -> u64 {
    let here = std::hint::black_box([level; 16]);
    std::hint::black_box(deeper(level.wrapping_add(1))).wrapping_add(here[3])
}

fn overflow(_: &Request) -> Answer {
    Response::json(200, &deeper(0))
}

fn router() -> Router {
    Router::new().get("/", overflow)
}

hearth_plugin::handler!(router);
