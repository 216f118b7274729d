//! Programs of others that some tests use: `tests/tools/debian` fetches them, and
//! `tests/tools/browser` installs the one that cannot be fetched.

use std::path::PathBuf;
use std::process::Command;

/// A command of the program, from the machine or from `.toolchain/tools`.
pub fn tool(program: &str) -> Command {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let on_machine = std::env::split_paths(&paths).map(|folder| folder.join(program));
    let fetched = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../.toolchain/tools/{program}/launch/{program}"));
    let found = on_machine.chain([fetched]).find(|file| file.is_file());
    let Some(file) = found else {
        panic!("{program} is missing: run `make test`, or `make tools` for it alone");
    };
    Command::new(file)
}
