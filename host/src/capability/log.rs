//! capability/log
