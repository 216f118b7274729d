//! A plugin's crate, as cargo sees it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use toml::Table;

use super::toolchain::{TARGET, Toolchain, cargo};

/// The profile of components, as this project's own have it: small first, for a component is
/// read, compiled and swapped whole.
const PROFILE: &str = "plugin";
const SETTINGS: [&str; 7] = [
    "inherits = 'release'",
    "opt-level = 's'",
    "lto = true",
    "codegen-units = 1",
    "strip = true",
    "panic = 'abort'",
    "incremental = false",
];

/// A crate that makes one component.
pub struct Project {
    /// Its Cargo.toml, as cargo writes it.
    manifest: PathBuf,
    /// Whether its workspace says itself what the profile is.
    has_profile: bool,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
    targets: Vec<CargoTarget>,
}

#[derive(Deserialize)]
struct CargoTarget {
    crate_types: Vec<String>,
}

/// One line of what cargo says to programs.
#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    target: Option<CargoTarget>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

impl CargoTarget {
    fn is_component(&self) -> bool {
        self.crate_types.iter().any(|kind| kind == "cdylib")
    }
}

impl Project {
    /// Asks cargo what is in a folder.
    pub fn read(dir: &Path) -> anyhow::Result<Project> {
        let manifest = fs::canonicalize(dir.join("Cargo.toml"))?;
        let mut command = Command::new(cargo());
        command
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .arg("--manifest-path")
            .arg(&manifest)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        let asked = command.output().context("cargo cannot be started")?;
        ensure!(
            asked.status.success(),
            "cargo cannot read {} (the reason is above)",
            manifest.display()
        );
        let metadata: Metadata = serde_json::from_slice(&asked.stdout)?;
        let mut packages = metadata.packages.iter();
        let Some(package) = packages.find(|one| one.manifest_path == manifest) else {
            bail!(
                "{} is a workspace, not a crate: name the folder of one of its members",
                manifest.display()
            );
        };
        ensure!(
            package.targets.iter().any(CargoTarget::is_component),
            "{} does not build a component: set `crate-type = [\"cdylib\"]` under `[lib]`",
            manifest.display()
        );
        Ok(Project {
            has_profile: has_profile(&metadata.workspace_root.join("Cargo.toml")),
            manifest,
        })
    }

    /// Compiles it, and answers where the component lies.
    pub fn build(&self, toolchain: &Toolchain) -> anyhow::Result<PathBuf> {
        let mut command = toolchain.cargo();
        command
            .args(["build", "--lib", "--target", TARGET, "--profile", PROFILE])
            .arg("--message-format=json-render-diagnostics")
            .arg("--manifest-path")
            .arg(&self.manifest)
            .current_dir(self.manifest.parent().unwrap_or(Path::new(".")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if !self.has_profile {
            for setting in SETTINGS {
                command
                    .arg("--config")
                    .arg(format!("profile.{PROFILE}.{setting}"));
            }
        }
        let mut cargo = command.spawn().context("cargo cannot be started")?;
        let mut component = None;
        for line in cargo
            .stdout
            .take()
            .into_iter()
            .flat_map(|out| BufReader::new(out).lines())
        {
            component = self.component(&line?).or(component);
        }
        ensure!(
            cargo.wait()?.success(),
            "cargo failed to build it; the reason is above"
        );
        component.context("cargo built no component")
    }

    /// The component, where this line names it.
    fn component(&self, line: &str) -> Option<PathBuf> {
        let message: Message = serde_json::from_str(line).ok()?;
        let own = message.manifest_path.as_ref() == Some(&self.manifest);
        let built = message.reason == "compiler-artifact" && own && message.target?.is_component();
        let mut files = message.filenames.into_iter().filter(|_| built);
        files.find(|file| {
            file.extension()
                .is_some_and(|extension| extension == "wasm")
        })
    }
}

fn has_profile(workspace: &Path) -> bool {
    let text = fs::read_to_string(workspace).unwrap_or_default();
    let table: Table = text.parse().unwrap_or_default();
    let profiles = table.get("profile").and_then(toml::Value::as_table);
    profiles.is_some_and(|profiles| profiles.contains_key(PROFILE))
}
