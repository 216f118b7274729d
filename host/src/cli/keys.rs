//! cli/keys
