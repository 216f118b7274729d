//! plugin/manifest
