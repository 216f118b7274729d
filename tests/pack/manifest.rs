//! The manifest: its defaults, and every mistake with its line.

use hearth::plugin::manifest::{Grant, Manifest, Reuse, World};
use hearth::plugin::package::Interface;

use super::MANIFEST;

#[test]
fn a_manifest_asks_for_no_limit_that_it_does_not_name() {
    let manifest = Manifest::parse(MANIFEST).unwrap();
    assert_eq!(manifest.world, World::Plugin);
    assert!(!manifest.public);
    let limits = &manifest.limits;
    assert_eq!(
        (
            limits.memory_bytes_max,
            limits.cpu_ms_max,
            limits.wall_ms_max
        ),
        (None, None, None),
        "what is not asked for is the operator's to say"
    );
    assert_eq!(manifest.instances.reuse, Reuse::Fresh);
    assert_eq!(
        (manifest.instances.uses_max, manifest.instances.age_ms_max),
        (1_000, 600_000)
    );
}

#[test]
fn a_whole_manifest_is_read() {
    let manifest = Manifest::parse(
        r#"
name = "tickets"
version = "1.2.3-rc.1"
mount = "/support"
world = "full"
grants = ["sql", "queue:webhook-deliveries", "outbound:https://*.example.com"]
public = true
openapi = "openapi.json"
[limits]
memory_bytes_max = 134_217_728
wall_ms_max = 0x3e8
[instances]
reuse = "serial"
uses_max = 10
warm_instances_min = 2
[sql]
migrations = "migrations"
shared = ["lookup"]
functions = ["touch"]
[self_test]
method = "GET"
path = "/support/tickets"
status = 401
"#,
    )
    .unwrap();
    assert_eq!(manifest.limits.memory_bytes_max, Some(128 << 20));
    assert_eq!(manifest.limits.wall_ms_max, Some(1_000));
    assert_eq!(manifest.instances.reuse, Reuse::Serial);
    assert!(
        manifest
            .grants
            .contains(&Grant::Queue("webhook-deliveries".into()))
    );
    assert!(manifest.asks_for(Interface::Outbound) && !manifest.asks_for(Interface::Log));
    assert_eq!(manifest.self_test.unwrap().status, 401);
    assert!(manifest.sql.shared.contains("lookup") && manifest.sql.functions.contains("touch"));
}

#[test]
fn every_mistake_of_a_manifest_is_told_with_its_line() {
    let error = Manifest::parse(
        "name = \"Tickets\"\nversion = \"1\"\nmount = \"/a/../b\"\nworld = \"moon\"\n\
         grants = [\"sql\", \"files\", \"outbound\", \"outbound:https://a.example/b\"]\npublic = 1\ncolour = \"red\"\n[limits]\n\
         cpu_ms_max = 0\nmemory_bytes_max = \"64M\"\nheat_max = 1\n[instances]\nreuse = \"always\"\n\
         [sql]\nmigrations = \"../x\"\nshared = [\"A b\"]\n[[sql.statements]]\nparams = [\"money\"]\n\
         columns = [{ name = \"a\", kind = \"text\" }]\n",
    )
    .unwrap_err();
    let wanted = [
        (1, "`name`"),
        (2, "`version`"),
        (3, "`mount`"),
        (4, "`world`"),
        (5, "`files`"),
        (5, "`outbound` is unknown"),
        (5, "it must not have a path"),
        (6, "`public`"),
        (7, "`colour`"),
        (9, "`limits.cpu_ms_max`"),
        (10, "`limits.memory_bytes_max`"),
        (11, "`limits.heat_max`"),
        (13, "`instances.reuse`"),
        (15, "`migrations`"),
        (16, "`A b`"),
        (17, "`sql.statements.text` is missing"),
        (17, "`sql.statements.access` is missing"),
        (18, "`money`"),
        (19, "`sql.statements.columns.type` is missing"),
        (19, "`sql.statements.columns.kind`"),
    ];
    for (line, reason) in wanted {
        let told = error
            .mistakes
            .iter()
            .any(|m| m.line == line && m.reason.contains(reason));
        assert!(told, "line {line}, {reason}:\n{error}");
    }
    assert_eq!(error.mistakes.len(), wanted.len(), "{error}");
}

#[test]
fn shared_reuse_asks_for_a_grant_which_is_not_asked_for_by_name() {
    let shared = format!("{MANIFEST}\n[instances]\nreuse = \"shared\"\n");
    let manifest = Manifest::parse(&shared).unwrap();
    assert_eq!(manifest.instances.reuse, Reuse::Shared);
    assert!(manifest.grants.contains(&Grant::SharedReuse));
    assert_eq!(Grant::SharedReuse.to_string(), "reuse:shared");
    let serial = Manifest::parse(&shared.replace("shared", "serial")).unwrap();
    assert!(!serial.grants.contains(&Grant::SharedReuse));
    let named = MANIFEST.replacen("grants = [", "grants = [\"reuse:shared\", ", 1);
    let error = Manifest::parse(&named).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`reuse = \"shared\" in [instances]` already asks for it"),
        "{error}"
    );
}

#[test]
fn an_empty_or_broken_manifest_is_refused() {
    let missing = Manifest::parse("").unwrap_err();
    assert_eq!(missing.mistakes.len(), 4, "{missing}");
    let broken = Manifest::parse("name = \"a\"\nversion = \n").unwrap_err();
    assert_eq!(broken.mistakes[0].line, 2, "{broken}");
    assert!(
        !Manifest::parse(&"#".repeat(2 << 20))
            .unwrap_err()
            .mistakes
            .is_empty()
    );
}

#[test]
fn mounts_are_plain_paths() {
    let with = |mount: &str| Manifest::parse(&MANIFEST.replace("/support", mount)).is_ok();
    for good in ["/support", "/a/b", "/v1.0", "/a-b_c~d"] {
        assert!(with(good), "{good}");
    }
    for bad in [
        "support", "/", "/a/", "/a//b", "/.", "/a/..", "/a%2e", "/a b", "/a?b", "/ä",
    ] {
        assert!(!with(bad), "{bad}");
    }
}
