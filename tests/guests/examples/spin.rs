//! Computes without end.

use hearth_plugin::prelude::*;

fn spin(_: &Request) -> Answer {
    let mut number = 0_u64;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
}

fn router() -> Router {
    Router::new().get("/", spin)
}

hearth_plugin::handler!(router);
