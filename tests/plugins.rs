//! What is said of the plugins as files.

use crate::harness::host::plugin;

const PACKED_BYTES_MAX: u64 = 1 << 20;

#[test]
fn packed_plugins_are_at_most_one_mebibyte_each() {
    for name in ["tickets", "webhooks", "forecasting", "notifications"] {
        let size = std::fs::metadata(plugin(name)).unwrap().len();
        assert!(size <= PACKED_BYTES_MAX, "{name}: {size} bytes");
    }
}
