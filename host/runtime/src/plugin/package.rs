//! A packed plugin: one file that is a component and carries everything else in
//! custom sections at its end, so that one digest names all of it.
//!
//! | section | content |
//! |---|---|
//! | `hearth:manifest` | the text of `plugin.toml` |
//! | `hearth:migrations` | a JSON list of `{version, name, sql}` |
//! | `hearth:openapi` | the plugin's part of the OpenAPI document, JSON without spaces |
//!
//! Declared statements stay where the SDK puts them, in sections `hearth:sql` of the
//! modules inside the component, and in the manifest.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use hearth_runtime::plugin::package::{Package, PackageParts, pack};
//! let parts = PackageParts::read("plugins/tickets/plugin.toml".as_ref())?;
//! let packed = pack(&std::fs::read("tickets.wasm")?, &parts)?;
//! let package = Package::read(packed)?;
//! println!("{} {}", package.manifest.name, package.digest);
//! # Ok(())
//! # }
//! ```

mod interface;
mod outline;
mod pack;

use std::fmt;

use bytes::Bytes;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

pub use crate::capability::sql::Migration;
pub use interface::{CONTRACT, CONTRACT_VERSION, Import, Interface};
pub use outline::Outline;
pub use pack::{PackError, PackageParts, pack};

use crate::capability::sql::statement::{self, Declared, SectionError};
use crate::plugin::manifest::{Manifest, ManifestError, World};
use crate::plugin::openapi::OPENAPI_BYTES_MAX;

/// How many bytes a component or a packed plugin may have.
pub const COMPONENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How many migrations a plugin may have.
pub const MIGRATIONS_MAX: usize = 1_000;
/// How many bytes the text of one migration may have.
pub const MIGRATION_BYTES_MAX: usize = 1024 * 1024;

const MANIFEST: &str = "hearth:manifest";
const SQL: &str = "hearth:sql";
const MIGRATIONS: &str = "hearth:migrations";
const OPENAPI: &str = "hearth:openapi";

/// What names a packed plugin: the SHA-256 of the whole file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A packed plugin, read and checked: its parts fit each other and the contract.
/// Its SQL has not met the gate yet, and the component's code is not validated;
/// the compiler does that.
#[derive(Clone, Debug)]
pub struct Package {
    pub manifest: Manifest,
    /// Each text once.
    pub statements: Vec<Declared>,
    /// In the order of their versions.
    pub migrations: Vec<Migration>,
    /// JSON.
    pub openapi: Option<String>,
    /// What the component imports of the contract.
    pub interfaces: Vec<Interface>,
    /// The whole file.
    pub component: Bytes,
    pub digest: Digest,
}

/// Why a file is not a plugin that this host can serve. Whoever built or packed
/// it is to blame.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error(
        "the file is too large: {bytes} bytes, and at most {max} are allowed (component_bytes_max)"
    )]
    TooLarge { bytes: usize, max: usize },
    #[error("the file is not WebAssembly")]
    NotWebAssembly,
    #[error(
        "the file is a core module and not a component: build it with `cargo build --target \
         wasm32-wasip2`, or turn it into a component with `wasm-tools component new`"
    )]
    CoreModule,
    #[error("the component is truncated or damaged: {0}")]
    Damaged(String),
    #[error("the component has no section hearth:manifest: run `hearth pack`")]
    NotPacked,
    #[error("the section {0} is given twice")]
    Twice(&'static str),
    #[error("the section {section} cannot be read: {reason}")]
    Section {
        section: &'static str,
        reason: String,
    },
    // No `source`: what is told of an error tells its sources, too, and would say it twice.
    #[error("the manifest is invalid:\n{0}")]
    Manifest(ManifestError),
    #[error(transparent)]
    Statements(#[from] SectionError),
    #[error("migration {version}: {reason}")]
    Migration { version: u32, reason: &'static str },
    #[error(
        "it has too many migrations: {0}, and at most {MIGRATIONS_MAX} are allowed (migrations_max)"
    )]
    TooManyMigrations(usize),
    #[error("it imports {name}, which this host does not support: {reason}")]
    UnknownImport { name: String, reason: &'static str },
    #[error(
        "it imports {name}, but its manifest does not ask for the grant: add \"{grant}\" to `grants`"
    )]
    NotAskedFor { name: String, grant: &'static str },
    #[error(
        "its manifest says world {world}, but the component does not export {export}: set another `world`, or export that (hearth_plugin::handler! or consumer!)"
    )]
    WrongWorld { world: &'static str, export: String },
}

