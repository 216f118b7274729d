//! What Hearth does, told as tests.

mod harness;
mod keys;
mod postgres;
