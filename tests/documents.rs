//! The capability `documents`: what is stored comes back exactly, to whom it belongs
//! alone, and what was acknowledged is there.

mod batches;
mod expiry;
mod faults;
mod fixture;
mod guest;
mod items;
mod many;
mod moto;
mod query;
mod tenancy;
mod update;
