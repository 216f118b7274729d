//! hearth.toml and the environment: what is read, and how every mistake is told.

mod bounds;
mod environment;
mod queues;
mod secrets;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hearth::config::{Config, ConfigErrors};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::harness::setup::TICKETS_GRANTS;

fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hearth.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn load_with(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let (_folder, path) = file(text);
    let env: BTreeMap<_, _> = env.iter().copied().collect();
    Config::load(Some(&path), &|name| {
        env.get(name).map(|value| (*value).to_owned())
    })
}

fn load(text: &str) -> Result<Config, ConfigErrors> {
    load_with(text, &[])
}

/// Line, column, key and message of each mistake.
fn mistakes(text: &str) -> Vec<(usize, usize, String, String)> {
    let errors = load(text).unwrap_err();
    let told = errors.mistakes.into_iter().map(|mistake| {
        let (line, column) = mistake.position.unwrap_or_default();
        (line, column, mistake.key, mistake.message)
    });
    told.collect()
}

#[test]
fn an_empty_file_has_the_defaults() {
    let config = load("").unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:8081");
    assert_eq!(config.data_dir, Path::new(".hearth"));
    assert_eq!(config.plugin_defaults.cpu_ms_max, 50);
    assert!(config.plugins.is_empty());
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let text = r#"
listen = "somewhere"
colour = "red"

[server]
headers_mx = 5
connections_max = "many"
body_bytes_max = -1
idle_ms_max = 0
h2 = 3

[telemetry]
log_format = "xml"
log_filter = "hearth=loud"

[plugins.tickets]
grants = ["sqll", "log", "log", 7]
mount = "support/"
"#;
    let told = mistakes(text);
    let expected = [
        (
            2,
            10,
            "listen",
            "expected an address and a port, for example \"127.0.0.1:8080\"",
        ),
        (3, 1, "colour", "unknown key, expected one of "),
        (
            6,
            1,
            "server.headers_mx",
            "unknown key, did you mean `headers_max`?",
        ),
        (
            7,
            19,
            "server.connections_max",
            "expected a whole number that is not negative or too large, found \"many\"",
        ),
        (
            8,
            18,
            "server.body_bytes_max",
            "expected a whole number that is not negative or too large, found -1",
        ),
        (
            9,
            15,
            "server.idle_ms_max",
            "expected 1 to 3600000, found 0",
        ),
        (10, 6, "server.h2", "expected a table, found a whole number"),
        (
            13,
            14,
            "telemetry.log_format",
            "expected \"human\" or \"json\", found \"xml\"",
        ),
        (14, 14, "telemetry.log_filter", "expected a filter such as "),
        (
            17,
            10,
            "plugins.tickets.grants",
            "unknown grant \"sqll\", did you mean \"sql\"?",
        ),
        (17, 10, "plugins.tickets.grants", "\"log\" is given twice"),
        (
            17,
            33,
            "plugins.tickets.grants[3]",
            "expected a string, found a whole number",
        ),
        (
            18,
            9,
            "plugins.tickets.mount",
            "expected a path such as \"/support\"",
        ),
    ];
    for (line, column, key, message) in &expected {
        let found = told.iter().any(|(at_line, at_column, at_key, text)| {
            (at_line, at_column, at_key.as_str()) == (line, column, key)
                && text.starts_with(message)
        });
        assert!(
            found,
            "{line}:{column}: {key}: {message} is missing from {told:#?}"
        );
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn a_mistake_is_one_line_with_file_line_and_column() {
    let (_folder, path) = file("[server]\nheaders_max = \"many\"\n");
    let errors = Config::load(Some(&path), &|_| None).unwrap_err();
    let line = errors.to_string();
    let expected = format!(
        "{}:2:15: server.headers_max: expected a whole number",
        path.display()
    );
    assert!(line.starts_with(&expected), "{line}");
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn a_broken_line_hides_no_mistake_behind_it() {
    let told = mistakes("listen = \"127.0.0.1:80\n[server]\nheaders_max = 0\n");
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(told[0].0, 1);
    assert_eq!((told[1].0, told[1].2.as_str()), (3, "server.headers_max"));
}

#[test]
fn a_key_that_stands_twice_is_told() {
    let told = mistakes("[plugins.a]\nfile = \"a.wasm\"\n[plugins.a]\nfile = \"b.wasm\"\n");
    assert!(told.iter().any(|mistake| mistake.0 == 3), "{told:#?}");
}

#[test]
fn two_plugins_cannot_have_one_mount() {
    let text = "[plugins.a]\nfile = \"a.wasm\"\nmount = \"/x\"\n[plugins.b]\nfile = \"b.wasm\"\nmount = \"/x\"\n";
    let told = mistakes(text);
    let expected = (
        6,
        9,
        "plugins.b.mount".to_owned(),
        "\"/x\" is already the mount of plugin \"a\"".to_owned(),
    );
    assert_eq!(told, [expected]);
}

#[test]
fn a_plugin_cannot_have_more_than_the_engine() {
    let text = "[engine]\nmemory_bytes_max = 134_217_728\n[plugins.a]\nfile = \"a.wasm\"\n\
                [plugins.a.limits]\nmemory_bytes_max = 134_217_729\n";
    let told = mistakes(text);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(
        (told[0].0, told[0].2.as_str()),
        (6, "plugins.a.limits.memory_bytes_max")
    );
}

#[test]
fn instances_that_wait_have_bounds_and_the_grant_to_share_them_one_name() {
    let text = "[engine]\nidle_instances_max = 10_001\ncustomer_idle_instances_percent_max = 0\n\
                [plugins.a]\nfile = \"a.wasm\"\ngrants = [\"reuse\", \"reuse:all\", \"reuse:shared\"]\n";
    let told = mistakes(text);
    let places: Vec<(usize, &str)> = told
        .iter()
        .map(|(line, _, key, _)| (*line, key.as_str()))
        .collect();
    let expected = [
        (2, "engine.idle_instances_max"),
        (3, "engine.customer_idle_instances_percent_max"),
        (6, "plugins.a.grants"),
        (6, "plugins.a.grants"),
    ];
    assert_eq!(places, expected, "{told:#?}");
    assert!(told[3].3.contains("\"reuse:shared\""), "{told:#?}");
}

#[test]
fn limits_of_a_plugin_are_laid_over_the_defaults() {
    let text = "[plugin_defaults]\nwall_ms_max = 7_000\n[plugins.a]\nfile = \"a.wasm\"\n\
                limits = { cpu_ms_max = 250 }\n";
    let limits = load(text).unwrap().limits("a");
    assert_eq!(
        (limits.cpu_ms_max, limits.wall_ms_max, limits.in_flight_max),
        (250, 7_000, 100)
    );
}

#[test]
fn relative_paths_count_from_the_file() {
    let (folder, path) = file("data_dir = \"data\"\n[plugins.a]\nfile = \"../a.wasm\"\n");
    let config = Config::load(Some(&path), &|_| None).unwrap();
    assert_eq!(config.data_dir, folder.path().join("data"));
    let wanted = folder.path().join("../a.wasm");
    assert_eq!(config.plugins["a"].file, Some(wanted));
}

#[test]
fn a_section_without_a_file_is_of_a_plugin_that_is_deployed_by_command() {
    let text =
        "[plugins.a]\nconfig = { greeting = \"hello\" }\n[plugins.a.limits]\ncpu_ms_max = 250\n";
    let config = load(text).unwrap();
    assert_eq!(config.plugins["a"].file, None);
    assert_eq!(config.plugins["a"].config["greeting"], "hello");
    assert_eq!(config.limits("a").cpu_ms_max, 250);
    let told = mistakes("[plugins.a]\nfile = \"\"\n");
    assert_eq!((told[0].0, told[0].2.as_str()), (2, "plugins.a.file"));
}

#[test]
fn a_cache_that_is_to_be_shared_in_redis_wants_its_url() {
    let text = "[cache]\nshared = \"redis\"\n[redis]\nconnect_ms_max = 0\n";
    let told = mistakes(text);
    let wanted = "Redis is not configured: set redis.url or HEARTH_REDIS_URL";
    assert!(
        told.iter()
            .any(|(line, .., text)| *line == 2 && text == wanted),
        "{told:?}"
    );
    assert!(
        told.iter()
            .any(|(line, _, key, _)| *line == 4 && key == "redis.connect_ms_max")
    );
    let text = "[cache]\nshared = \"redis\"\n";
    load_with(text, &[("HEARTH_REDIS_URL", "redis://redis")]).unwrap();
    let other = mistakes("[cache]\nshared = \"memcached\"\n");
    assert!(other[0].3.contains("dynamodb"), "{other:?}");
}

#[test]
fn a_file_that_is_named_must_exist() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.toml");
    let errors = Config::load(Some(&path), &|_| None).unwrap_err();
    assert!(
        errors.to_string().contains("none.toml: cannot be read"),
        "{errors}"
    );
}

#[test]
fn the_deployed_file_has_no_mistake() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/hearth.toml");
    let config = Config::load(Some(&path), &|_| None).unwrap();
    let tickets = &config.plugins["tickets"];
    assert_eq!(tickets.grants, TICKETS_GRANTS);
    let queues = tickets.config["events"].split(',');
    for queue in queues {
        assert!(
            tickets.grants.contains(&format!("queue:{queue}")),
            "{queue}"
        );
    }
    let mut plugins = config.plugins.values();
    assert!(plugins.all(|plugin| plugin.sql_scans.is_empty()));
}

#[test]
fn approvals_of_functions_have_a_whole_digest_or_are_of_postgres() {
    let load = |approval: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hearth.toml");
        let text = format!("[plugins.a]\nfile = \"a.wasm\"\nsql_functions = [{approval:?}]\n");
        std::fs::write(&path, text).unwrap();
        Config::load(Some(&path), &|_| None)
    };
    let whole = format!("touch@sha256:{}", "0a".repeat(32));
    for approval in ["pg_sleep", &whole] {
        let config = load(approval).unwrap();
        assert_eq!(config.plugins["a"].sql_functions, [approval]);
    }
    for approval in ["touch@sha256:0a", "touch@0a", "touch()@", ""] {
        let told = load(approval).unwrap_err().to_string();
        assert!(told.contains("64 hexadecimal digits"), "{approval}: {told}");
    }
}

