//! Hearth: one process that owns what is dear (connections, caches, batches,
//! queues) and lends it through WIT to sandboxed components.
//!
//! Imports run one way: `cli` -> `server`, `admin`, `schedule` -> `router`, `edge`,
//! `deploy` -> `consumer` -> `plugin` -> `capability` -> `backend` -> `budget`.
//! ARCHITECTURE.md has the map.

pub mod admin;
pub mod backend;
pub mod budget;
pub mod capability;
pub mod cli;
pub mod clock;
pub mod config;
pub mod consumer;
pub mod deploy;
pub mod edge;
pub mod embedded;
pub mod engine;
pub mod mode;
pub mod pacer;
pub mod plugin;
pub mod router;
pub mod schedule;
pub mod secret;
pub mod server;
pub mod telemetry;
