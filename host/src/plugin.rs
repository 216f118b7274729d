//! A plugin from its file to an answered call.

pub mod manifest;
pub mod package;