#[test]
fn approvals_of_scans_have_a_whole_digest() {
    let whole = format!("all@sha256:{}", "0a".repeat(32));
    let text =
        |approval: &str| format!("[plugins.a]\nfile = \"a.wasm\"\nsql_scans = [{approval:?}]\n");
    assert_eq!(load(&text(&whole)).unwrap().plugins["a"].sql_scans, [whole]);
    for approval in ["all", "all@sha256:0a", "@sha256:", ""] {
        let told = load(&text(approval)).unwrap_err().to_string();
        assert!(told.contains("64 hexadecimal digits"), "{approval}: {told}");
    }
}

/// Pieces that make texts which are nearly a configuration.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("[server]\n"),
        Just("[server.h2]\n"),
        Just("[[server]]\n"),
        Just("[plugins.a]\n"),
        Just("[plugins.a.limits]\n"),
        Just("listen = "),
        Just("headers_max = "),
        Just("h2.x = "),
        Just("a.b.c = "),
        Just("grants = "),
        Just("\"x\"\n"),
        Just("7\n"),
        Just("-1\n"),
        Just("[1, {b = 2}, \"c\"]\n"),
        Just("{ streams_max = \"x\", y = 1 }\n"),
        Just("1.5\n"),
        Just("1979-05-27\n"),
        Just("= = \n"),
        Just("\"\u{e9}"),
        Just("\n"),
        Just("99999999999999999999\n"),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Whatever a file holds, loading ends, and every mistake has a message.
    #[test]
    fn no_text_panics_or_hangs(text in prop_oneof![pieces(), any::<String>()]) {
        if let Err(errors) = load(&text) {
            prop_assert!(!errors.mistakes.is_empty());
            prop_assert!(errors.mistakes.iter().all(|mistake| !mistake.message.is_empty()));
        }
    }
}
