//! What every layer stands on: budgets, the clock, secrets, logs and metrics.

pub mod budget;
pub mod clock;
pub mod mode;
pub mod pacer;
pub mod secret;
pub mod section;
pub mod telemetry;
