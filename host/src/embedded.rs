//! What `make run` starts by itself, so that an empty machine can serve.

#[cfg(feature = "embedded-dynamodb")]
pub mod dynamodb;
pub mod postgres;
