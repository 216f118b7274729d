//! The interface `config`: what the operator set for a plugin.
//!
//! The values are read when the configuration is loaded. A call finds them in
//! memory, and nothing that a guest asks for reaches a file or the environment.
//!
//! ```
//! use std::collections::BTreeMap;
//! use hearth::capability::Call;
//! use hearth::capability::config::{Client, View, generated::Host};
//!
//! let settings = BTreeMap::from([("page_size".to_owned(), "50".to_owned())]);
//! let lent = Client::open().lend("tickets", 1, settings, BTreeMap::new());
//! let call = Call::of("tickets", None);
//! let mut view = View { call: &call, lent: &lent };
//! assert_eq!(view.get("page_size".to_owned()).unwrap().as_deref(), Some("50"));
//! assert_eq!(view.get("other".to_owned()).unwrap(), None);
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use wasmtime::component::{HasData, Linker};

use super::Call;

/// The bindings of the interface.
pub mod generated {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "package hearth:lends-config; world lends { import hearth:plugin/config@0.1.0; }",
        imports: { default: trappable },
    });

    pub use self::hearth::plugin::config::{Host, add_to_linker};
}

/// There is no backend behind this interface, so nothing to share.
#[derive(Clone, Copy, Debug)]
pub struct Client(());

impl Client {
    pub fn open() -> Self {
        Self(())
    }

    /// What a deployment borrows: its plugin's settings, and its secrets.
    pub fn lend(
        &self,
        _plugin: &str,
        _deployment: u64,
        settings: BTreeMap<String, String>,
        secrets: BTreeMap<String, Secret>,
    ) -> Lent {
        Lent {
            settings: Arc::new(settings),
            secrets: Arc::new(secrets),
        }
    }
}

/// A secret's text. Printing it for debugging shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who must use it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What one deployment of a plugin may read.
#[derive(Clone, Debug)]
pub struct Lent {
    settings: Arc<BTreeMap<String, String>>,
    secrets: Arc<BTreeMap<String, Secret>>,
}

/// A call accumulates nothing here.
pub type State = ();

/// What one call borrows.
pub struct View<'a> {
    pub call: &'a Call,
    pub lent: &'a Lent,
}

impl generated::Host for View<'_> {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.call.host_call()?;
        Ok(self.lent.settings.get(&key).cloned())
    }

    fn secret(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.call.host_call()?;
        let secret = self.lent.secrets.get(&key);
        Ok(secret.map(|secret| secret.expose().to_owned()))
    }
}

/// Tells the linker's generated code what a [`View`] is.
pub struct Access;

impl HasData for Access {
    type Data<'a> = View<'a>;
}

/// Links the interface. `view` finds this capability's parts in a store's state.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> View<'_>,
) -> wasmtime::Result<()> {
    generated::add_to_linker::<T, Access>(linker, view)
}
