//! What is said of the plugins as files.

use crate::harness::host::plugin;

const PACKED_BYTES_MAX: u64 = 1 << 20;

#[test]
fn packed_tickets_plugin_is_at_most_one_mebibyte() {
    let size = std::fs::metadata(plugin("tickets")).unwrap().len();
    assert!(size <= PACKED_BYTES_MAX, "{size} bytes");
}
