//! docs/operate/configuration.md has every key of the configuration with its default, and
//! none that does not exist.

use std::collections::BTreeMap;

use hearth::config::{Config, Plugin};

use super::page::{Page, Row, root};

const PAGE: &str = "docs/operate/configuration.md";
/// Fields of the types that no file can set.
const NO_KEYS: [&str; 3] = ["unmet_settings", "plugins", "plugins.NAME.secret_values"];

/// The path of each field of a printed value, with its own value: what `{:#?}` has on a line
/// of its own.
fn fields(prefix: &str, printed: &str) -> BTreeMap<String, String> {
    let mut path = vec![prefix.to_owned()];
    let mut found = BTreeMap::new();
    let mut list: Option<(String, String)> = None;
    for line in printed.lines().skip(1).map(str::trim) {
        if let Some((name, mut items)) = list.take() {
            items.push_str(line.trim_end_matches(','));
            match line {
                "]," => drop(found.insert(name, items)),
                _ => list = Some((name, items + ",")),
            }
            continue;
        }
        let Some((name, value)) = line.split_once(": ") else {
            path.pop();
            continue;
        };
        let whole = path.iter().filter(|part| !part.is_empty());
        let whole: Vec<&str> = whole.map(String::as_str).chain([name]).collect();
        let whole = whole.join(".");
        match value {
            value if value.ends_with('{') => path.push(name.to_owned()),
            "[" => list = Some((whole, value.to_owned())),
            value => drop(found.insert(whole, value.trim_end_matches(',').to_owned())),
        }
    }
    found
}

/// A value without what is written differently in TOML and in Rust.
fn plain(value: &str) -> String {
    let marks = |c: char| c.is_whitespace() || "\"_".contains(c);
    let value = value.replace(marks, "").replace(",]", "]");
    value.to_lowercase()
}

fn in_code() -> BTreeMap<String, String> {
    let mut all = fields("", &format!("{:#?}", Config::default()));
    let plugin = format!("{:#?}", Plugin::default());
    all.append(&mut fields("plugins.NAME", &plugin));
    all.retain(|path, _| !NO_KEYS.contains(&path.as_str()));
    all
}

fn path_of(row: &Row) -> String {
    match row.section.as_str() {
        "Top level" => row.key.clone(),
        section => format!("{section}.{}", row.key),
    }
}

fn in_page() -> BTreeMap<String, String> {
    let rows = Page::named(PAGE).rows();
    let count = rows.len();
    let none = || "none".to_owned();
    let told = rows.iter().map(|row| {
        let default = row.default.clone().unwrap_or_else(none);
        (path_of(row), plain(&default))
    });
    let told: BTreeMap<String, String> = told.collect();
    assert_eq!(told.len(), count, "a key stands twice");
    told
}

#[test]
fn reference_has_every_key_with_its_default_and_no_other() {
    let plain = |(path, value): (String, String)| (path, plain(&value));
    let wanted: BTreeMap<_, _> = in_code().into_iter().map(plain).collect();
    let told = in_page();
    let missing: Vec<_> = wanted
        .iter()
        .filter(|(path, value)| told.get(*path) != Some(*value))
        .collect();
    let strange: Vec<_> = told
        .keys()
        .filter(|key| !wanted.contains_key(*key))
        .collect();
    assert!(
        missing.is_empty(),
        "missing, or with another default: {missing:#?}"
    );
    assert!(
        strange.is_empty(),
        "no key of the configuration: {strange:#?}"
    );
}

/// What the names of the types' fields cannot show: that a file may say so.
#[test]
fn file_that_says_every_default_has_no_mistake() {
    let mut sections: BTreeMap<String, String> = BTreeMap::new();
    for row in Page::named(PAGE).rows() {
        let Some(default) = &row.default else {
            continue;
        };
        let line = format!("{} = {default}\n", row.key);
        let section = row.section.replace("NAME", "tickets");
        sections.entry(section).or_default().push_str(&line);
    }
    let mut text = sections.remove("Top level").unwrap();
    for (section, lines) in sections {
        text.push_str(&format!("[{section}]\n{lines}"));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hearth.toml");
    std::fs::write(&file, &text).unwrap();
    let config = Config::load(Some(&file), &|_| None).unwrap_or_else(|told| panic!("{told}"));
    let (said, silent) = (fields("", &format!("{config:#?}")), in_code());
    for (path, value) in silent
        .iter()
        .filter(|(path, _)| !path.starts_with("plugins."))
    {
        // The folder of the file is before a path that stands in it.
        if path != "data_dir" {
            assert_eq!(&said[path], value, "{path}");
        }
    }
}

/// Comments of a file like `# key = value` name keys that there are, with their defaults.
#[test]
fn deployed_file_s_comments_have_the_defaults() {
    let told = in_page();
    let text = std::fs::read_to_string(root().join("deploy/hearth.toml")).unwrap();
    let mut section = String::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix('[') {
            section = title.trim_end_matches(']').to_owned();
        }
        let said = line
            .strip_prefix("# ")
            .and_then(|line| line.split_once(" = "));
        let Some((key, rest)) = said.filter(|(key, _)| !key.contains(' ')) else {
            continue;
        };
        if section.ends_with(".config") {
            continue;
        }
        let path = format!("{section}.{key}");
        let path = path.trim_start_matches('.');
        let default = told
            .get(path)
            .unwrap_or_else(|| panic!("there is no {path}"));
        let value = plain(rest.split(" #").next().unwrap());
        let is_example = ["none", "[]", "{}"].contains(&default.as_str());
        assert!(
            is_example || *default == value,
            "{path}: {value}, not {default}"
        );
    }
}
