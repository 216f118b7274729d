//! Channels: whose one is, and what it may be called.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What belongs to one customer of one plugin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Space {
    pub plugin: Arc<str>,
    /// `None` for calls without a customer, which share a space of their own.
    pub customer: Option<Arc<str>>,
}

impl Space {
    /// Half of a digest stands for a channel, in memory and in the log. Each part is
    /// preceded by its length, so that no two channels read the same.
    pub fn channel(&self, name: &str) -> Uuid {
        let mut hash = Sha256::new();
        let customer = self.customer.as_deref();
        hash.update([u8::from(customer.is_some())]);
        for part in [&*self.plugin, customer.unwrap_or_default(), name] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        Uuid::from_slice(digest.get(..16).unwrap_or_default()).unwrap_or_default()
    }
}

/// Whether a text can stand in `Grip-Channel` and on a line of a stream.
pub fn is_name(text: &str, bytes_max: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';');
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_differs_makes_another_channel() {
        let of = |plugin: &str, customer: Option<&str>, name: &str| {
            let (plugin, customer) = (Arc::from(plugin), customer.map(Arc::from));
            Space { plugin, customer }.channel(name)
        };
        let one = of("a", Some("b"), "c");
        assert_eq!(one, of("a", Some("b"), "c"));
        for other in [
            of("ab", Some(""), "c"),
            of("a", Some("bc"), ""),
            of("a", Some(""), "bc"),
            of("", Some("ab"), "c"),
            of("a", None, "c"),
            of("a", Some("b"), "d"),
        ] {
            assert_ne!(one, other);
        }
        assert_ne!(of("a", None, "c"), of("a", Some(""), "c"));
    }

    #[test]
    fn name_has_a_form_on_the_wire() {
        assert!(is_name("inbox/42", 128) && is_name("a", 1));
        for bad in ["", "a b", "a;b", "a,b", "\"a\"", "a\n", "ä", "aa"] {
            assert!(!is_name(bad, 1), "{bad:?}");
        }
    }
}
