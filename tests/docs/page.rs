//! One document, and what of it can be held against something.

use std::path::{Path, PathBuf};

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .into()
}

/// Every document: those at the top, those in docs/, and those of the examples.
pub fn all() -> Vec<Page> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(root()).unwrap().flatten() {
        paths.push(entry.path());
    }
    for folder in ["docs", "plugins/examples"] {
        find(&root().join(folder), &mut paths);
    }
    paths.retain(|path| {
        let name = path.extension().unwrap_or_default();
        name == "md" || path.ends_with("docs/llms.txt")
    });
    paths.sort();
    paths.iter().map(|path| Page::read(path)).collect()
}

fn find(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => find(&path, paths),
            path => paths.push(path),
        }
    }
}

pub struct Page {
    /// From the checkout.
    pub name: String,
    pub path: PathBuf,
    pub text: String,
}

/// A block of code.
pub struct Block {
    /// `sh`, `toml` …
    pub language: String,
    pub text: String,
}

/// A row of a table of keys.
pub struct Row {
    /// The heading that it is below.
    pub section: String,
    pub key: String,
    /// As TOML; `None` where it says `none`, or `required`.
    pub default: Option<String>,
    pub required: bool,
}

impl Page {
    pub fn named(name: &str) -> Page {
        Page::read(&root().join(name))
    }

    fn read(path: &Path) -> Page {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
        Page {
            name,
            path: path.into(),
            text,
        }
    }

    pub fn blocks(&self) -> Vec<Block> {
        let parts: Vec<&str> = self.text.split("\n```").collect();
        assert!(parts.len() % 2 == 1, "{}: a block has no end", self.name);
        let inside = parts.iter().skip(1).step_by(2);
        let blocks = inside.map(|part| {
            let (language, text) = part.split_once('\n').unwrap();
            Block {
                language: language.to_owned(),
                text: text.to_owned(),
            }
        });
        blocks.collect()
    }

    /// Everything but blocks of code.
    pub fn prose(&self) -> String {
        let parts = self.text.split("\n```").step_by(2);
        parts.collect::<Vec<_>>().join("\n")
    }

    pub fn headings(&self) -> Vec<String> {
        let prose = self.prose();
        let titles = prose
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| line.trim_start_matches('#').trim().to_owned());
        titles.collect()
    }

    /// The tables of keys, with the heading that each is below.
    pub fn rows(&self) -> Vec<Row> {
        let mut section = String::new();
        let mut rows = Vec::new();
        for line in self.text.lines() {
            if let Some(title) = line.strip_prefix("## ") {
                section = title.to_owned();
            }
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let ["", key, default, _, ""] = cells[..] else {
                continue;
            };
            let (Some(key), true) = (code(key), is_default(default)) else {
                continue;
            };
            rows.push(Row {
                section: section.clone(),
                key: key.to_owned(),
                default: code(default).map(str::to_owned),
                required: default == "required",
            });
        }
        rows
    }
}

/// What stands between backticks, and nothing beside it.
fn code(cell: &str) -> Option<&str> {
    let inner = cell.strip_prefix('`')?.strip_suffix('`')?;
    (!inner.contains('`')).then_some(inner)
}

fn is_default(cell: &str) -> bool {
    ["none", "required"].contains(&cell) || code(cell).is_some()
}
