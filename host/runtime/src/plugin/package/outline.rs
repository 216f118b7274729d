//! What a component file consists of: its imports, its exports and its custom
//! sections. Nothing is copied, and no code is looked at.

use std::collections::BTreeMap;

use wasmparser::{BinaryReaderError, Encoding, Parser, Payload};

use super::{COMPONENT_BYTES_MAX, PackageError, SQL};

/// The outline of a component.
#[derive(Debug, Default)]
pub struct Outline<'a> {
    imports: Vec<&'a str>,
    exports: Vec<&'a str>,
    /// The custom sections of the component itself.
    sections: Vec<(&'a str, &'a [u8])>,
    /// The contents of each `hearth:sql` of a module inside it.
    statements: Vec<&'a [u8]>,
    /// Bytes by kind of section, those of all modules inside it together.
    sizes: BTreeMap<String, usize>,
}

/// The sections of a core module, by their ids.
const SECTIONS: [&str; 14] = [
    "custom",
    "types",
    "imports",
    "functions",
    "tables",
    "memories",
    "globals",
    "exports",
    "start",
    "elements",
    "code",
    "data",
    "data count",
    "tags",
];

impl<'a> Outline<'a> {
    /// Reads the outline of a component.
    pub fn read(bytes: &'a [u8]) -> Result<Outline<'a>, PackageError> {
        check_header(bytes)?;
        let mut outline = Outline::default();
        let mut within = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(damaged)?;
            outline.measure(within.last() == Some(&Encoding::Module), &payload);
            match payload {
                Payload::Version { encoding, .. } => within.push(encoding),
                Payload::End(_) => drop(within.pop()),
                _ => outline.add(within.len(), payload).map_err(damaged)?,
            }
        }
        Ok(outline)
    }

    /// The names of what the component imports, for example
    /// `hearth:plugin/sql@0.1.0`.
    pub fn imports(&self) -> &[&'a str] {
        &self.imports
    }

    /// The names of what the component exports.
    pub fn exports(&self) -> &[&'a str] {
        &self.exports
    }

    /// The `hearth:sql` sections of the modules inside the component.
    pub fn statements(&self) -> &[&'a [u8]] {
        &self.statements
    }

    /// How many bytes the sections of each kind have: of modules by their names, of
    /// components together, custom ones by their own names.
    pub fn sizes(&self) -> &BTreeMap<String, usize> {
        &self.sizes
    }

    /// The content of a custom section of the component. More than one of the
    /// same name is an error: each reader might take another.
    pub fn section(&self, name: &'static str) -> Result<Option<&'a [u8]>, PackageError> {
        let mut found = self.sections.iter().filter(|(known, _)| *known == name);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(PackageError::Twice(name)),
            (found, None) => Ok(found.map(|(_, content)| *content)),
        }
    }

    /// The content of a custom section as text.
    pub fn text(&self, name: &'static str) -> Result<Option<&'a str>, PackageError> {
        let Some(content) = self.section(name)? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(content);
        text.map(Some).map_err(|error| PackageError::Section {
            section: name,
            reason: error.to_string(),
        })
    }

    /// Counts a section. Of a module or a component inside each section comes by itself.
    fn measure(&mut self, in_module: bool, payload: &Payload<'a>) {
        let nested = matches!(
            payload,
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. }
        );
        let Some((id, range)) = payload.as_section().filter(|_| !nested) else {
            return;
        };
        let name = match payload {
            Payload::CustomSection(reader) => format!("custom `{}`", reader.name()),
            _ if !in_module => "component types and instances".to_owned(),
            _ => SECTIONS
                .get(usize::from(id))
                .copied()
                .unwrap_or("other")
                .to_owned(),
        };
        *self.sizes.entry(name).or_default() += range.len();
    }

    fn add(&mut self, depth: usize, payload: Payload<'a>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ComponentImportSection(reader) if depth == 1 => {
                for import in reader {
                    self.imports.push(import?.name.name);
                }
            }
            Payload::ComponentExportSection(reader) if depth == 1 => {
                for export in reader {
                    self.exports.push(export?.name.name);
                }
            }
            Payload::CustomSection(reader) if depth == 1 => {
                self.sections.push((reader.name(), reader.data()));
            }
            Payload::CustomSection(reader) if reader.name() == SQL => {
                self.statements.push(reader.data());
            }
            _ => {}
        }
        Ok(())
    }
}

fn check_header(bytes: &[u8]) -> Result<(), PackageError> {
    if bytes.len() > COMPONENT_BYTES_MAX {
        return Err(PackageError::TooLarge {
            bytes: bytes.len(),
            max: COMPONENT_BYTES_MAX,
        });
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(PackageError::NotWebAssembly);
    }
    match Parser::new(0).parse_all(bytes).next() {
        Some(Ok(Payload::Version {
            encoding: Encoding::Component,
            ..
        })) => Ok(()),
        Some(Ok(Payload::Version { .. })) => Err(PackageError::CoreModule),
        Some(Err(error)) => Err(damaged(error)),
        _ => Err(PackageError::NotWebAssembly),
    }
}

fn damaged(error: BinaryReaderError) -> PackageError {
    PackageError::Damaged(error.to_string())
}
