//! With which Rust a component is built: the machine's, where it has the target; else the
//! one that a checkout of Hearth finds with plugins/toolchain.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cli::admin::Error;
use crate::cli::open::environment;

/// What components are compiled for.
pub const TARGET: &str = "wasm32-wasip2";
/// The script of a checkout that has cargo find its toolchain.
const SCRIPT: &str = "plugins/toolchain/cargo";
/// Asks for Debian's packages in a checkout's .toolchain.
const CHOICE: &str = "WASM_TOOLCHAIN";
/// A guest needs little stack: Rust's 1 MiB would be its smallest memory. As in
/// plugins/toolchain/toolchain.sh.
const STACK: &str = "-Clink-arg=-zstack-size=131072";

/// What a machine has to build a component with.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    pub has_cargo: bool,
    /// Whether its rustc has the libraries of the target.
    pub has_target: bool,
    pub has_rustup: bool,
    /// The script of the checkout around the plugin, or around this program.
    pub script: Option<PathBuf>,
    /// What `WASM_TOOLCHAIN` says.
    pub choice: Option<String>,
}

/// How cargo is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// As it is.
    Machine,
    /// By a checkout's script.
    Script(PathBuf),
}

impl Machine {
    /// Looks at this machine, for a plugin in that folder.
    pub fn here(dir: &Path) -> anyhow::Result<Machine> {
        let places = [std::fs::canonicalize(dir)?, std::env::current_exe()?];
        let folders = places.iter().flat_map(|place| place.ancestors());
        let mut scripts = folders.map(|folder| folder.join(SCRIPT));
        Ok(Machine {
            has_cargo: answers(&cargo(), dir, &["--version"]).is_some(),
            has_target: has_target(dir),
            has_rustup: answers("rustup".as_ref(), dir, &["--version"]).is_some(),
            script: scripts.find(|script| script.is_file()),
            choice: environment(CHOICE).filter(|choice| !choice.is_empty()),
        })
    }
}

impl Toolchain {
    /// The way to build there is on a machine; else what to do to have one.
    pub fn choose(machine: &Machine) -> Result<Toolchain, Error> {
        let fail = |text: String| Err(Error::Usage(text));
        if !machine.has_cargo {
            return fail("cargo was not found: install Rust (https://rustup.rs)".into());
        }
        match (machine.choice.as_deref(), &machine.script) {
            (None, _) if machine.has_target => Ok(Toolchain::Machine),
            (None | Some("debian"), Some(script)) => Ok(Toolchain::Script(script.clone())),
            (Some("debian"), None) => fail(format!(
                "{CHOICE}=debian needs a checkout of Hearth around the plugin or this program, \
                 whose .toolchain Debian's packages are fetched into: unset it, and install the \
                 target with `rustup target add {TARGET}`"
            )),
            (Some(other), _) => fail(format!(
                "{CHOICE}=`{other}` is invalid: set it to debian, or unset it"
            )),
            (None, None) if machine.has_rustup => fail(format!(
                "the target {TARGET} of Rust is not installed. Run: rustup target add {TARGET}"
            )),
            (None, None) => fail(format!(
                "the target {TARGET} of Rust is not installed, and rustup was not found: install \
                 Rust with rustup (https://rustup.rs), then run: rustup target add {TARGET}"
            )),
        }
    }

    /// Cargo, which will find the target.
    pub fn cargo(&self) -> Command {
        match self {
            Toolchain::Script(script) => Command::new(script),
            Toolchain::Machine => {
                let mut command = Command::new(cargo());
                // Flags that are meant for this machine would replace those of the target.
                for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
                    command.env_remove(name);
                }
                command.env("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", STACK);
                command
            }
        }
    }
}

/// The cargo that started this program, or the one on the path.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn has_target(dir: &Path) -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let arguments = ["--print", "target-libdir", "--target", TARGET];
    let Some(libraries) = answers(&rustc, dir, &arguments) else {
        return false;
    };
    let mut entries = std::fs::read_dir(libraries.trim())
        .into_iter()
        .flatten()
        .flatten();
    entries.any(|entry| entry.file_name().as_encoded_bytes().starts_with(b"libstd-"))
}

/// What a program answers, if it is there and ends well.
fn answers(program: &std::ffi::OsStr, dir: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let asked = command
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    asked
        .status
        .success()
        .then(|| String::from_utf8_lossy(&asked.stdout).into_owned())
}
