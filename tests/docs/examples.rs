//! Code in the documents is code of this repository, which is compiled, or a text that the
//! host reads.

use std::path::Path;

use hearth::config::Config;
use hearth::plugin::manifest::Manifest;

use super::page::{Block, all, root};

/// Documents with the code that they show.
fn sources() -> Vec<String> {
    let mut texts = Vec::new();
    for folder in ["plugins/sdk/src", "plugins/examples"] {
        read(&root().join(folder), &mut texts);
    }
    texts
}

fn read(folder: &Path, texts: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read(&path, texts);
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        texts.push(dense(&shown(&text)));
        texts.push(dense(&text));
    }
}

/// What the documentation of a module shows: its examples are compiled with it.
fn shown(text: &str) -> String {
    let lines = text.lines().filter_map(|line| line.strip_prefix("//!"));
    let lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(line));
    let lines = lines.filter(|line| !line.starts_with("# ") && *line != "#");
    lines.collect::<Vec<_>>().join("\n")
}

/// A text without empty lines: a document has some where a module hides a line.
fn dense(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn blocks(language: &str, folder: &str) -> Vec<(String, Block)> {
    let pages = all()
        .into_iter()
        .filter(|page| page.name.starts_with(folder));
    let blocks = pages.flat_map(|page| {
        let name = page.name.clone();
        let blocks = page.blocks().into_iter();
        blocks.map(move |block| (name.clone(), block))
    });
    blocks
        .filter(|(_, block)| block.language == language)
        .collect()
}

#[test]
fn rust_is_of_an_example_or_of_the_sdk_s_documentation() {
    let sources = sources();
    let blocks = blocks("rust", "");
    assert!(blocks.len() > 10);
    for (page, block) in blocks {
        let text = dense(&block.text);
        let found = sources.iter().any(|source| source.contains(&text));
        assert!(found, "{page}: this is nowhere compiled:\n{}", block.text);
    }
}

#[test]
fn the_guide_shows_the_example_s_own_files() {
    let folder = root().join("plugins/examples/notes");
    for (language, file) in [
        ("toml", "plugin.toml"),
        ("sql", "migrations/0001_notes.sql"),
        ("rust", "src/lib.rs"),
    ] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let shown = blocks(language, "docs/plugins/guide.md");
        assert!(!shown.is_empty(), "{language}");
        for (_, block) in shown {
            assert!(
                text.contains(&block.text),
                "{file} has no such part:\n{}",
                block.text
            );
        }
    }
}

#[test]
fn toml_of_plugins_is_a_manifest_or_a_part_of_one() {
    let head = "name = \"x\"\nversion = \"1.0.0\"\nmount = \"/x\"\nworld = \"full\"\n";
    for (page, block) in blocks("toml", "docs/plugins") {
        let text = match block.text.starts_with("name = ") {
            true => block.text,
            false => format!("{head}{}", block.text),
        };
        Manifest::parse(&text).unwrap_or_else(|told| panic!("{page}: {told}\n{text}"));
    }
}

#[test]
fn toml_of_operators_is_a_configuration() {
    for (page, block) in blocks("toml", "docs/operate") {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hearth.toml");
        std::fs::write(&file, &block.text).unwrap();
        Config::load(Some(&file), &|_| None).unwrap_or_else(|told| panic!("{page}: {told}"));
    }
}

/// Each block is of a kind that some test here or in `commands` looks at, or `text`, which
/// nobody runs.
#[test]
fn no_block_is_of_a_kind_that_nobody_looks_at() {
    let known = ["sh", "console", "rust", "toml", "sql", "text"];
    for page in all() {
        for block in page.blocks() {
            let kind = block.language.as_str();
            assert!(known.contains(&kind), "{}: ```{kind}", page.name);
        }
    }
}
