//! Takes memory until there is none.

use hearth_plugin::prelude::*;

fn bomb(_: &Request) -> Answer {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        taken.push(std::hint::black_box(vec![1; 1 << 20]));
    }
}

fn router() -> Router {
    Router::new().get("/", bomb)
}

hearth_plugin::handler!(router);
