//! `hearth build`: compiles a plugin and packs it into one file.
//!
//! ```text
//! hearth build
//! hearth build notes
//! ```

mod project;
mod toolchain;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::project::Project;
pub use self::toolchain::{Machine, Toolchain};
use super::admin::Error;
use super::admin::table::list;
use super::{deploy, pack};
use hearth_runtime::plugin::manifest::Manifest;
use hearth_runtime::plugin::package::{Package, PackageParts};

/// The configuration that `hearth new` writes, with which a host serves the plugin.
pub const CONFIG: &str = "hearth.toml";
const MANIFEST: &str = "plugin.toml";

/// Compiles a plugin for wasm32-wasip2, small first, and packs it with plugin.toml and what
/// that names into target/NAME.wasm of its folder.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "The result is target/NAME.wasm in the folder. WASM_TOOLCHAIN=debian builds with \
                  the packages of Debian that a checkout of Hearth fetches."
)]
pub struct Args {
    /// The plugin's folder, with Cargo.toml and plugin.toml.
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
}

/// Runs the command. What cargo and rustc say goes to standard error as it is.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let (file, package) = build(&args.dir)?;
    pack::tell(&package, out)?;
    tell_next(&args.dir, &file, &package, out)?;
    Ok(out.flush()?)
}

/// The name of the plugin in a folder, as its manifest has it.
pub fn name(dir: &Path) -> anyhow::Result<String> {
    let manifest = dir.join(MANIFEST);
    check_folder(dir, &manifest)?;
    Ok(Manifest::parse(&PackageParts::read(&manifest)?.manifest)?.name)
}

/// Compiles and packs the plugin in a folder, and answers where it lies.
pub fn build(dir: &Path) -> anyhow::Result<(PathBuf, Package)> {
    // What is wrong there is told before minutes of compiling.
    let name = name(dir)?;
    let project = Project::read(dir)?;
    let toolchain = Toolchain::choose(&Machine::here(dir)?)?;
    let component = project.build(&toolchain)?;
    let folder = dir.join("target");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let file = folder.join(format!("{name}.wasm"));
    let package = pack::write_packed(&pack::Args {
        component,
        manifest: dir.join(MANIFEST),
        out: file.clone(),
    })?;
    Ok((file, package))
}

fn check_folder(dir: &Path, manifest: &Path) -> Result<(), Error> {
    let wants = |what: &Path, why: &str| {
        Err(Error::Usage(format!(
            "{} was not found: {why}. Name the folder of a plugin, or create one with `hearth new \
             NAME`",
            what.display()
        )))
    };
    let cargo = dir.join("Cargo.toml");
    if !cargo.is_file() {
        return wants(&cargo, "`hearth build` compiles a crate in Rust");
    }
    match manifest.is_file() {
        true => Ok(()),
        false => wants(
            manifest,
            "a plugin needs it for its name and its permissions",
        ),
    }
}

/// What it asks for, and the commands with which it serves.
fn tell_next(
    dir: &Path,
    file: &Path,
    package: &Package,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let grants: Vec<String> = package
        .manifest
        .grants
        .iter()
        .map(ToString::to_string)
        .collect();
    writeln!(out, "  asks for {}", list(&grants))?;
    let file = file.strip_prefix(".").unwrap_or(file);
    writeln!(out, "next, with a running host:")?;
    writeln!(out, "  {}", deploy::command(file, package))?;
    if dir.join(CONFIG).is_file() {
        let go = match dir == Path::new(".") {
            true => String::new(),
            false => format!("cd {} && ", deploy::quote(&dir.display().to_string())),
        };
        writeln!(
            out,
            "or, with a host of its own:\n  {go}hearth serve --demo"
        )?;
    }
    Ok(())
}
