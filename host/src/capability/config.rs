//! The interface `config`: what the operator set for a plugin.
//!
//! The values are read when the configuration is loaded. A call finds them in
//! memory, and nothing that a guest asks for reaches a file or the environment.
