//! `GET /docs`: Swagger UI, which shows `/openapi.json` and sends requests with the
//! reader's own key. All files are part of the binary: nothing is loaded from other
//! hosts, and the Content-Security-Policy forbids it.

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::Full;

use super::fixed::Fixed;
use super::packed::Packed;

/// Own files and requests to this host; no inline script or style, no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// With every file of the page.
const HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", POLICY),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
];

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// What the licences of Swagger UI and of its parts ask to be passed on.
const LICENCES: &str = concat!(
    include_str!("docs/swagger-ui/NOTICE"),
    "\n",
    include_str!("docs/swagger-ui/swagger-ui-bundle.js.LICENSE.txt"),
    "\n",
    include_str!("docs/swagger-ui/LICENSE")
);

/// The page and its files, by their paths.
pub struct Docs {
    files: Vec<(&'static str, File)>,
}

/// One of them.
#[expect(
    clippy::large_enum_variant,
    reason = "there are seven, in one list for the life of the process"
)]
pub enum File {
    Plain(Fixed),
    Packed(Packed),
}

impl Docs {
    pub fn new() -> Docs {
        let files = vec![
            ("/docs", plain(HTML, include_str!("docs/page.html"))),
            ("/docs/page.css", plain(CSS, include_str!("docs/page.css"))),
            ("/docs/page.js", plain(SCRIPT, include_str!("docs/page.js"))),
            (
                "/docs/icon.svg",
                plain("image/svg+xml", include_str!("docs/icon.svg")),
            ),
            (
                "/docs/swagger-ui.css",
                packed(CSS, include_bytes!("docs/swagger-ui/swagger-ui.css.gz")),
            ),
            (
                "/docs/swagger-ui-bundle.js",
                packed(
                    SCRIPT,
                    include_bytes!("docs/swagger-ui/swagger-ui-bundle.js.gz"),
                ),
            ),
            // The script's first line names this file.
            (
                "/docs/swagger-ui-bundle.js.LICENSE.txt",
                plain(TEXT, LICENCES),
            ),
        ];
        Docs { files }
    }

    /// The file at that path, if it is one of the page's.
    pub fn find(&self, path: &str) -> Option<&File> {
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

impl File {
    /// The file, or 304 where the client has it.
    pub fn answer(&self, request: &HeaderMap, takes_gzip: bool) -> Response<Full<Bytes>> {
        match self {
            File::Plain(file) => file.answer(request),
            File::Packed(file) => file.answer(request, takes_gzip),
        }
    }
}

fn plain(content_type: &'static str, text: &'static str) -> File {
    let file = Fixed::new(content_type, Bytes::from_static(text.as_bytes()));
    File::Plain(file.with_all(HEADERS))
}

fn packed(content_type: &'static str, body: &'static [u8]) -> File {
    File::Packed(Packed::new(content_type, body, HEADERS))
}
