//! What the host does with a request before and after a plugin.

pub mod conditional;
pub mod cors;
pub mod docs;
mod fixed;
pub mod health;
pub mod idempotency;
pub mod keys;
pub mod openapi;
mod packed;
pub mod problem;
pub mod rate;
pub mod response_cache;
pub mod x_cache;
