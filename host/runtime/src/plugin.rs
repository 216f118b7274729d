//! A plugin from its file to an answered call.

pub mod admission;
pub mod background_runtime;
pub mod cached_routes;
pub mod call;
pub mod component;
pub mod deployment;
pub mod failing;
pub mod idle;
pub mod instance;
pub mod limits;
pub mod manifest;
pub mod memory;
pub mod meter;
pub mod openapi;
pub mod package;
pub mod slot;
pub mod state;
pub mod stdio;
