//! edge/keys
