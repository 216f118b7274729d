//! The link of a notification. A link that looks like a path of the reader's own site
//! must also be one for a browser.
//!
//! A browser removes tabs and line ends from a URL, reads `\` as `/`, and takes a path
//! that begins with two of these for another host (WHATWG URL Standard, 4.4, URL
//! parsing). The part before an `@` is not the host, though it may look like one (RFC
//! 3986, 7.6).

/// Characters at most.
pub const LENGTH_MAX: usize = 2_048;

pub const WRONG: &str = "this must be a URL with https:// or http:// and a host, or a path that \
                         begins with a single /, without control characters and backslashes";

/// Whether a text leads somewhere, runs no script, and leads where it seems to.
pub fn is_link(text: &str) -> bool {
    let is_plain = |c: char| !c.is_ascii_control() && c != '\\';
    let mut schemes = ["https://", "http://"].iter();
    let absolute = schemes.find_map(|scheme| text.strip_prefix(scheme));
    let leads = match (absolute, text.strip_prefix('/')) {
        (Some(rest), _) => is_host(rest.split(['/', '?', '#']).next().unwrap_or_default()),
        (None, Some(path)) => !path.starts_with('/'),
        (None, None) => false,
    };
    leads && text.chars().all(is_plain)
}

/// A host, perhaps with a port, without a user.
fn is_host(authority: &str) -> bool {
    let is_nameless = authority.is_empty() || authority.starts_with(':');
    !is_nameless && !authority.contains(['@', '%', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_is_an_address_with_a_host_or_a_path_of_the_own_site() {
        for link in [
            "https://example.com",
            "http://example.com:8080/a?b=//c#d",
            "https://[2001:db8::1]/",
            "https://m\u{fc}nchen.example/\u{e4}",
            "https://{{tenant}}.example.com/x",
            "/",
            "/invoices/7?next=//a@b#c",
            "/t/{{ ticket.id }}",
        ] {
            assert!(is_link(link), "{link:?}");
        }
    }

    #[test]
    fn what_a_browser_reads_as_another_host_is_none() {
        for text in [
            "//evil.example/x",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\r//evil.example",
            "/\u{7f}/evil.example",
            "https://",
            "https:///x",
            "https://?x",
            "https://:443/",
            "https:/evil.example",
            "https:\\\\evil.example",
            "https://example.com\\@evil.example",
            "https://example.com@evil.example/",
            "https://example.com%2f@evil.example/",
            "https://example.com\t.evil.example",
            "javascript:alert(1)",
            " /x",
            "",
            "x",
        ] {
            assert!(!is_link(text), "{text:?}");
        }
    }
}
