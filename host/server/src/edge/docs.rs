//! `GET /docs`: a page for people that shows what `/openapi.json` says and sends
//! requests with the reader's own key. Page, style and script are part of the
//! binary: nothing is fetched from anywhere else, and the browser is told to
//! refuse what would be.

use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_FRAME_OPTIONS};

use super::fixed::Fixed;

/// Own files and requests to this host; no inline script or style, no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// The page and its files, by their paths.
pub struct Docs {
    files: Vec<(&'static str, Fixed)>,
}

impl Docs {
    pub fn new() -> Docs {
        let page = file("text/html; charset=utf-8", include_str!("docs/page.html"));
        let files = vec![
            ("/docs", page),
            (
                "/docs/page.css",
                file("text/css; charset=utf-8", include_str!("docs/page.css")),
            ),
            ("/docs/schema.js", script(include_str!("docs/schema.js"))),
            ("/docs/try.js", script(include_str!("docs/try.js"))),
            ("/docs/page.js", script(include_str!("docs/page.js"))),
        ];
        Docs { files }
    }

    /// The file at that path, if it is one of the page's.
    pub fn find(&self, path: &str) -> Option<&Fixed> {
        let path = if path == "/docs/" { "/docs" } else { path };
        let found = self.files.iter().find(|(own, _)| *own == path);
        found.map(|(_, file)| file)
    }
}

impl Default for Docs {
    fn default() -> Self {
        Docs::new()
    }
}

fn script(text: &'static str) -> Fixed {
    file("text/javascript; charset=utf-8", text)
}

fn file(content_type: &'static str, text: &'static str) -> Fixed {
    Fixed::new(content_type, Bytes::from_static(text.as_bytes()))
        .with(CONTENT_SECURITY_POLICY, POLICY)
        .with(REFERRER_POLICY, "no-referrer")
        .with(X_FRAME_OPTIONS, "DENY")
        .with(
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        )
}
