//! What the environment says.

use std::collections::BTreeMap;
use std::path::Path;

use super::{load, load_with};

#[test]
fn the_environment_wins_over_the_file() {
    let text = "listen = \"127.0.0.1:1\"\ndata_dir = \"here\"\n[plugins.web-hooks]\nfile = \"a\"\n\
                config = { page_size = \"10\" }\n";
    let env = [
        ("HEARTH_LISTEN", "127.0.0.1:2"),
        ("HEARTH_ADMIN_LISTEN", "[::1]:3"),
        ("HEARTH_DATA_DIR", "/there"),
        ("HEARTH_DATABASE_URL", "postgres://app@db/app"),
        ("HEARTH_REDIS_URL", "rediss://:pw@redis"),
        ("HEARTH_LOG", "warn"),
        ("HEARTH_PLUGIN_WEB_HOOKS_PAGE_SIZE", "20"),
    ];
    let config = load_with(text, &env).unwrap();
    assert_eq!(config.listen.port(), 2);
    assert_eq!(config.admin.listen.port(), 3);
    assert_eq!(config.data_dir, Path::new("/there"));
    assert_eq!(
        config.database.url.unwrap().expose(),
        "postgres://app@db/app"
    );
    assert_eq!(config.redis.url.unwrap().expose(), "rediss://:pw@redis");
    assert_eq!(config.telemetry.log_filter, "warn");
    assert_eq!(config.plugins["web-hooks"].config["page_size"], "20");
}

#[test]
fn mistakes_of_the_environment_name_their_variable() {
    let env = [
        ("HEARTH_LISTEN", "8080"),
        ("HEARTH_LOG", "hearth=loud"),
        ("HEARTH_DATA_DIR", ""),
    ];
    let lines = load_with("", &env).unwrap_err().to_string();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(
        lines.contains("HEARTH_LISTEN: expected an address and a port"),
        "{lines}"
    );
    assert!(lines.contains("HEARTH_LOG: expected a filter"), "{lines}");
}

#[test]
fn a_setting_of_the_environment_alone_goes_to_the_plugin_that_fits_best() {
    let text = "[plugins.a]\nfile = \"a\"\n[plugins.a-b]\nfile = \"b\"\n";
    let mut config = load(text).unwrap();
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    config.add_plugin_settings(&BTreeMap::from([
        variable("HEARTH_PLUGIN_A_B_C", "1"),
        variable("HEARTH_PLUGIN_A_C", "2"),
        variable("HEARTH_PLUGIN_OTHER_C", "3"),
    ]));
    assert_eq!(
        config.plugins["a-b"].config,
        BTreeMap::from([variable("c", "1")])
    );
    assert_eq!(
        config.plugins["a"].config,
        BTreeMap::from([variable("c", "2")])
    );
    assert_eq!(config.unmet_settings, ["HEARTH_PLUGIN_OTHER_C"]);
}
