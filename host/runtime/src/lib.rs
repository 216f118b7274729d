//! Plugins: the engine, what is lent to them, their calls, and the queues that they consume.

pub mod capability;
pub mod consumer;
pub mod engine;
pub mod plugin;
pub mod router;
