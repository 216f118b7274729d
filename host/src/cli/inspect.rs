//! `hearth inspect`: what a packed plugin consists of, and what it asks for.

mod text;

use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;

use super::admin::{self, Error};
use super::diff::compare::{Row, access, described, file, instances, limits, typed};
use super::pack::check_openapi;
use hearth_runtime::capability::sql::statement::Declared;
use hearth_runtime::plugin::package::{COMPONENT_BYTES_MAX, Outline, Package};
use hearth_server::deploy::approval::function_approvals;

/// Shows what a packed plugin consists of: its sections and their sizes, what it imports,
/// exports and asks for, its routes, queues, statements and migrations.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A packed plugin, as `hearth build` or `hearth pack` writes it.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// All that a packed plugin says about itself.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    pub digest: String,
    pub bytes: usize,
    /// The largest first.
    pub sections: Vec<Section>,
    /// Name, version, mount, world, whether it is public, the self-test.
    pub manifest: Vec<Field>,
    /// Interfaces of WIT, by their full names.
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    pub grants: Vec<String>,
    /// SQL functions that it wants approved, as `--approve-function` takes them.
    pub functions: Vec<String>,
    pub shared_tables: Vec<String>,
    /// Those that it names; the others are the operator's.
    pub limits: Vec<Field>,
    pub instances: Vec<Field>,
    pub queues: Vec<String>,
    pub schedules: Vec<String>,
    /// Method and path of each operation of its OpenAPI document.
    pub routes: Vec<String>,
    pub statements: Vec<InspectedStatement>,
    pub migrations: Vec<String>,
}

/// A kind of section, and the bytes of all sections of that kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    pub name: String,
    pub bytes: usize,
}

/// A name and a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    pub name: &'static str,
    pub value: String,
}

/// A declared statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InspectedStatement {
    pub name: String,
    pub access: &'static str,
    pub text: String,
    /// Access, parameters and columns.
    pub types: Vec<Field>,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let inspection = inspect(&read(args)?)?;
    match args.json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(&inspection)?)?,
        false => text::write(&inspection, out)?,
    }
    Ok(out.flush()?)
}

fn read(args: &Args) -> Result<Package, Error> {
    let named = |why: String| Error::Usage(format!("{}: {why}", args.file.display()));
    let bytes = admin::read_bounded(&args.file, COMPONENT_BYTES_MAX);
    let bytes = bytes.map_err(|error| named(error.to_string()))?;
    Package::read(bytes).map_err(|error| named(error.to_string()))
}

/// What a plugin says about itself.
pub fn inspect(package: &Package) -> anyhow::Result<Inspection> {
    let (manifest, outline) = (&package.manifest, Outline::read(&package.component)?);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Ok(Inspection {
        digest: package.digest.to_string(),
        bytes: package.component.len(),
        sections: sections(&outline, package.component.len()),
        manifest: fields(described(manifest)),
        imports: names(outline.imports()),
        exports: names(outline.exports()),
        grants: texts(&manifest.grants),
        functions: function_approvals(package),
        shared_tables: texts(&manifest.sql.shared),
        limits: fields(limits(&manifest.limits)),
        instances: fields(instances(manifest)),
        queues: texts(&manifest.queues),
        schedules: texts(&manifest.schedules),
        routes: routes(package)?,
        statements: package.statements.iter().map(statement).collect(),
        migrations: package.migrations.iter().map(file).collect(),
    })
}

fn routes(package: &Package) -> anyhow::Result<Vec<String>> {
    let fragment = check_openapi(package)?;
    let route = |(method, path): (&str, &str)| format!("{} {path}", method.to_ascii_uppercase());
    Ok(fragment.operations().map(route).collect())
}

/// What no section holds are the heads of sections and modules.
fn sections(outline: &Outline<'_>, bytes: usize) -> Vec<Section> {
    let sizes = outline.sizes();
    let rest = bytes.saturating_sub(sizes.values().sum());
    let rest = [("heads of sections".to_owned(), rest)];
    let all = sizes
        .iter()
        .map(|(name, bytes)| (name.clone(), *bytes))
        .chain(rest);
    let mut sections: Vec<Section> = all.map(|(name, bytes)| Section { name, bytes }).collect();
    sections.sort_by_key(|section| std::cmp::Reverse(section.bytes));
    sections
}

fn statement(declared: &Declared) -> InspectedStatement {
    InspectedStatement {
        name: declared.name.clone(),
        access: access(declared.access),
        text: declared.text.clone(),
        types: fields(typed(declared)),
    }
}

/// The rows that have a value.
fn fields(rows: Vec<Row>) -> Vec<Field> {
    let field = |(name, value): Row| {
        let value = value.filter(|value| !value.is_empty())?;
        Some(Field { name, value })
    };
    rows.into_iter().filter_map(field).collect()
}

fn texts<T: ToString>(things: impl IntoIterator<Item = T>) -> Vec<String> {
    things.into_iter().map(|thing| thing.to_string()).collect()
}
