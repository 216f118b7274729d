//! plugin/package
