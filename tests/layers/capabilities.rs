//! What a capability touches outside its own file and folder, as `capability.rs` says it. The
//! measure is `push`, whose name stands for nothing else.

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::Path;

use super::files;

const NAME: &str = "push";
const OWN: &str = "runtime/src/capability/push";

/// The files in host/ that name it, and why.
const PLACES: [(&str, &str); 12] = [
    // Every capability has these.
    ("runtime/src/capability.rs", "the list of capabilities"),
    ("server/src/config.rs", "its section of the configuration"),
    ("server/src/deploy/checks.rs", "what a deployment is lent"),
    // An answer can be a stream of what is published.
    (
        "server/src/server/request.rs",
        "what requests are served with",
    ),
    (
        "server/src/server/request/serve.rs",
        "where a stream begins",
    ),
    ("server/src/server/request/stream.rs", "opens a stream"),
    ("server/src/server/sse.rs", "writes a stream"),
    ("server/src/server/sse/grip.rs", "reads which stream"),
    ("server/src/server/sse/keys.rs", "ends those of ended keys"),
    (
        "server/src/deploy/rollout.rs",
        "ends those of a plugin that goes",
    ),
    // It has work beside the calls.
    ("src/cli/serve.rs", "begins that work and ends it"),
    ("src/cli/serve/edge.rs", "gives the client to requests"),
];

/// Whether a line of code names the capability, and not the function of vectors.
fn names(line: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    let is_name = |at: usize| {
        let (before, after) = (&line[..at], &line[at + NAME.len()..]);
        let whole = !before.ends_with(is_letter) && !after.starts_with(is_letter);
        let calls = after.starts_with('(') && before.ends_with(['.', ' ', ':']);
        whole && !calls
    };
    let is_comment = line.trim_start().starts_with("//");
    !is_comment && line.match_indices(NAME).any(|(at, _)| is_name(at))
}

#[test]
fn a_capability_touches_the_places_that_are_written_down_and_no_others() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host");
    let named: BTreeSet<String> = files(&host)
        .into_iter()
        .filter(|file| read_to_string(file).unwrap().lines().any(names))
        .map(|file| file.strip_prefix(&host).unwrap().display().to_string())
        .filter(|place| !place.starts_with(OWN))
        .collect();
    let expected = PLACES.map(|(place, _)| place.to_owned());
    assert_eq!(named, BTreeSet::from(expected));
}

#[test]
fn names_are_told_from_functions_and_comments() {
    for line in [
        "use a::push::Client;",
        "    pub push: push::Client,",
        "x == \"push\"",
    ] {
        assert!(names(line), "{line}");
    }
    for line in [
        "list.push(1);",
        "fn push(&mut self)",
        "// `push`",
        "pushed",
        "Vec::push(v)",
    ] {
        assert!(!names(line), "{line}");
    }
}
