//! Packing: a component and the files beside it become one file.

use std::fs::{self, ReadDir};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wasm_encoder::{ComponentSection as _, CustomSection};
use wasmparser::{BinaryReader, BinaryReaderError, Validator, WasmFeatures};

use super::{
    MANIFEST, MIGRATIONS, Migration, OPENAPI, Outline, PackageError, SQL, check_migrations,
    check_world, read_openapi, statements,
};
use crate::plugin::manifest::{Manifest, Mistake};

/// What is packed into a component.
#[derive(Clone, Debug, Default)]
pub struct PackageParts {
    /// The text of `plugin.toml`.
    pub manifest: String,
    /// In the order of their versions.
    pub migrations: Vec<Migration>,
    /// JSON.
    pub openapi: Option<String>,
}

/// Why packing failed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// Each mistake with the manifest's file and line.
    #[error("{}", at_lines(path, mistakes))]
    Manifest {
        path: PathBuf,
        mistakes: Vec<Mistake>,
    },
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: io::Error },
    /// What a manifest names is not there, or cannot be read.
    #[error("{}:{line}: `{key}` names {}, which cannot be read: {why}", manifest.display(), path.display())]
    Named {
        manifest: PathBuf,
        line: usize,
        key: &'static str,
        path: PathBuf,
        why: io::Error,
    },
    #[error(
        "{}: the name of a migration is invalid: it must be like 0001_create_ticket.sql: a number, an underscore, what it does in lower-case letters, digits and underscores, and `.sql`; rename it, or take it out of the folder", path.display()
    )]
    MigrationName { path: PathBuf },
}

fn at_lines(path: &Path, mistakes: &[Mistake]) -> String {
    let path = path.display();
    let lines = mistakes.iter();
    let lines = lines.map(|mistake| format!("{path}:{}: {}", mistake.line, mistake.reason));
    lines.collect::<Vec<_>>().join("\n")
}

impl PackageParts {
    /// Reads a manifest and the files that it names, which lie beside it.
    pub fn read(manifest: &Path) -> Result<PackageParts, PackError> {
        let text = read_text(manifest)?;
        let wanted = Manifest::parse(&text).map_err(|error| PackError::Manifest {
            path: manifest.into(),
            mistakes: error.mistakes,
        })?;
        let folder = manifest.parent().unwrap_or(Path::new(""));
        let lines = text.as_str();
        let named = |key, path| {
            move |why| PackError::Named {
                manifest: manifest.into(),
                line: line_of(lines, key),
                key,
                path,
                why,
            }
        };
        let openapi = match wanted.openapi.map(|name| folder.join(name)) {
            Some(path) => Some(fs::read_to_string(&path).map_err(named("openapi", path))?),
            None => None,
        };
        let migrations = match wanted.sql.migrations.map(|name| folder.join(name)) {
            Some(path) => {
                let entries = fs::read_dir(&path).map_err(named("migrations", path.clone()))?;
                read_migrations(&path, entries)?
            }
            None => Vec::new(),
        };
        Ok(PackageParts {
            manifest: text,
            migrations,
            openapi,
        })
    }
}

/// The line on which a key stands that is there once.
fn line_of(text: &str, key: &str) -> usize {
    let mut lines = text.lines();
    let place = lines.position(|line| line.trim_start().starts_with(key));
    place.map_or(1, |place| place + 1)
}

fn read_text(path: &Path) -> Result<String, PackError> {
    fs::read_to_string(path).map_err(|why| PackError::File {
        path: path.into(),
        why,
    })
}

/// Every `.sql` file of a folder, in the order of their versions. What else begins with a
/// number is a migration too, or was meant to be one: it is not left out in silence.
fn read_migrations(folder: &Path, entries: ReadDir) -> Result<Vec<Migration>, PackError> {
    let mut migrations = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|why| PackError::File {
            path: folder.into(),
            why,
        });
        let path = entry?.path();
        match path.extension().is_some_and(|extension| extension == "sql") {
            true => migrations.push(read_migration(path)?),
            false if is_numbered(&path) => return Err(PackError::MigrationName { path }),
            false => {}
        }
    }
    migrations.sort_by_key(|migration| migration.version);
    Ok(migrations)
}

fn is_numbered(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes()
        .first()
        .is_some_and(u8::is_ascii_digit)
}

fn read_migration(path: PathBuf) -> Result<Migration, PackError> {
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let named = stem.split_once('_').and_then(|(number, name)| {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let digits = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
        let plain = digits && !name.is_empty() && name.chars().all(letters);
        Some((number.parse().ok().filter(|_| plain)?, name.to_owned()))
    });
    match named {
        Some((version, name)) => Ok(Migration {
            version,
            name,
            sql: read_text(&path)?,
        }),
        None => Err(PackError::MigrationName { path }),
    }
}

/// Packs a component. The same inputs give the same bytes; what an earlier run
/// packed into the component is replaced.
pub fn pack(component: &[u8], parts: &PackageParts) -> Result<Vec<u8>, PackError> {
    let outline = Outline::read(component)?;
    validate(component)?;
    let manifest = Manifest::parse(&parts.manifest).map_err(PackageError::Manifest)?;
    check_world(&manifest, &outline)?;
    check_migrations(&parts.migrations)?;
    let openapi = read_openapi(parts.openapi.as_deref())?;
    statements(&outline, &manifest).map_err(PackageError::Statements)?;
    let mut packed = without_sections(component).map_err(damaged)?;
    append(&mut packed, MANIFEST, parts.manifest.as_bytes());
    append(
        &mut packed,
        MIGRATIONS,
        &migrations_json(&parts.migrations)?,
    );
    if let Some(openapi) = openapi {
        append(
            &mut packed,
            OPENAPI,
            Value::Object(openapi).to_string().as_bytes(),
        );
    }
    Ok(packed)
}

fn validate(component: &[u8]) -> Result<(), PackError> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let checked = validator.validate_all(component);
    checked
        .map(drop)
        .map_err(|error| PackError::Invalid(error.to_string()))
}

fn migrations_json(migrations: &[Migration]) -> Result<Vec<u8>, PackageError> {
    serde_json::to_vec(migrations).map_err(|error| PackageError::Section {
        section: MIGRATIONS,
        reason: error.to_string(),
    })
}

fn append(packed: &mut Vec<u8>, name: &str, content: &[u8]) {
    CustomSection {
        name: name.into(),
        data: content.into(),
    }
    .append_to_component(packed);
}

/// The component without the sections that packing writes, byte for byte.
fn without_sections(component: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    let mut reader = BinaryReader::new(component, 0);
    let mut kept = reader.read_bytes(8)?.to_vec();
    while !reader.eof() {
        let start = reader.original_position();
        let id = reader.read_u8()?;
        let size = reader.read_var_u32()?;
        let content = reader.read_bytes(usize::try_from(size).unwrap_or(usize::MAX))?;
        let end = reader.original_position();
        if !(id == 0 && is_ours(content)) {
            kept.extend_from_slice(component.get(start..end).unwrap_or_default());
        }
    }
    Ok(kept)
}

/// An earlier host also wrote `hearth:sql` beside them.
fn is_ours(custom_section: &[u8]) -> bool {
    let name = BinaryReader::new(custom_section, 0).read_unlimited_string();
    name.is_ok_and(|name| [MANIFEST, SQL, MIGRATIONS, OPENAPI].contains(&name))
}

fn damaged(error: BinaryReaderError) -> PackageError {
    PackageError::Damaged(error.to_string())
}