impl Package {
    /// Reads a packed plugin. Never panics, whatever the bytes are.
    pub fn read(bytes: impl Into<Bytes>) -> Result<Package, PackageError> {
        let component = bytes.into();
        let outline = Outline::read(&component)?;
        let manifest = outline.text(MANIFEST)?.ok_or(PackageError::NotPacked)?;
        let manifest = Manifest::parse(manifest).map_err(PackageError::Manifest)?;
        let interfaces = check_world(&manifest, &outline)?;
        let openapi = outline.text(OPENAPI)?.map(str::to_owned);
        read_openapi(openapi.as_deref())?;
        Ok(Package {
            statements: statements(&outline, &manifest)?,
            migrations: read_migrations(&outline)?,
            digest: Digest::of(&component),
            manifest,
            openapi,
            interfaces,
            component,
        })
    }
}

/// The statements of all modules inside the component and of the manifest.
fn statements(outline: &Outline<'_>, manifest: &Manifest) -> Result<Vec<Declared>, SectionError> {
    let mut all = Vec::new();
    for section in outline.statements() {
        all.extend(statement::parse_section(section)?);
    }
    all.extend(manifest.sql.statements.iter().cloned());
    statement::join(all)
}

fn read_migrations(outline: &Outline<'_>) -> Result<Vec<Migration>, PackageError> {
    let Some(text) = outline.text(MIGRATIONS)? else {
        return Ok(Vec::new());
    };
    let migrations: Vec<Migration> =
        serde_json::from_str(text).map_err(|error| PackageError::Section {
            section: MIGRATIONS,
            reason: error.to_string(),
        })?;
    check_migrations(&migrations)?;
    Ok(migrations)
}

fn check_migrations(migrations: &[Migration]) -> Result<(), PackageError> {
    if migrations.len() > MIGRATIONS_MAX {
        return Err(PackageError::TooManyMigrations(migrations.len()));
    }
    let mut last = 0;
    for Migration { version, sql, .. } in migrations {
        let refuse = |reason| {
            Err(PackageError::Migration {
                version: *version,
                reason,
            })
        };
        if *version <= last {
            return refuse(
                "versions must begin at 1, and each must be greater than the one before",
            );
        }
        if sql.len() > MIGRATION_BYTES_MAX {
            return refuse("its text is too long: at most 1 MiB is allowed (migration_bytes_max)");
        }
        last = *version;
    }
    Ok(())
}

/// The object that it is, within its bound. The gate reads what is in it.
fn read_openapi(openapi: Option<&str>) -> Result<Option<Map<String, Value>>, PackageError> {
    let refuse = |reason| PackageError::Section {
        section: OPENAPI,
        reason,
    };
    let Some(text) = openapi else {
        return Ok(None);
    };
    if text.len() > OPENAPI_BYTES_MAX {
        let bytes = text.len();
        let bound =
            format!("it is too large: {bytes} bytes, and at most {OPENAPI_BYTES_MAX} are allowed");
        return Err(refuse(bound + " (openapi_bytes_max)"));
    }
    let object = serde_json::from_str(text).map_err(|error| refuse(error.to_string()))?;
    Ok(Some(object))
}

/// Whether the component exports what the manifest says it serves and imports
/// only what exists and is asked for. Answers the interfaces it imports.
fn check_world(manifest: &Manifest, outline: &Outline<'_>) -> Result<Vec<Interface>, PackageError> {
    check_exports(manifest.world, outline)?;
    let mut interfaces = Vec::new();
    for name in outline.imports() {
        match Import::of(name) {
            Import::Free => {}
            Import::Unknown(reason) => {
                return Err(PackageError::UnknownImport {
                    name: (*name).to_owned(),
                    reason,
                });
            }
            Import::Contract(interface) if !manifest.asks_for(interface) => {
                let name = name.split('@').next().unwrap_or(name);
                let name = name.strip_prefix("hearth:plugin/").unwrap_or(name);
                return Err(PackageError::NotAskedFor {
                    name: name.to_owned(),
                    grant: interface.grant(),
                });
            }
            Import::Contract(interface) if interfaces.contains(&interface) => {}
            Import::Contract(interface) => interfaces.push(interface),
        }
    }
    Ok(interfaces)
}

fn check_exports(world: World, outline: &Outline<'_>) -> Result<(), PackageError> {
    let wanted = [("handler", world.handles()), ("consumer", world.consumes())];
    for (interface, _) in wanted.iter().filter(|(_, wanted)| *wanted) {
        let export = format!("{CONTRACT}/{interface}@{CONTRACT_VERSION}");
        if !outline.exports().contains(&export.as_str()) {
            return Err(PackageError::WrongWorld {
                world: world.name(),
                export,
            });
        }
    }
    Ok(())
}
