//! What the tests stand on: real hosts, real clusters.

pub mod collector;
mod compiled;
pub mod dynamodb;
pub mod fleet;
pub mod host;
pub mod meter;
pub mod planner;
pub mod postgres;
pub mod python;
pub mod raw;
pub mod redis;
pub mod schemathesis;
pub mod setup;
pub mod sqs;
mod template;
pub mod tool;
pub mod versions;
