//! No type has the name of another one of its crate: whoever reads it need not look up which of
//! them is meant.

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::path::Path;

use super::{CRATES, files, without_tests};

/// Names that stand for the same part of each module that has it, as ARCHITECTURE.md says, and
/// what libraries want of each: clap the arguments of a command, wasmtime the access to a view.
const PARTS: [&str; 9] = [
    "Access", "Args", "Client", "Command", "Config", "Error", "Lent", "State", "View",
];
const KINDS: [&str; 5] = ["enum ", "struct ", "trait ", "type ", "union "];

/// The type that a line declares, whoever may see it.
fn declared(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub").unwrap_or(line);
    let rest = match rest.strip_prefix('(') {
        Some(rest) => rest.split_once(')')?.1,
        None => rest,
    };
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let name = KINDS.iter().find_map(|kind| rest.strip_prefix(kind))?;
    name.split(|c: char| !c.is_alphanumeric()).next()
}

/// The types that a file declares beside those of its tests.
fn types(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = without_tests(text).lines().collect();
    let pairs = lines.windows(2).filter(|pair| pair[0] != "#[cfg(test)]");
    pairs.filter_map(|pair| declared(pair[1])).collect()
}

#[test]
fn no_two_types_of_a_crate_have_one_name() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host");
    let (mut twice, mut count) = (Vec::new(), 0);
    for in_crate in CRATES {
        let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let files = files(&host.join(in_crate)).into_iter();
        for file in files.filter(|file| !file.ends_with("tests.rs")) {
            for name in types(&read_to_string(&file).unwrap()) {
                let place = file.strip_prefix(&host).unwrap().display().to_string();
                places.entry(name.to_owned()).or_default().push(place);
                count += 1;
            }
        }
        let is_part = |name: &String| PARTS.contains(&name.as_str());
        let places = places.into_iter();
        twice.extend(places.filter(|(name, places)| places.len() > 1 && !is_part(name)));
    }
    assert!(twice.is_empty(), "name these types apart: {twice:#?}");
    // Or nothing was read.
    assert!(count > 500, "{count}");
}

#[test]
fn types_are_found_whoever_may_see_them() {
    let text = "//! A file.\npub struct One;\npub(super) enum Two<'a> {\ntype Three = u8;\n    struct Inner;\n\
        // struct Not;\nfn structure() {}\n#[cfg(test)]\nstruct Wound;\n#[cfg(test)]\nmod tests {}\nstruct Late;";
    assert_eq!(types(text), ["One", "Two", "Three"]);
}
