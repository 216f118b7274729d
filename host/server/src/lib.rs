//! What clients and operators meet: the listener and the edge, the configuration, deploys and
//! the admin API.

pub mod admin;
pub mod config;
pub mod deploy;
pub mod edge;
pub mod schedule;
pub mod server;
