//! What `make` looks for on a fresh machine, and what it says where something is missing.
//! Each test has a copy of the scripts, and a PATH on which only what it puts there is.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What the scripts use of any machine.
const BASICS: [&str; 24] = [
    "awk", "basename", "bash", "cat", "cmp", "cp", "cut", "dirname", "env", "find", "flock",
    "grep", "head", "id", "ls", "mkdir", "mv", "paste", "rm", "sed", "sort", "tr", "true", "uname",
];

/// A checkout with the scripts and nothing else, and the programs of a machine.
struct Machine(TempDir);

impl Machine {
    fn new() -> Machine {
        let machine = Machine(tempfile::tempdir().unwrap());
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for folder in ["plugins/toolchain", "tests/tools"] {
            let copy = machine.path(folder);
            std::fs::create_dir_all(&copy).unwrap();
            for entry in std::fs::read_dir(checkout.join(folder)).unwrap().flatten() {
                if entry.path().is_file() {
                    std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
                }
            }
        }
        std::fs::copy(checkout.join("Cargo.toml"), machine.path("Cargo.toml")).unwrap();
        std::fs::create_dir(machine.path("bin")).unwrap();
        for name in BASICS {
            let paths = std::env::var_os("PATH").unwrap();
            let found = std::env::split_paths(&paths).map(|folder| folder.join(name));
            let program = found.into_iter().find(|file| file.is_file());
            symlink(program.expect(name), machine.path("bin").join(name)).unwrap();
        }
        machine
            .with("cargo", "true")
            .with("rustc", "echo rustc 1.95.0")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Has a program that does this, in place of the machine's.
    fn with(self, program: &str, script: &str) -> Machine {
        let file = self.path("bin").join(program);
        let _ = std::fs::remove_file(&file);
        std::fs::write(&file, format!("#!/usr/bin/env bash\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// Whether a script ended well, and what it said.
    fn run(&self, script: &str, args: &[&str]) -> (bool, String) {
        let mut command = Command::new(self.path(script));
        command.args(args).env_clear().env("PATH", self.path("bin"));
        let ended = command.output().unwrap();
        let told = [ended.stdout, ended.stderr].concat();
        (ended.status.success(), String::from_utf8(told).unwrap())
    }
}

#[test]
fn system_that_is_not_linux_is_told_at_once_to_use_a_container() {
    let mac = Machine::new().with("uname", "echo Darwin");
    let (ended_well, told) = mac.run("plugins/toolchain/prerequisites", &[]);
    assert!(!ended_well);
    assert!(
        told.contains("supports only Linux, and this is Darwin"),
        "{told}"
    );
    assert!(told.contains("    docker run "), "{told}");
}

#[test]
fn rust_that_is_missing_or_too_old_is_told_with_what_to_run() {
    let old = Machine::new().with("rustc", "echo rustc 1.85.1");
    let (ended_well, told) = old.run("plugins/toolchain/prerequisites", &[]);
    assert!(!ended_well);
    assert!(
        told.contains("Rust 1.85.1 is too old: 1.95 or later is required"),
        "{told}"
    );
    let managed = old.with("rustup", "true");
    let (_, told) = managed.run("plugins/toolchain/prerequisites", &[]);
    assert!(told.contains("\n    rustup update stable\n"), "{told}");
}

#[test]
fn all_that_the_build_and_the_tests_lack_is_told_in_one_command() {
    let bare = Machine::new();
    let (ended_well, told) = bare.run("plugins/toolchain/prerequisites", &["tests"]);
    assert!(!ended_well);
    let command = told.lines().find(|line| line.contains("apt-get install"));
    let command = command.unwrap_or_else(|| panic!("{told}"));
    for package in ["build-essential", "python3-venv", "nodejs npm"] {
        assert!(command.contains(package), "{package} is missing: {told}");
    }
    // Of what only the tests want it is no error.
    let (_, told) = bare.run("plugins/toolchain/prerequisites", &[]);
    assert!(!told.contains("nodejs"), "{told}");
}

#[test]
fn python_that_is_too_old_for_the_tests_is_not_taken() {
    // As one of 3.10 does, of which the scripts ask whether it is older than 3.11.
    let old = Machine::new().with("python3", "case \"$2\" in *'< (3, 11)'*) exit 1 ;; esac");
    let (_, told) = old.run("plugins/toolchain/prerequisites", &["tests"]);
    assert!(told.contains("python3.11-venv"), "{told}");
}

#[test]
fn tests_whose_program_cannot_be_had_are_left_out_and_named() {
    // The runner says with what it was called, and lists one test.
    let runner = "case \"$2\" in list) echo 'hearth-tests::hearth http2::h2load_sees_it' ;; *) echo \"ran $*\" ;; esac";
    let machine = Machine::new().with("cargo", runner);
    let (ended_well, told) = machine.run("tests/tools/debian", &["h2load=nghttp2-client"]);
    assert!(ended_well, "{told}");
    let (_, told) = machine.run("tests/tools/missing", &["tell"]);
    assert!(told.contains("these cannot be had here: h2load"), "{told}");
    assert!(told.contains("install -y nghttp2-client\n"), "{told}");
    let (ended_well, told) = machine.run("tests/tools/run", &["nextest"]);
    assert!(ended_well, "{told}");
    assert!(
        told.contains("ran nextest run --release -E not (test(http2::h2load_))"),
        "{told}"
    );
    assert!(
        told.contains("    skipped: hearth-tests::hearth http2::h2load_sees_it"),
        "{told}"
    );

    // Once it is there, its tests run again, and nothing is said.
    let machine = machine.with("h2load", "true");
    machine.run("tests/tools/debian", &["h2load=nghttp2-client"]);
    let (_, told) = machine.run("tests/tools/run", &["nextest"]);
    assert_eq!(told, "ran nextest run --release\n");
}
