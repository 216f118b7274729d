//! The interfaces of the contract, and what else a component may import.

use std::fmt;

pub use crate::capability::Interface;

/// The package and version of the contract that this host implements.
pub const CONTRACT: &str = "hearth:plugin";
pub const CONTRACT_VERSION: &str = "0.1.0";

impl Interface {
    /// How a manifest asks for it.
    pub fn grant(self) -> &'static str {
        match self {
            Interface::Queue => "queue:NAME",
            Interface::Outbound => "outbound:https://HOST",
            other => other.name(),
        }
    }

    /// The interface with that name, if there is one.
    pub fn from_name(name: &str) -> Option<Interface> {
        let mut all = Interface::ALL.iter().copied();
        all.find(|interface| interface.name() == name)
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the import of a component is to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Import {
    /// An interface of the contract that wants a grant.
    Contract(Interface),
    /// What every component may have: types of the contract, and the parts of
    /// WASI that reach nothing but clocks, randomness and the log.
    Free,
    /// Nothing that this host links; the reason in plain English.
    Unknown(&'static str),
}

/// The WASI packages of which every 0.2 interface may be imported. The standard
/// library of Rust imports `filesystem`, too; the host lends no folder to it.
const WASI_PACKAGES: [&str; 4] = ["cli", "io", "clocks", "random"];
const WASI_FILESYSTEM: [&str; 2] = ["types", "preopens"];

impl Import {
    /// Judges an import by its name, for example `hearth:plugin/sql@0.1.0`.
    pub fn of(name: &str) -> Import {
        let (path, version) = name.split_once('@').unwrap_or((name, ""));
        let (package, interface) = path.split_once('/').unwrap_or((path, ""));
        match package.split_once(':') {
            Some(("wasi", wasi)) => wasi_import(wasi, interface, version),
            _ if package == CONTRACT => contract_import(interface, version),
            _ => Import::Unknown("it belongs to neither hearth:plugin nor WASI"),
        }
    }
}

fn contract_import(interface: &str, version: &str) -> Import {
    if version != CONTRACT_VERSION {
        return Import::Unknown("this host implements version 0.1.0 of the contract");
    }
    match Interface::from_name(interface) {
        Some(interface) => Import::Contract(interface),
        None if interface == "types" => Import::Free,
        None => Import::Unknown("the contract has no such import"),
    }
}

fn wasi_import(package: &str, interface: &str, version: &str) -> Import {
    if !version.starts_with("0.2.") {
        return Import::Unknown("only WASI 0.2 is supported");
    }
    let filesystem = package == "filesystem" && WASI_FILESYSTEM.contains(&interface);
    match package {
        _ if filesystem || WASI_PACKAGES.contains(&package) => Import::Free,
        "sockets" => Import::Unknown("sockets are not allowed; use hearth:plugin/outbound"),
        // The standard's interface for what the grant `outbound` is for.
        "http" if ["outgoing-handler", "types"].contains(&interface) => {
            Import::Contract(Interface::Outbound)
        }
        "http" => Import::Unknown("a plugin exports hearth:plugin/handler"),
        _ => Import::Unknown("this part of WASI is not supported"),
    }
}
