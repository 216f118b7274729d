//! Imports of the host run one way. The compiler holds its crates to that, and this the
//! folders in them, by their source: each imports what lies below it, and nothing beside or
//! above.

mod backend;
mod capabilities;
mod names;

use std::collections::BTreeMap;
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

/// From the bottom up. What stands in one line does not import each other.
const LAYERS: [&[&str]; 13] = [
    &["section"],
    &["budget", "clock", "engine", "mode", "pacer", "secret"],
    &["telemetry"],
    &["backend"],
    &["capability", "embedded"],
    &["plugin"],
    &["consumer", "router"],
    &["edge", "schedule"],
    &["server"],
    &["config"],
    &["deploy"],
    &["admin"],
    &["cli"],
];
/// The crates, in host/. All of `backend` is one layer here; `backend.rs` has its own.
const CRATES: [&str; 5] = [
    "base/src",
    "backend/src",
    "runtime/src",
    "server/src",
    "src",
];
const BACKEND: &str = "backend";
/// What only lists the others.
const ROOTS: [&str; 2] = ["lib", "main"];

/// The files of a folder and of those in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| match path.is_dir() {
        true => files(&path),
        false => vec![path],
    });
    files
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect()
}

/// A text without the tests at its end.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
}

/// The folders that a text imports from, its comments and tests aside.
fn imported(text: &str) -> Vec<String> {
    let lines = without_tests(text).lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.flat_map(|line| [line, "\n"]).collect();
    let roots = ["crate", "hearth_base", "hearth_runtime", "hearth_server"];
    let mut names: Vec<String> = Vec::new();
    for root in roots {
        names.extend(
            code.split(&format!("{root}::"))
                .skip(1)
                .flat_map(first_names),
        );
    }
    names.extend(
        code.contains("hearth_backend::")
            .then(|| BACKEND.to_owned()),
    );
    names
}

/// The first name of a path, or of each in a list.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        let letters = text.trim_start().chars();
        letters
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let Some(list) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let (list, mut depth) = (list.split(';').next().unwrap_or_default(), 0);
    let top = list.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    top.map(name).filter(|name| !name.is_empty()).collect()
}

/// The folder that a file belongs to; none for what only lists the others, and for tests,
/// which may look at anything.
fn owner(in_crate: &str, place: &Path) -> Option<String> {
    if place.iter().any(|part| part == "tests.rs") {
        return None;
    }
    if in_crate.starts_with(BACKEND) {
        return Some(BACKEND.to_owned());
    }
    let first = place.iter().next()?.to_string_lossy();
    let own = first.trim_end_matches(".rs");
    (!ROOTS.contains(&own)).then(|| own.to_owned())
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

#[test]
fn each_folder_of_the_host_imports_what_lies_below_it() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host");
    let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut imports = 0;
    for in_crate in CRATES {
        let source = host.join(in_crate);
        for file in files(&source) {
            let place = file.strip_prefix(&source).unwrap();
            let Some(own) = owner(in_crate, place) else {
                continue;
            };
            let Some(height) = layer(&own) else {
                panic!("{own} is in no layer: say in tests/layers.rs where it belongs");
            };
            let names = imported(&read_to_string(&file).unwrap()).into_iter();
            for name in names.filter(|name| *name != own) {
                imports += usize::from(layer(&name).is_some());
                if own != BACKEND && layer(&name).is_some_and(|other| other >= height) {
                    wrong
                        .entry(file.display().to_string())
                        .or_default()
                        .push(name);
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these import what does not lie below them: {wrong:#?}"
    );
    // Or nothing was read.
    assert!(imports > 300, "{imports}");
}

#[test]
fn imports_are_found_in_lists_and_in_paths() {
    let text = "use hearth_backend::queues::Queues;\nuse crate::{capability::{sql, log}, server};\n\
        // crate::cli\nfn f() { hearth_server::edge::g() }\n#[cfg(test)]\nmod tests { use crate::deploy; }";
    assert_eq!(imported(text), ["capability", "server", "edge", "backend"]);
}
