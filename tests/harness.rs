//! Real parts to test against.

pub mod postgres;
