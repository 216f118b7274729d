//! The capability `sql`, on a real cluster and without Wasm: a `View` per call,
//! as a plugin's imports get it.

mod analyse;
mod batch;
mod cancel;
mod fixture;
mod gate;
mod ledger;
mod limits;
mod metrics;
mod migrate;
mod migrate_as_owner;
mod pool;
mod scans;
mod tenancy;
mod transaction;
mod values;
