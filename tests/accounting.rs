//! What a call is charged for.

use reqwest::StatusCode;

use crate::harness::host::Setup;

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
