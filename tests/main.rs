//! What Hearth does, told as tests.

mod gate;
mod harness;
mod keys;
mod postgres;
mod sql;
