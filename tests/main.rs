//! What Hearth does, told as tests.

mod gate;
mod harness;
mod keys;
mod pack;
mod postgres;
mod sql;
