//! Numbers that a setting may have.

use super::{load, mistakes};

#[test]
fn bounds_of_the_private_database_are_read_and_checked() {
    let config = load("[database.embedded]\nbackend_memory_bytes_max = 1_073_741_824").unwrap();
    assert_eq!(config.database.embedded.backend_memory_bytes_max, 1 << 30);
    assert_eq!(config.database.embedded.temp_file_bytes_max, 1 << 30);
    let told = mistakes(
        "[database.embedded]\nbackend_memory_bytes_max = 1_000\ntemp_file_bytes_max = 0\n",
    );
    let keys: Vec<_> = told
        .iter()
        .map(|(line, _, key, _)| (*line, key.as_str()))
        .collect();
    let expected = [
        (2, "database.embedded.backend_memory_bytes_max"),
        (3, "database.embedded.temp_file_bytes_max"),
    ];
    assert_eq!(keys, expected);
}

#[test]
fn keys_and_statements_have_bounds() {
    let told = mistakes("[keys]\nfresh_ms_max = 1_001\n[sql]\ntenant_percent_max = 101\n");
    let found: Vec<_> = told
        .iter()
        .map(|(line, _, key, text)| (*line, key.as_str(), text.as_str()))
        .collect();
    let expected = [
        (2, "keys.fresh_ms_max", "expected 1 to 1000, found 1001"),
        (4, "sql.tenant_percent_max", "expected 1 to 100, found 101"),
    ];
    assert_eq!(found, expected);
}
