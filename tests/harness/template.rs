//! A cluster as initdb leaves it, made once by the host's own code. Every test begins
//! with a copy: to make one anew is half of what a host does at its first start.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use hearth::embedded::postgres::Cluster;

use super::host::{binary, target};
use super::postgres::named;

/// Puts a cluster that nobody has used into this place, where there is none yet.
pub fn furnish(place: &Path) {
    if !place.exists() {
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        copy(&template(), place);
    }
}

/// Tests run in many processes: the first one makes it, and the others wait.
fn template() -> PathBuf {
    let tmp = target().join("tmp");
    std::fs::create_dir_all(&tmp).unwrap();
    let lock = File::create(tmp.join("cluster.lock")).unwrap();
    lock.lock().unwrap();
    let place = tmp.join(format!("cluster-{}", build()));
    if !place.exists() {
        forget_others(&tmp);
        make(&place);
    }
    place
}

/// Another build of the host may make another cluster.
fn build() -> String {
    let built = binary().metadata().unwrap();
    let at = built.modified().unwrap().duration_since(UNIX_EPOCH);
    format!("{}-{}", at.unwrap().as_micros(), built.len())
}

fn forget_others(tmp: &Path) {
    for entry in std::fs::read_dir(tmp).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("cluster-") {
            std::fs::remove_dir_all(entry.path()).unwrap();
        }
    }
}

fn make(place: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("postgres");
    let starting = made.clone();
    // Whoever asks may be within a runtime already.
    let making = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let cluster = Cluster::start(named(), &starting).await.unwrap();
            cluster.stop().await;
        });
    });
    making.join().unwrap();
    let unfinished = place.with_extension("unfinished");
    copy(&made, &unfinished);
    std::fs::rename(unfinished, place).unwrap();
}

/// With owners and modes, which Postgres insists on.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(
        copied.unwrap().success(),
        "{} is not copied",
        from.display()
    );
}
