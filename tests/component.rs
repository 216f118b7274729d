//! Compiled components are believed only with their MAC.

use std::fs::FileTimes;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;

use crate::harness::host::{Host, Setup};

fn compiled(host: &Host) -> Vec<PathBuf> {
    let dir = std::fs::read_dir(host.data_dir().join("aot")).unwrap();
    dir.map(|entry| entry.unwrap().path()).collect()
}

async fn answers(host: &Host, key: &str) {
    let answer = host.get("/echo", key).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn compiled_component_is_loaded_again_and_one_flipped_byte_is_compiled_anew() {
    let mut host = Setup::new().bare().guest("echo", &[], "").start();
    let key = host.key("acme", &[]);
    let files = compiled(&host);
    assert_eq!(files.len(), 1);
    let whole = std::fs::read(&files[0]).unwrap();
    let written = || std::fs::metadata(&files[0]).unwrap().modified().unwrap();
    let first = written();

    host.stop();
    host.restart();
    answers(&host, &key).await;
    assert_eq!(written(), first, "a true copy is loaded, not compiled");

    // A byte of the MAC, of the code's beginning, middle and end.
    for at in [8, 60, whole.len() / 2, whole.len() - 1] {
        host.stop();
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        std::fs::write(&files[0], &flipped).unwrap();
        host.restart();
        answers(&host, &key).await;
        assert_ne!(
            std::fs::read(&files[0]).unwrap(),
            flipped,
            "byte {at}: it was compiled anew"
        );
        assert!(
            host.log()
                .contains("the MAC of a compiled component is invalid")
        );
    }

    for damaged in [&whole[..20], b"".as_slice(), b"HEARTHA1".as_slice()] {
        host.stop();
        std::fs::write(&files[0], damaged).unwrap();
        host.restart();
        answers(&host, &key).await;
    }
}

/// A file of a component that nobody serves, used so many days ago.
fn plant(host: &Host, name: &str, days: u64) {
    let file = std::fs::File::create(host.data_dir().join("aot").join(name)).unwrap();
    let used = SystemTime::now() - Duration::from_secs(days * 86_400);
    let times = FileTimes::new().set_accessed(used).set_modified(used);
    file.set_times(times).unwrap();
}

/// Has it compiled anew.
fn damage(file: &Path) {
    std::fs::write(file, b"damaged").unwrap();
}

#[tokio::test]
async fn compiled_components_that_were_used_longest_ago_go_first_and_none_that_serves() {
    let setup = Setup::new().bare().guest("echo", &[], "");
    let setup = setup.guest("spin", &[], "");
    let mut host = setup.config("[engine]\ncompiled_files_max = 3").start();
    let key = host.key("acme", &[]);
    let serving = compiled(&host);
    assert_eq!(serving.len(), 2);
    host.stop();
    for (name, days) in [("a.aot", 1), ("b.aot", 3), ("c.aot", 2)] {
        plant(&host, name, days);
    }
    damage(&serving[0]);
    host.restart();
    answers(&host, &key).await;
    let is_there = |name: &str| host.data_dir().join("aot").join(name).exists();
    assert_eq!(
        ["a.aot", "b.aot", "c.aot"].map(is_there),
        [true, false, false]
    );
    assert!(serving.iter().all(|file| file.exists()));
}

#[tokio::test]
async fn compiled_components_that_serve_stay_where_they_are_more_than_may_be_kept() {
    let setup = Setup::new().bare().guest("echo", &[], "");
    let setup = setup.guest("spin", &[], "");
    let mut host = setup.config("[engine]\ncompiled_files_max = 1").start();
    let key = host.key("acme", &[]);
    let written = |file: &PathBuf| std::fs::metadata(file).unwrap().modified().unwrap();
    let mut files = compiled(&host);
    files.sort();
    let first: Vec<SystemTime> = files.iter().map(written).collect();
    assert_eq!(first.len(), 2);
    host.stop();
    host.restart();
    answers(&host, &key).await;
    let again: Vec<SystemTime> = files.iter().map(written).collect();
    assert_eq!(again, first, "none is compiled again");
}

#[test]
fn compiling_is_bounded_in_cpu_and_memory() {
    for (limit, reason) in [
        (
            "compile_memory_bytes_max = 40000000",
            "compile_memory_bytes_max",
        ),
        ("compile_wall_ms_max = 1", "compile_wall_ms_max"),
    ] {
        let output = Setup::new()
            .guest("echo", &[], "")
            .config(&format!("[engine]\n{limit}\n"))
            .refused();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success());
        assert!(
            complaint.contains("`echo`") && complaint.contains(reason),
            "{complaint}"
        );
    }
}
