//! What a call is charged for.

use hearth::plugin::package::{PackageParts, pack};
use reqwest::StatusCode;

use crate::harness::host::{Setup, guest};

#[tokio::test]
async fn waiting_for_postgres_costs_no_cpu() {
    let host = Setup::new()
        .guest("sleeper", &["sql"], "sql_functions = [\"pg_sleep\"]")
        .start();
    let key = host.key("acme", &[]);
    let calls = 10.0;
    for _ in 0..10 {
        let answer = host.get("/sleeper", &key).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let plugin = "plugin=\"sleeper\"";
    let waited = host.metric("hearth_request_seconds_sum", &[plugin]).await;
    let computed = host.metric("hearth_guest_cpu_seconds_sum", &[plugin]).await;
    assert!(waited >= calls * 0.2, "each call slept 200 ms: {waited}");
    // CPU time, not a clock: a busy machine does not change it.
    assert!(
        computed < calls * 0.02,
        "{computed} s of CPU for {calls} calls that only waited"
    );
    assert!(computed > 0.0, "a call that ran is charged something");
}

#[tokio::test]
async fn peak_memory_of_each_call_is_measured() {
    let host = Setup::new().guest("echo", &[], "").start();
    let key = host.key("acme", &[]);
    host.get("/echo", &key).send().await.unwrap();
    let plugin = "plugin=\"echo\"";
    let bytes = host
        .metric("hearth_guest_memory_peak_bytes_sum", &[plugin])
        .await;
    assert!(
        (65_536.0..64.0 * 1024.0 * 1024.0).contains(&bytes),
        "{bytes}"
    );
}

#[tokio::test]
async fn wanted_instances_are_kept_ready_and_each_call_has_a_fresh_one() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = "name = \"echo\"\nversion = \"0.1.0\"\nmount = \"/echo\"\nworld = \"plugin\"\n\
        [instances]\nwarm_instances_min = 3\n";
    let parts = PackageParts {
        manifest: manifest.into(),
        ..PackageParts::default()
    };
    let file = dir.path().join("echo.wasm");
    let component = std::fs::read(guest("echo")).unwrap();
    std::fs::write(&file, pack(&component, &parts).unwrap()).unwrap();
    let host = Setup::new().plugin("echo", &file, &[], "").start();
    let key = host.key("acme", &[]);
    let waiting = async || {
        host.metric("hearth_instances_waiting", &["plugin=\"echo\""])
            .await
    };
    assert_eq!(waiting().await, 3.0, "before the first call");
    for _ in 0..10 {
        assert_eq!(
            host.get("/echo", &key).send().await.unwrap().status(),
            StatusCode::OK
        );
    }
    for _ in 0..200 {
        if waiting().await == 3.0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("{} instances wait after ten calls", waiting().await);
}
