//! The checks of the sections `[plugins.<name>]`: names, mounts, grants and approvals.

use std::collections::HashSet;
use std::path::PathBuf;

use super::document::Document;
use super::{Config, Plugin, message};
use hearth_runtime::capability::Interface;
use hearth_runtime::capability::config::RESERVED;
use hearth_runtime::capability::outbound::Pattern;
use hearth_runtime::capability::sql::gate::{is_approval, is_pinned};
use hearth_runtime::plugin::manifest::SHARED_REUSE;

/// What is granted beside capabilities.
const OTHER_GRANTS: [&str; 2] = ["consume", "reuse"];
const NAME_BYTES_MAX: usize = 40;
const MOUNT_BYTES_MAX: usize = 255;

pub(super) fn check(config: &Config, document: &mut Document<'_>) {
    let mut mounts: Vec<(&str, &str)> = Vec::new();
    for (name, plugin) in &config.plugins {
        check_name(name, document);
        check_file(name, plugin, document);
        check_grants(name, plugin, document);
        check_functions(name, plugin, document);
        check_scans(name, plugin, document);
        check_secrets(name, plugin, document);
        let Some(mount) = plugin.mount.as_deref() else {
            continue;
        };
        check_mount(name, mount, document);
        match mounts.iter().find(|(taken, _)| *taken == mount) {
            Some((_, other)) => {
                let text = format!("{mount:?} is already the mount of plugin {other:?}");
                document.blame(&["plugins", name, "mount"], text);
            }
            None => mounts.push((mount, name)),
        }
    }
}

/// The name becomes part of Postgres roles and environment variables.
fn check_name(name: &str, document: &mut Document<'_>) {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if starts && name.chars().all(letters) && name.len() <= NAME_BYTES_MAX {
        return;
    }
    let text = format!(
        "expected a name of at most {NAME_BYTES_MAX} lower-case letters, digits and hyphens that \
         starts with a letter"
    );
    document.blame(&["plugins", name], text);
}

fn check_file(name: &str, plugin: &Plugin, document: &mut Document<'_>) {
    let is_empty = |file: &PathBuf| file.as_os_str().is_empty();
    if plugin.file.as_ref().is_some_and(is_empty) {
        let text = "expected the path of a packed plugin; without one, leave the key out";
        document.blame(&["plugins", name, "file"], text.to_owned());
    }
}

fn check_mount(name: &str, mount: &str, document: &mut Document<'_>) {
    let letters = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    let segments = mount.split('/').skip(1);
    let plain = segments
        .clone()
        .all(|segment| !segment.is_empty() && segment != "." && segment != "..");
    let well_formed = mount.starts_with('/') && mount.chars().all(letters);
    if mount == "/" || (well_formed && plain && mount.len() <= MOUNT_BYTES_MAX) {
        return;
    }
    let text = format!(
        "expected a path such as \"/support\", without a slash at its end, found {mount:?}"
    );
    document.blame(&["plugins", name, "mount"], text);
}

/// Whatever a grant may begin with: some name what they are for, as in `queue:orders`.
fn grants() -> impl Iterator<Item = &'static str> {
    let names = Interface::ALL.iter().map(|interface| interface.name());
    names.chain(OTHER_GRANTS)
}

fn check_grants(name: &str, plugin: &Plugin, document: &mut Document<'_>) {
    let mut seen = HashSet::new();
    for grant in &plugin.grants {
        let path = ["plugins", name, "grants"];
        let capability = grant
            .split_once(':')
            .map_or(grant.as_str(), |(before, _)| before);
        if !grants().any(|name| name == capability) {
            document.blame(&path, unknown_grant(grant, capability));
        } else if grant == "outbound" {
            let text = "expected a destination, for example \"outbound:https://example.com\"";
            document.blame(&path, text.to_owned());
        } else if capability == "reuse" && grant != SHARED_REUSE {
            let text = format!("{grant:?}: expected {SHARED_REUSE:?}");
            document.blame(&path, text);
        } else if let Some(pattern) = grant.strip_prefix("outbound:")
            && let Err(reason) = Pattern::parse(pattern)
        {
            document.blame(&path, format!("{grant:?}: {reason}"));
        } else if !seen.insert(grant) {
            document.blame(&path, format!("{grant:?} is given twice"));
        }
    }
}

fn check_functions(name: &str, plugin: &Plugin, document: &mut Document<'_>) {
    for approval in plugin
        .sql_functions
        .iter()
        .filter(|text| !is_approval(text))
    {
        let text = format!(
            "{approval:?}: expected the name of a function of Postgres, or of the plugin's own \
             with the digest of its body, \"touch@sha256:\" and 64 hexadecimal digits, as a \
             rejected deploy shows it"
        );
        document.blame(&["plugins", name, "sql_functions"], text);
    }
}

fn check_scans(name: &str, plugin: &Plugin, document: &mut Document<'_>) {
    for approval in plugin.sql_scans.iter().filter(|text| !is_pinned(text)) {
        let text = format!(
            "{approval:?}: expected the name of a statement with the digest of its text, \
             \"all_notes@sha256:\" and 64 hexadecimal digits, as a rejected deploy shows it"
        );
        document.blame(&["plugins", name, "sql_scans"], text);
    }
}

fn unknown_grant(grant: &str, capability: &str) -> String {
    match message::nearest(capability, grants()) {
        Some(near) => format!("unknown grant {grant:?}, did you mean {near:?}?"),
        None => {
            let all: Vec<&str> = grants().collect();
            format!(
                "unknown grant {grant:?}, expected one of {}",
                all.join(", ")
            )
        }
    }
}

fn check_secrets(name: &str, plugin: &Plugin, document: &mut Document<'_>) {
    for (key, source) in &plugin.secrets {
        if source.file.is_some() == source.env.is_some() {
            let text = "expected either `file` or `env`";
            document.blame_once(&["plugins", name, "secrets", key], text);
        }
        if key.starts_with(RESERVED) {
            let text = format!("names that begin with {RESERVED:?} are reserved for the host");
            document.blame(&["plugins", name, "secrets", key], text);
        }
    }
}
