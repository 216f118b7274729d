//! `hearth pack`: a component, its manifest, migrations and OpenAPI part become
//! one file. What a deploy would refuse without a database is refused here.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use hearth_runtime::capability::sql::gate::{self, ApprovedFunctions};
use hearth_runtime::plugin::openapi::{Fragment, PartOwner};
use hearth_runtime::plugin::package::{Package, PackageParts, pack};
use hearth_server::deploy::approval::function_approvals;

/// Packs a plugin into one file.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The component, as the compiler wrote it.
    #[arg(long, value_name = "FILE")]
    pub component: PathBuf,
    /// The manifest, `plugin.toml`. The files that it names must be beside it.
    #[arg(long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// Where the packed plugin is written.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Runs the command: writes the packed plugin and tells of it.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    tell(&write_packed(args)?, out)
}

/// Writes the packed plugin. Where something is wrong nothing is written.
pub fn write_packed(args: &Args) -> anyhow::Result<Package> {
    let package = packed(args).with_context(|| args.component.display().to_string())?;
    write_whole(&args.out, &package.component)
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    Ok(package)
}

/// Tells name, version, size and digest, what it consumes and sends by the clock, and what
/// an operator must approve of its SQL.
pub fn tell(package: &Package, out: &mut dyn Write) -> anyhow::Result<()> {
    let (manifest, bytes) = (&package.manifest, package.component.len());
    writeln!(
        out,
        "{} {}, {bytes} bytes, {}",
        manifest.name, manifest.version, package.digest
    )?;
    for queue in &manifest.queues {
        writeln!(out, "  consumes {queue}")?;
    }
    for schedule in &manifest.schedules {
        writeln!(out, "  sends {schedule}")?;
    }
    for function in function_approvals(package) {
        writeln!(out, "  needs the SQL function {function}")?;
    }
    for table in &manifest.sql.shared {
        writeln!(out, "  shares the table {table} among all customers")?;
    }
    Ok(())
}

fn packed(args: &Args) -> anyhow::Result<Package> {
    let parts = PackageParts::read(&args.manifest)?;
    let component = fs::read(&args.component)?;
    let package = Package::read(pack(&component, &parts)?)?;
    check_sql(&package)?;
    check_openapi(&package)?;
    Ok(package)
}

/// The plugin's part of the OpenAPI document, which the gate checks, below its mount.
pub fn check_openapi(package: &Package) -> anyhow::Result<Fragment> {
    let Some(text) = &package.openapi else {
        return Ok(Fragment::default());
    };
    let whose = PartOwner {
        plugin: &package.manifest.name,
        own_mount: &package.manifest.mount,
        mount: &package.manifest.mount,
    };
    Fragment::read(text, whose).map_err(|mistakes| {
        anyhow::anyhow!("its OpenAPI document is invalid:\n{}", mistakes.join("\n"))
    })
}

/// What the gate says of the SQL, as if the operator approved every function
/// that the manifest asks for; whether they do is decided at deploy.
fn check_sql(package: &Package) -> anyhow::Result<()> {
    let name = &package.manifest.name;
    let approved = ApprovedFunctions::new(package.manifest.sql.functions.iter().cloned())?;
    for migration in &package.migrations {
        gate::check_migration(&migration.sql, name, &approved)
            .with_context(|| format!("migration {}_{}", migration.version, migration.name))?;
    }
    for declared in &package.statements {
        gate::check_declared(declared, name, &approved)
            .with_context(|| format!("the statement `{}`", declared.name))?;
    }
    Ok(())
}

/// Writes a file so that nobody ever sees half of it, and with the mode that the umask
/// leaves of 0666: it holds no secret, and a host of another user may be to read it.
fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
