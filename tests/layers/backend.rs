//! In the crate of drivers imports run one way too: what queues have in common lies below both
//! of their backends, and all queues of the process above them.

use std::fs::read_to_string;
use std::path::Path;

use super::{ROOTS, files, first_names, without_tests};

/// From the bottom up. What stands in one line does not import each other.
const LAYERS: [&[&str]; 5] = [
    &["aws", "merge", "url"],
    &["dynamodb", "postgres", "queue", "redis"],
    &["pgqueue"],
    &["sqs"],
    &["queues"],
];

fn height(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The modules of the crate that a file so many folders deep imports from.
fn imported(text: &str, depth: usize) -> Vec<String> {
    let lines = without_tests(text).lines();
    let code = lines.filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.flat_map(|line| [line, "\n"]).collect();
    let roots = ["crate::".to_owned(), "super::".repeat(depth)];
    let after = roots
        .iter()
        .flat_map(|root| code.split(root.as_str()).skip(1));
    after.flat_map(first_names).collect()
}

#[test]
fn each_driver_imports_what_lies_below_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/backend/src");
    let (mut wrong, mut imports) = (Vec::new(), 0);
    for file in files(&source) {
        let place = file.strip_prefix(&source).unwrap();
        let first = place.iter().next().unwrap().to_string_lossy();
        let own = first.trim_end_matches(".rs");
        if ROOTS.contains(&own) {
            continue;
        }
        let Some(own_height) = height(own) else {
            panic!("{own} is in no layer: say in tests/layers/backend.rs where it belongs");
        };
        let names = imported(&read_to_string(&file).unwrap(), place.iter().count());
        for name in names.iter().filter(|name| *name != own) {
            let Some(other) = height(name) else { continue };
            imports += 1;
            if other >= own_height {
                wrong.push(format!("{} imports {name}", place.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Or nothing was read.
    assert!(imports > 15, "{imports}");
}
