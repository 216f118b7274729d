//! What of the admin listener is no number, and may be wrong all the same.

use super::document::Document;
use crate::admin::config::Config;

/// RFC 1035, 2.3.4.
const NAME_BYTES_MAX: usize = 253;

pub(super) fn check(admin: &Config, document: &mut Document<'_>) {
    for host in admin.hosts.iter().filter(|host| !is_name(host)) {
        let text = format!(
            "expected names without scheme and port, for example \"hearth.example.com\", found \
             {host:?}"
        );
        document.blame(&["admin", "hosts"], text);
    }
}

fn is_name(text: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.chars().all(letters)
}
