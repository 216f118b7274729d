//! Computes without end before it is ever called: in its start function.

use hearth_plugin::prelude::*;

extern "C" fn spin() {
    let mut number = 0_u64;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
}

/// Constructors run in `_initialize`, which is a component's start.
#[used]
#[unsafe(link_section = ".init_array")]
static SPIN: extern "C" fn() = spin;

fn ok(_: &Request) -> Answer {
    Ok(Response::no_content())
}

fn router() -> Router {
    Router::new().get("/", ok)
}

hearth_plugin::handler!(router);
