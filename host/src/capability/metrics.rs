//! capability/metrics
