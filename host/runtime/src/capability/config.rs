//! The capability `config`: what the operator set for a plugin.
//!
//! The values are read when the configuration is loaded. A call finds them in
//! memory, and nothing that a guest asks for reaches a file or the environment.
//! Beside the operator's secrets there are the host's own, derived for the plugin
//! from the root secret: [`CURSOR_KEY`] and [`SEAL_KEY`].
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::Arc;
//! use hearth_runtime::capability::Call;
//! use hearth_runtime::capability::config::{Client, View, generated::Host};
//! use hearth_base::secret::RootSecret;
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let file = folder.path().join("secret");
//! let secret = Arc::new(RootSecret::open(&file).unwrap());
//! let settings = BTreeMap::from([("page_size".to_owned(), "50".to_owned())]);
//! let lent = Client::open(secret).lend("tickets", 1, settings, BTreeMap::new());
//! let call = Call::of("tickets", None);
//! let mut view = View { call: &call, lent: &lent };
//! assert_eq!(view.get("page_size".to_owned()).unwrap().as_deref(), Some("50"));
//! assert_eq!(view.get("other".to_owned()).unwrap(), None);
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wasmtime::component::{HasData, Linker};

use super::{Backends, Call, OpenError};
use hearth_base::secret::RootSecret;

/// The bindings of the interface.
pub mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package hearth:lends-config; world lends { import hearth:plugin/config@0.1.0; }",
        imports: { default: trappable },
    });

    pub use self::hearth::plugin::config::{Host, add_to_linker};
}

/// What the names of the host's own secrets begin with; an operator cannot set
/// one of these.
pub const RESERVED: &str = "hearth.";

/// The secret with the keys that sign a plugin's cursors: base64 for URLs, newest
/// version of the root secret first, separated by commas.
pub const CURSOR_KEY: &str = "hearth.cursor_key";

/// The secret with the keys under which a plugin seals what it stores, written as
/// those of [`CURSOR_KEY`] are.
pub const SEAL_KEY: &str = "hearth.seal_key";

/// There is no section: what a plugin is set to is in its own.
#[derive(Debug, Default)]
pub struct Config;

/// There is no backend behind this interface: what is shared is the root secret,
/// of which each plugin gets keys of its own.
#[derive(Clone, Debug)]
pub struct Client {
    secret: Arc<RootSecret>,
}

impl Client {
    pub(super) fn from_backends(
        _config: &Config,
        backends: &Backends<'_>,
    ) -> Result<Self, OpenError> {
        Ok(Self::open(backends.secret.clone()))
    }

    pub fn open(secret: Arc<RootSecret>) -> Self {
        Self { secret }
    }

    /// The secrets that the host gives a plugin beside the operator's.
    pub fn own_secrets(&self, plugin: &str) -> BTreeMap<String, Secret> {
        let own = [(CURSOR_KEY, "cursor"), (SEAL_KEY, "seal")];
        let secret = |purpose: &str| self.keys(&format!("{purpose}/{plugin}"));
        own.into_iter()
            .map(|(name, purpose)| (name.to_owned(), secret(purpose)))
            .collect()
    }

    /// The keys of all versions of the root secret for one purpose.
    fn keys(&self, purpose: &str) -> Secret {
        let versions = self.secret.derive_all(purpose);
        let keys = versions.iter().map(|(_, key)| URL_SAFE_NO_PAD.encode(key));
        Secret::new(&keys.collect::<Vec<_>>().join(","))
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
