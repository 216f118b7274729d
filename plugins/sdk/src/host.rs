//! What answers the SDK: the host, or on the author's machine what a test has set up.

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::bindings::imports::hearth::plugin::{
    cache, config, documents, log, metrics, outbound, push, queue,
};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::{cache, config, documents, log, metrics, outbound, push, queue};

/// Ends a test that asks for SQL, which Postgres alone answers.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn require_postgres() {
    panic!(
        "the handler asks Postgres for something, which no test on this machine answers: test          what is before and behind it here, and the whole against a host"
    );
}

#[cfg(target_arch = "wasm32")]
pub(crate) fn require_postgres() {}
