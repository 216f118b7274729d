//! Links between documents lead to something, and every document is led to.

use std::path::PathBuf;

use super::page::{Page, all, root};

/// A title as a link names it: lower case, hyphens for spaces, and no other mark.
fn anchor(title: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    let title = title.to_lowercase().replace(' ', "-");
    title.chars().filter(kept).collect()
}

/// The links of a document to files of this repository: path and anchor.
fn links(page: &Page) -> Vec<(String, Option<String>)> {
    let prose = page.prose();
    let targets = prose.split("](").skip(1).filter_map(|rest| {
        let target = rest.split_once(')')?.0;
        (!target.contains("://")).then_some(target)
    });
    let parted = targets.map(|target| match target.split_once('#') {
        Some((path, anchor)) => (path.to_owned(), Some(anchor.to_owned())),
        None => (target.to_owned(), None),
    });
    parted.collect()
}

fn leads_to(page: &Page, path: &str) -> PathBuf {
    match path {
        "" => page.path.clone(),
        path => page.path.parent().unwrap().join(path),
    }
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_of_it() {
    let mut broken = Vec::new();
    for page in all() {
        for (path, wanted) in links(&page) {
            let target = leads_to(&page, &path);
            let Ok(target) = target.canonicalize() else {
                broken.push(format!("{}: {path}", page.name));
                continue;
            };
            let Some(wanted) = wanted else { continue };
            let name = target.strip_prefix(root()).unwrap().display().to_string();
            let headings = Page::named(&name).headings();
            if !headings.iter().any(|title| anchor(title) == wanted) {
                broken.push(format!("{}: {path}#{wanted}", page.name));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_document_is_in_both_lists_of_documents() {
    let pages = all();
    let documents = pages
        .iter()
        .filter(|page| page.name.starts_with("docs/") && page.name.ends_with(".md"))
        .filter(|page| page.name != "docs/README.md");
    let documents: Vec<&str> = documents.map(|page| page.name.as_str()).collect();
    for list in ["docs/README.md", "docs/llms.txt"] {
        let page = Page::named(list);
        let told = links(&page);
        let missing = documents.iter().filter(|name| {
            let path = root().join(name);
            !told.iter().any(|(target, _)| {
                leads_to(&page, target).canonicalize().ok().as_ref() == Some(&path)
            })
        });
        assert_eq!(missing.collect::<Vec<_>>(), Vec::<&&str>::new(), "{list}");
    }
}

#[test]
fn readme_is_short() {
    let lines = Page::named("README.md").text.lines().count();
    assert!(lines <= 90, "README.md has {lines} lines");
}

#[test]
fn anchors_are_made_of_titles() {
    for (title, expected) in [
        ("API keys", "api-keys"),
        ("server.h2", "serverh2"),
        ("plugin_defaults", "plugin_defaults"),
        ("Is it set up well?", "is-it-set-up-well"),
    ] {
        assert_eq!(anchor(title), expected);
    }
}
