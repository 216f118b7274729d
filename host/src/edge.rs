//! What a request meets before a plugin.

pub mod keys;
pub mod problem;
