//! Imports of the host run one way. What is read here is the source itself: a folder of
//! host/src imports what lies below it, and nothing beside or above.

use std::collections::BTreeMap;
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

/// From the bottom up. What stands in one line does not import each other.
const LAYERS: [&[&str]; 11] = [
    &[
        "budget",
        "clock",
        "engine",
        "mode",
        "pacer",
        "secret",
        "telemetry",
    ],
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

/// The modules of the crate that a text names, its comments and tests aside.
fn imported(text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.flat_map(|line| [line, "\n"]).collect();
    let mut names = Vec::new();
    for path in code.split("crate::").skip(1) {
        let name = |text: &str| -> String {
            let letters = text.trim_start().chars();
            letters
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        };
        match path.strip_prefix('{') {
            None => names.push(name(path)),
            Some(list) => {
                let (list, mut depth) = (list.split(';').next().unwrap_or_default(), 0);
                let top = list.split(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    c == ',' && depth == 0
                });
                names.extend(top.map(name).filter(|name| !name.is_empty()));
            }
        }
    }
    names
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

#[test]
fn each_folder_of_the_host_imports_what_lies_below_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src");
    let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut edges = 0;
    for file in files(&source) {
        let place = file.strip_prefix(&source).unwrap();
        let own = place.iter().next().unwrap().to_string_lossy();
        let own = own.trim_end_matches(".rs").to_owned();
        // Tests that are files of their own may look at anything.
        if ROOTS.contains(&own.as_str()) || place.iter().any(|part| part == "tests.rs") {
            continue;
        }
        let Some(height) = layer(&own) else {
            panic!("{own} is in no layer: say in tests/layers.rs where it belongs");
        };
        for name in imported(&read_to_string(&file).unwrap()) {
            if name == own {
                continue;
            }
            edges += 1;
            if layer(&name).is_some_and(|other| other >= height) {
                wrong
                    .entry(place.display().to_string())
                    .or_default()
                    .push(name);
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these import what does not lie below them: {wrong:#?}"
    );
    // Or nothing was read.
    assert!(edges > 300, "{edges}");
}

#[test]
fn imports_are_found_in_lists_and_in_paths() {
    let text = "use crate::backend::queue::Queues;\nuse crate::{capability::{sql, log}, server};\n\
        // crate::cli\nfn f() { crate::edge::g() }\n#[cfg(test)]\nmod tests { use crate::deploy; }";
    assert_eq!(imported(text), ["backend", "capability", "server", "edge"]);
}
