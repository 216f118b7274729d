//! The statements of the plugin. None names customer_id: the host's policy adds it to
//! each, and its default fills it in. None asks Postgres for the time: every instant is
//! the host's, which the plugin passes.

pub mod attempts;
pub mod deliveries;
pub mod endpoints;
pub mod events;
pub mod requeue;
