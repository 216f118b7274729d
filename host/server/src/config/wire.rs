//! What of TLS and of other origins is no number, and may be wrong all the same.

use super::Config;
use super::document::Document;
use crate::server::tls::Tls;

pub(super) fn check(config: &Config, document: &mut Document<'_>) {
    let tls = &config.tls;
    match (&tls.certificate_file, &tls.key_file) {
        (Some(_), None) => {
            let text = "key_file is needed too".to_owned();
            document.blame(&["tls", "certificate_file"], text);
        }
        (None, Some(_)) => {
            let text = "certificate_file is needed too".to_owned();
            document.blame(&["tls", "key_file"], text);
        }
        _ => {
            if let Err(error) = Tls::open(tls) {
                document.blame(&["tls"], error.to_string());
            }
        }
    }
    for (key, text) in config.cors.mistakes() {
        document.blame(&["cors", key], text);
    }
}
