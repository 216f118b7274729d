//! Hearth: one process that owns what is expensive (connections, caches, batches,
//! queues) and lends it through WIT to sandboxed components.
//!
//! The layers are crates, from the bottom up: `hearth-base`, `hearth-backend`,
//! `hearth-runtime`, `hearth-server`, and this one, which has the commands and what `make run`
//! starts beside the host. ARCHITECTURE.md has the map.

pub use hearth_backend as backend;
pub use hearth_base::{budget, clock, mode, pacer, secret, telemetry};
pub use hearth_runtime::{capability, consumer, engine, plugin, router};
pub use hearth_server::{admin, config, deploy, edge, schedule, server};

pub mod cli;
pub mod embedded;
