//! As whom the private cluster runs.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::harness::host::binary;

/// One of those that OpenShift gives to containers.
const NAMELESS: u32 = 1_000_660_123;

/// Where a container allows no user namespace, the host cannot help itself.
#[test]
fn host_of_a_user_without_a_name_has_its_postgres_or_says_what_it_lacks() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    chown(folder.path(), Some(NAMELESS), Some(0)).unwrap();
    // The checkout may lie where nobody else gets to.
    let program = folder.path().join("hearth");
    std::fs::copy(binary(), &program).unwrap();
    let made = Command::new(program)
        .args([
            "keys",
            "create",
            "--customer",
            "acme",
            "--tier",
            "unlimited",
        ])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HEARTH_DATA_DIR", folder.path().join("data"))
        .current_dir(folder.path())
        .uid(NAMELESS)
        .gid(0)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&made.stderr);
    match made.status.success() {
        true => assert!(made.stdout.windows(3).any(|part| part == b"hk_"), "{told}"),
        false => {
            assert!(told.contains("HEARTH_DATABASE_URL"), "{told}");
            assert!(told.contains("hearth:x:1000660123:0"), "{told}");
        }
    }
}
