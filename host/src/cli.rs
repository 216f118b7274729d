//! The commands, one file each.

pub mod keys;
pub mod pack;
