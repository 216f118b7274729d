//! The notifications plugin as its customers see it: through HTTP, on real hosts with
//! a DynamoDB.

mod attack;
mod calls;
mod digests;
mod events;
pub mod fixture;
mod growth;
mod kills;
mod lists;
mod many;
mod marks;
mod model;
mod preferences;
mod refusals;
mod retries;
mod stream;
mod swaps;
mod templates;
mod tenancy;
mod versions;
