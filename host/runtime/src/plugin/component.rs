//! From a component's bytes to code that can run, by way of a compiling child
//! and a store of compiled files that are believed only with their MAC.
//!
//! Compilation can neither be bounded nor cancelled inside a process that
//! serves, so `hearth compile` does it under limits of its own (ARCHITECTURE.md,
//! invariant 7). A compiled file is native code: loading one reads it once,
//! verifies its MAC, and deserialises those same bytes (invariant 7).

mod store;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

use self::store::{CompiledFiles, CompiledName};
use super::package::Package;
use crate::engine::config::Config as Limits;
use crate::engine::{Engines, Family};
use hearth_base::secret::RootSecret;

pub use self::store::FileLease;

/// Why a component cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("the component does not compile: {0}")]
    Invalid(String),
    #[error(
        "compiling takes too much CPU time: at most {0} ms are allowed (engine.compile_cpu_ms_max)"
    )]
    Cpu(u64),
    #[error("compiling takes too long: at most {0} ms are allowed (engine.compile_wall_ms_max)")]
    Wall(u64),
    #[error(
        "compiling takes too much memory: at most {0} bytes are allowed (engine.compile_memory_bytes_max)"
    )]
    Memory(usize),
    #[error("the compiling process could not be run: {0}")]
    Child(std::io::Error),
    #[error("the compiled component cannot be loaded: {0:#}")]
    Load(wasmtime::Error),
}

/// Compiles components and keeps what came out.
pub struct Compiler {
    engines: Arc<Engines>,
    limits: Limits,
    store: CompiledFiles,
    turns: Semaphore,
}

/// A component that can be linked, and the lease of its file: whoever serves with it
/// holds both.
pub struct Compiled {
    pub component: Component,
    pub lease: FileLease,
}

impl Compiler {
    /// `data_dir` is the host's own folder; compiled files lie in `aot` below it.
    pub fn open(
        engines: Arc<Engines>,
        limits: Limits,
        data_dir: &Path,
        secret: &RootSecret,
    ) -> std::io::Result<Compiler> {
        let (dir, mac_key) = (data_dir.join("aot"), secret.derive("aot-mac"));
        Ok(Compiler {
            engines,
            store: CompiledFiles::open(dir, limits.compiled_files_max, mac_key)?,
            turns: Semaphore::new(limits.compile_concurrency_max),
            limits,
        })
    }

    /// The component, from the store where a true copy is there, else compiled.
    pub async fn component(
        &self,
        package: &Package,
        family: Family,
    ) -> Result<Compiled, CompileError> {
        let engine = self.engines.of(family);
        let name = CompiledName {
            digest: &package.digest,
            compatibility: compatibility(engine),
        };
        // From here on nobody deletes the file.
        let lease = self.store.lease(name);
        if let Some(component) = self.store.load(name, |code| deserialize(engine, code)) {
            return Ok(Compiled { component, lease });
        }
        let code = self.compile(package, family).await?;
        let component = deserialize(engine, &code).map_err(CompileError::Load)?;
        self.store.keep(name, &code);
        Ok(Compiled { component, lease })
    }

    async fn compile(&self, package: &Package, family: Family) -> Result<Vec<u8>, CompileError> {
        // Each compilation may take all the memory that one may.
        let _permit = self.turns.acquire().await;
        let wall = Duration::from_millis(self.limits.compile_wall_ms_max);
        let mut child = self.spawn(family).map_err(CompileError::Child)?;
        match tokio::time::timeout(
            wall,
            converse(
                &mut child,
                &package.component,
                self.limits.compiled_bytes_max,
            ),
        )
        .await
        {
            Err(_) => Err(CompileError::Wall(self.limits.compile_wall_ms_max)),
            Ok(Err(error)) => Err(CompileError::Child(error)),
            Ok(Ok(Conversation {
                status,
                code,
                complaint,
            })) => match status.success() {
                true => Ok(code),
                false => Err(self.blame(status, complaint)),
            },
        }
    }

    fn spawn(&self, family: Family) -> std::io::Result<Child> {
        // The running binary itself, even where its file was replaced.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg("compile")
            .args([
                "--family",
                if family == Family::Record {
                    "record"
                } else {
                    "http"
                },
            ])
            .args(["--layout", self.engines.layout().name()])
            .args([
                "--memory-bytes-max",
                &self.limits.compile_memory_bytes_max.to_string(),
            ])
            .args(["--cpu-ms-max", &self.limits.compile_cpu_ms_max.to_string()])
            .args([
                "--stack-bytes-max",
                &self.limits.stack_bytes_max.to_string(),
            ])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn()
    }

    fn blame(&self, status: std::process::ExitStatus, complaint: String) -> CompileError {
        use std::os::unix::process::ExitStatusExt;
        match status.signal() {
            Some(libc::SIGXCPU | libc::SIGKILL) => {
                CompileError::Cpu(self.limits.compile_cpu_ms_max)
            }
            // An allocation that fails aborts; a fresh thread's may fault.
            Some(_) => CompileError::Memory(self.limits.compile_memory_bytes_max),
            // What cannot be allocated shows as an abort, as the engine's own
            // error, or as a thread that does not start.
            None if [
                "memory allocation",
                "out of memory",
                "Cannot allocate memory",
                "temporarily unavailable",
            ]
            .iter()
            .any(|words| complaint.contains(words)) =>
            {
                CompileError::Memory(self.limits.compile_memory_bytes_max)
            }
            None => CompileError::Invalid(complaint),
        }
    }
}

struct Conversation {
    status: std::process::ExitStatus,
    code: Vec<u8>,
    complaint: String,
}

/// The component goes in at stdin and the code comes out at stdout; what the
/// child complains of at stderr is cut at a size that fits a message.
async fn converse(
    child: &mut Child,
    component: &[u8],
    code_bytes_max: u64,
) -> std::io::Result<Conversation> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(std::io::Error::other("the compiling process has no pipes"));
    };
    let (mut code, mut complaint) = (Vec::new(), Vec::new());
    let mut stdout = stdout.take(code_bytes_max);
    let mut stderr = stderr.take(4096);
    let send = async {
        // A child that refuses its input early closes the pipe: its exit tells.
        let _ = stdin.write_all(component).await;
        drop(stdin);
    };
    let (_, out, complained) = tokio::join!(
        send,
        stdout.read_to_end(&mut code),
        stderr.read_to_end(&mut complaint)
    );
    out?;
    complained?;
    let status = child.wait().await?;
    let complaint = String::from_utf8_lossy(&complaint).trim().to_string();
    Ok(Conversation {
        status,
        code,
        complaint,
    })
}

/// What decides whether compiled code fits an engine.
fn compatibility(engine: &Engine) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish().to_be_bytes()
}

#[allow(unsafe_code, reason = "loading native code is what the MAC is for")]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes come straight from our own compiling child, or from a
    // file whose MAC over these very bytes was verified just before.
    unsafe { Component::deserialize(engine, code) }
}
