//! The capabilities: the host's implementations of the WIT interfaces.
//!
//! One line in the list below is all that a new capability touches outside its
//! own file. The list makes the structs that hold every capability's parts, so
//! leaving a part out does not compile.

pub mod call;
pub mod config;
pub mod log;
pub mod metrics;
pub mod sql;

pub use call::Call;
