//! Puts into the binary what `hearth new` writes: the SDK, the templates, and the versions
//! of crates with which all of it was built here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = |name| env::var_os(name).map(PathBuf::from).unwrap_or_default();
    let checkout = folder("CARGO_MANIFEST_DIR").join("..");
    let mut code = String::new();
    for (name, tree) in [("SDK", "plugins/sdk"), ("TEMPLATES", "plugins/templates")] {
        let root = checkout.join(tree);
        let mut files = Vec::new();
        gather(&root, &mut files)?;
        files.sort();
        let _ = writeln!(code, "pub const {name}: &[(&str, &str)] = &[");
        for file in files {
            let short = file.strip_prefix(&root).unwrap_or(&file);
            let (short, file) = (short.display().to_string(), file.display().to_string());
            let _ = writeln!(code, "({short:?}, include_str!({file:?})),");
        }
        code.push_str("];\n");
    }
    for (name, file) in [("WORKSPACE", "Cargo.toml"), ("LOCK", "Cargo.lock")] {
        let file = checkout.join(file).display().to_string();
        let _ = writeln!(code, "pub const {name}: &str = include_str!({file:?});");
    }
    fs::write(folder("OUT_DIR").join("embedded.rs"), code)
}

/// Every file of a tree, links followed, but for what is built.
fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true if path.ends_with("target") => {}
            true => gather(&path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}
