//! What Hearth does, told as tests. One file a capability or a promise.

mod accounting;
mod bench;
mod cli_deploy;
mod component;
mod config;
mod config_file;
mod deploy;
mod durability;
mod edge;
mod first_light;
mod gate;
mod harness;
mod hostile_guests;
mod idempotency;
mod keys;
mod load;
mod log;
mod metrics;
mod pack;
mod plugins;
mod postgres;
mod problem;
mod refusals;
mod sql;
mod swap;
mod tickets;
