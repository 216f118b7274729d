//! Python programs that some tests use: `tests/tools/python` installs them.

use std::path::PathBuf;

/// A program of `.toolchain/python`.
pub fn python(program: &str) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../.toolchain/python/bin")
        .join(program);
    assert!(
        file.is_file(),
        "{program} is missing: run `make test`, or `make tools` for it alone"
    );
    file
}
