//! What of DynamoDB is no number, and may be wrong all the same.

use super::document::Document;
use hearth_backend::dynamodb::Config;

/// A table's name has at most 255 characters, and `-documents` is the longer end.
const PREFIX_CHARS_MAX: usize = 245;

pub(super) fn check(dynamodb: &Config, document: &mut Document<'_>) {
    let prefix = &dynamodb.table_prefix;
    let letters = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if prefix.is_empty() || prefix.len() > PREFIX_CHARS_MAX || !prefix.chars().all(letters) {
        let text = format!(
            "expected 1 to {PREFIX_CHARS_MAX} letters, digits, `_`, `.` and `-`, found {prefix:?}"
        );
        document.blame(&["dynamodb", "table_prefix"], text);
    }
    if let Some(url) = &dynamodb.endpoint_url
        && !is_endpoint(url)
    {
        let text = format!("expected a URL such as \"http://127.0.0.1:8000\", found {url:?}");
        document.blame(&["dynamodb", "endpoint_url"], text);
    }
    if let Some(region) = &dynamodb.region
        && (region.is_empty()
            || !region
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-'))
    {
        let text = format!("expected a region such as \"eu-central-1\", found {region:?}");
        document.blame(&["dynamodb", "region"], text);
    }
}

fn is_endpoint(url: &str) -> bool {
    let parsed = url.parse::<http::Uri>();
    parsed.is_ok_and(|url| {
        url.authority().is_some() && matches!(url.scheme_str(), Some("http" | "https"))
    })
}
