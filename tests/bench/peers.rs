//! Whom Hearth is held against. What they are and how they are started is as good for
//! them as it gets: a peer that is handicapped says nothing.

pub mod native;
pub mod pgbench;
pub mod process;
pub mod python;
pub mod wasmtime;
