//! Where a new project has the SDK from: a checkout, or a copy of its own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use toml::{Table, Value};

use super::embedded;
use crate::cli::admin::Error;

/// Where the copy lies in the project.
const COPY: &str = "vendor/hearth-plugin";
/// Where the SDK lies in a checkout.
const IN_CHECKOUT: &str = "plugins/sdk";

/// The SDK of a new project.
pub enum Sdk {
    /// A folder that is there, as the project's Cargo.toml names it.
    Folder(String),
    /// A copy, written with the project.
    Copy,
}

impl Sdk {
    /// The folder that was named, else that of the checkout around `within`, else a copy.
    pub fn find(named: Option<&Path>, within: &Path) -> anyhow::Result<Sdk> {
        if let Some(named) = named {
            return Sdk::named(named, within);
        }
        // The project lies one folder deeper.
        let mut way = PathBuf::from("..");
        for folder in within.ancestors() {
            if is_sdk(&folder.join(IN_CHECKOUT)) {
                return Ok(Sdk::Folder(way.join(IN_CHECKOUT).display().to_string()));
            }
            way.push("..");
        }
        Ok(Sdk::Copy)
    }

    fn named(named: &Path, within: &Path) -> anyhow::Result<Sdk> {
        if !is_sdk(&within.join(named)) {
            return Err(Error::Usage(format!(
                "--sdk {}: the crate hearth-plugin was not found there; name {IN_CHECKOUT} of a \
                 checkout of Hearth, or leave the option out for a copy",
                named.display()
            ))
            .into());
        }
        let path = match named.is_absolute() {
            true => named.to_owned(),
            false => Path::new("..").join(named),
        };
        Ok(Sdk::Folder(path.display().to_string()))
    }

    /// As the project's Cargo.toml names it.
    pub fn path(&self) -> &str {
        match self {
            Sdk::Folder(path) => path,
            Sdk::Copy => COPY,
        }
    }

    /// A line for whoever made the project.
    pub fn describe(&self, name: &str) -> String {
        match self {
            Sdk::Folder(path) => format!("the SDK is {path}, as {name}/Cargo.toml says"),
            Sdk::Copy => format!("{name}/{COPY}, a copy of this host's SDK"),
        }
    }

    /// What is to be written of it.
    pub fn files(&self) -> anyhow::Result<Vec<(String, String)>> {
        let Sdk::Copy = self else {
            return Ok(Vec::new());
        };
        let files = embedded::SDK.iter().map(|(path, text)| {
            let text = match *path {
                "Cargo.toml" => alone(text, embedded::WORKSPACE)?,
                _ => (*text).to_owned(),
            };
            Ok((format!("{COPY}/{path}"), text))
        });
        files.collect()
    }
}

fn is_sdk(folder: &Path) -> bool {
    let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let table: Table = text.parse().unwrap_or_default();
    let name = table.get("package").and_then(|package| package.get("name"));
    name.and_then(Value::as_str) == Some(super::SDK_NAME)
}

/// The SDK's Cargo.toml as it stands without its workspace: what it takes from there is
/// written out. What its own tests want is left out.
fn alone(text: &str, workspace: &str) -> anyhow::Result<String> {
    let mut own: Table = text.parse().context("the SDK's Cargo.toml")?;
    let workspace: Table = workspace.parse().context("the workspace's Cargo.toml")?;
    let shared = |section| workspace.get("workspace")?.get(section)?.as_table();
    own.remove("dev-dependencies");
    for (section, from) in [
        ("package", "package"),
        ("dependencies", "dependencies"),
        ("build-dependencies", "dependencies"),
    ] {
        let own = own.get_mut(section).and_then(Value::as_table_mut);
        if let (Some(own), Some(from)) = (own, shared(from)) {
            own.iter_mut()
                .for_each(|(key, value)| inherit(value, from.get(key)));
        }
    }
    Ok(toml::to_string(&own)?)
}

/// `name.workspace = true` becomes what the workspace says.
fn inherit(value: &mut Value, shared: Option<&Value>) {
    let inherits = value.get("workspace").and_then(Value::as_bool) == Some(true);
    if let (true, Some(shared)) = (inherits, shared) {
        *value = shared.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_says_itself_what_the_workspace_said() {
        let text = alone(
            "[package]\nname = \"a\"\nversion.workspace = true\n[dependencies]\nb.workspace = true\n\
             c = \"3\"\n[dev-dependencies]\nd.workspace = true\n",
            "[workspace.package]\nversion = \"1.0.0\"\n[workspace.dependencies]\n\
             b = { version = \"2\", features = [\"f\"] }\nd = \"4\"\n",
        );
        let alone: Table = text.unwrap().parse().unwrap();
        let wanted = "[package]\nname = \"a\"\nversion = \"1.0.0\"\n[dependencies]\nc = \"3\"\n\
                      [dependencies.b]\nversion = \"2\"\nfeatures = [\"f\"]\n";
        assert_eq!(alone, wanted.parse().unwrap());
    }

    #[test]
    fn nothing_of_this_sdk_is_left_to_a_workspace() {
        let text = alone(
            include_str!("../../../../plugins/sdk/Cargo.toml"),
            embedded::WORKSPACE,
        );
        assert!(!text.unwrap().contains("workspace"));
    }
}
