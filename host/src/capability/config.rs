//! capability/config
