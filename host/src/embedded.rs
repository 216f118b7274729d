//! What `make run` starts by itself, so that an empty machine can serve.

pub mod postgres;
