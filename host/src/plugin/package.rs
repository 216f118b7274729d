//! A packed plugin: one file that is a component and carries everything else in
//! custom sections.

mod interface;

pub use interface::{CONTRACT, CONTRACT_VERSION, Import, Interface};
