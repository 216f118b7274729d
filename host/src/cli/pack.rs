//! cli/pack
