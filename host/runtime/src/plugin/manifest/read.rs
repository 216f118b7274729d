//! From the text of a manifest to a `Manifest`, with the rule of each field.

use std::collections::BTreeSet;

use toml::de::DeTable;

use super::fields::{Fields, Mistakes, Text};
use super::{
    Consumed, Grant, Instances, MANIFEST_BYTES_MAX, Manifest, ManifestError, Reuse, Schedule,
    SelfTest, Sql, World, cached, consumed, schedule,
};
use crate::capability::outbound::Pattern;
use crate::capability::sql::statement::{AccessMode, Column, Declared, Type, UNNAMED};
use crate::plugin::limits::LimitOverrides;
use crate::plugin::package::Interface;

/// The longest that any time in a manifest may be: a day.
pub(super) const MS_MAX: u64 = 24 * 60 * 60 * 1_000;

pub fn manifest(text: &str) -> Result<Manifest, ManifestError> {
    let mistakes = Mistakes::new(text);
    if text.len() > MANIFEST_BYTES_MAX {
        mistakes.note(
            0,
            format!("the manifest is too large: at most {MANIFEST_BYTES_MAX} bytes are allowed"),
        );
        return mistakes.into_result(None);
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        mistakes.note(error.span().map_or(0, |span| span.start), error.message());
    }
    let manifest = errors
        .is_empty()
        .then(|| root(Fields::new(&table, &mistakes)));
    mistakes.into_result(manifest)
}

fn root(mut fields: Fields<'_, '_>) -> Manifest {
    let world = world(&mut fields);
    if !world.handles() {
        only_of_handlers(&mut fields);
    }
    let queues = consumed::queues(&mut fields, world);
    let schedules = schedule::schedules(&mut fields);
    let instances = fields.table("instances").map(instances).unwrap_or_default();
    let manifest = Manifest {
        name: name(&mut fields),
        version: version(&mut fields),
        mount: mount(&mut fields, world),
        world,
        grants: grants(&mut fields, &queues, &schedules, instances.reuse),
        public: fields.flag("public", false),
        openapi: file(&mut fields, "openapi"),
        limits: fields.table("limits").map(limits).unwrap_or_default(),
        instances,
        sql: fields.table("sql").map(sql).unwrap_or_default(),
        response_cache: cached::routes(&mut fields),
        self_test: fields.table("self_test").map(self_test),
        queues,
        schedules,
    };
    fields.finish();
    manifest
}

/// What says something about requests is a mistake where none are answered.
fn only_of_handlers(fields: &mut Fields<'_, '_>) {
    for key in ["mount", "public", "openapi", "response_cache", "self_test"] {
        if let Some(at) = fields.position(key) {
            let rule =
                format!("`{key}` is not allowed: a plugin of the world worker answers no requests");
            fields.note(at, rule);
        }
    }
    if fields.position("queues").is_none() {
        let rule = "`queues` is missing: a plugin of the world worker consumes at least one";
        fields.note(fields.at(), rule);
    }
}

fn name(fields: &mut Fields<'_, '_>) -> String {
    let name = fields.required_text("name");
    if !name.value.is_empty() && !is_name(&name.value) {
        fields.note(name.at, format!("`name` {NAME_RULE}"));
    }
    name.value
}

/// What [`is_name`] wants.
pub const NAME_RULE: &str = "must have lower-case letters, digits and `-`, begin with a letter, \
                             and be at most 32 characters long";

/// Whether a plugin, or a queue, may be called so.
pub fn is_name(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(letters)
}

fn version(fields: &mut Fields<'_, '_>) -> semver::Version {
    let text = fields.required_text("version");
    semver::Version::parse(&text.value).unwrap_or_else(|error| {
        if !text.value.is_empty() {
            fields.note(
                text.at,
                format!("`version` is not a semantic version: {error}"),
            );
        }
        semver::Version::new(0, 0, 0)
    })
}

/// A worker has none: no request reaches it.
fn mount(fields: &mut Fields<'_, '_>, world: World) -> String {
    if !world.handles() {
        return String::new();
    }
    let mount = fields.required_text("mount");
    if !mount.value.is_empty() && !is_path(&mount.value) {
        let rule = "`mount` must begin with `/`, not end with it, and have segments of letters, \
                    digits, `-`, `_`, `.` and `~`, none of them `.` or `..`";
        fields.note(mount.at, rule);
    }
    mount.value
}

/// Whether a path can be compared with a request's as it stands: nothing in it
/// needs or may have percent encoding.
fn is_path(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    let segment = |s: &str| !["", ".", ".."].contains(&s) && s.chars().all(plain);
    path.len() <= 256
        && path
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(segment))
}

fn world(fields: &mut Fields<'_, '_>) -> World {
    let text = fields.required_text("world");
    match text.value.as_str() {
        "worker" => World::Worker,
        "full" => World::Full,
        "plugin" | "" => World::Plugin,
        other => {
            fields.note(
                text.at,
                format!("`world` must be plugin, worker or full, not `{other}`"),
            );
            World::Plugin
        }
    }
}

/// What is asked for by name, and what follows from queues, schedules and reuse.
fn grants(
    fields: &mut Fields<'_, '_>,
    queues: &[Consumed],
    schedules: &[Schedule],
    reuse: Reuse,
) -> BTreeSet<Grant> {
    let texts = fields.texts("grants");
    let named = texts.iter().filter_map(|text| grant(fields, text));
    let consumed = queues.iter().map(|queue| queue.name.clone());
    let sent_to = schedules.iter().map(|schedule| schedule.queue.clone());
    named
        .chain(consumed.map(Grant::Consume))
        .chain(sent_to.map(Grant::Queue))
        .chain((reuse == Reuse::Shared).then_some(Grant::SharedReuse))
        .collect()
}

fn grant(fields: &Fields<'_, '_>, text: &Text) -> Option<Grant> {
    for (grant, by) in [
        ("consume:", "[[queues]]"),
        ("reuse:", "reuse = \"shared\" in [instances]"),
    ] {
        if text.value.starts_with(grant) {
            let reason = format!(
                "`grants`: remove `{}`: `{by}` already asks for it",
                text.value
            );
            fields.note(text.at, reason);
            return None;
        }
    }
    let grant = match text.value.split_once(':') {
        Some(("queue", name)) if is_name(name) => Some(Grant::Queue(name.to_owned())),
        Some(("outbound", url)) => return destination(fields, text, url),
        // What may be reached is always said.
        None if text.value == "outbound" => None,
        _ => Interface::from_name(&text.value).map(Grant::Interface),
    };
    if grant.is_none() {
        let known: Vec<&str> = Interface::ALL.iter().map(|known| known.name()).collect();
        let known = known.join(", ");
        let reason = format!(
            "`grants`: `{}` is unknown; known are {known}, queue:NAME and outbound:https://HOST",
            text.value
        );
        fields.note(text.at, reason);
    }
    grant
}

fn destination(fields: &Fields<'_, '_>, text: &Text, url: &str) -> Option<Grant> {
    match Pattern::parse(url) {
        Ok(_) => Some(Grant::Outbound(url.to_owned())),
        Err(reason) => {
            fields.note(text.at, format!("`grants`: `{}`: {reason}", text.value));
            None
        }
    }
}

/// A file or folder beside the manifest: one name, so that no manifest reaches
/// outside its own folder.
fn file(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<String> {
    let text = fields.text(key)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.value.is_empty() || text.value.starts_with('.') || !text.value.chars().all(plain) {
        fields.note(
            text.at,
            format!("`{key}` must name a file or folder beside the manifest"),
        );
    }
    Some(text.value)
}

fn limits(mut fields: Fields<'_, '_>) -> LimitOverrides {
    let mut number = |key, max: u64| fields.wanted(key, 1..=max);
    let size = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok());
    let limits = LimitOverrides {
        memory_bytes_max: size(number("memory_bytes_max", 1 << 30)),
        cpu_ms_max: number("cpu_ms_max", MS_MAX),
        wall_ms_max: number("wall_ms_max", MS_MAX),
        body_bytes_max: size(number("body_bytes_max", 1 << 30)),
        response_bytes_max: size(number("response_bytes_max", 1 << 30)),
        in_flight_max: size(number("in_flight_max", 10_000)),
        waiting_max: size(number("waiting_max", 100_000)),
        wait_ms_max: number("wait_ms_max", MS_MAX),
        host_calls_max: number("host_calls_max", 1_000_000),
    };
    fields.finish();
    limits
}

fn instances(mut fields: Fields<'_, '_>) -> Instances {
    let default = Instances::default();
    let instances = Instances {
        reuse: reuse(&mut fields),
        uses_max: fields.number("uses_max", default.uses_max, 1..=1_000_000),
        age_ms_max: fields.number("age_ms_max", default.age_ms_max, 1..=MS_MAX),
        warm_instances_min: fields.number("warm_instances_min", 0, 0..=1_000),
    };
    fields.finish();
    instances
}

fn reuse(fields: &mut Fields<'_, '_>) -> Reuse {
    let Some(text) = fields.text("reuse") else {
        return Reuse::Fresh;
    };
    match text.value.as_str() {
        "fresh" => Reuse::Fresh,
        "serial" => Reuse::Serial,
        "shared" => Reuse::Shared,
        other => {
            fields.note(
                text.at,
                format!("`instances.reuse` must be fresh, serial or shared, not `{other}`"),
            );
            Reuse::Fresh
        }
    }
}

fn sql(mut fields: Fields<'_, '_>) -> Sql {
    let sql = Sql {
        migrations: file(&mut fields, "migrations"),
        shared: identifiers(&mut fields, "shared"),
        functions: identifiers(&mut fields, "functions"),
        statements: fields
            .tables("statements")
            .into_iter()
            .map(statement)
            .collect(),
    };
    fields.finish();
    sql
}

/// Names of tables or functions, as Postgres folds them.
fn identifiers(fields: &mut Fields<'_, '_>, key: &'static str) -> BTreeSet<String> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let texts = fields.texts(key);
    for text in &texts {
        let begins = text
            .value
            .starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        if !begins || text.value.len() > 63 || !text.value.chars().all(letters) {
            let reason = format!("`sql.{key}`: `{}` is not a lower-case SQL name", text.value);
            fields.note(text.at, reason);
        }
    }
    texts.into_iter().map(|text| text.value).collect()
}

fn statement(mut fields: Fields<'_, '_>) -> Declared {
    let params = fields.texts("params");
    let name = fields.text("name").map(|text| text.value);
    let declared = Declared {
        name: name.unwrap_or_else(|| UNNAMED.to_owned()),
        text: fields.required_text("text").value,
        params: params.iter().map(|text| kind(&fields, text)).collect(),
        columns: fields.tables("columns").into_iter().map(column).collect(),
        access: access(&mut fields),
    };
    fields.finish();
    declared
}

fn column(mut fields: Fields<'_, '_>) -> Column {
    let name = fields.required_text("name").value;
    let text = fields.required_text("type");
    let kind = match text.value.is_empty() {
        true => Type::Text,
        false => kind(&fields, &text),
    };
    let column = Column {
        name,
        kind,
        nullable: fields.flag("nullable", false),
    };
    fields.finish();
    column
}

fn kind(fields: &Fields<'_, '_>, text: &Text) -> Type {
    Type::from_name(&text.value).unwrap_or_else(|| {
        let known = Type::names().collect::<Vec<_>>().join(", ");
        fields.note(
            text.at,
            format!("`{}` is not a type; known are {known}", text.value),
        );
        Type::Text
    })
}

fn access(fields: &mut Fields<'_, '_>) -> AccessMode {
    let text = fields.required_text("access");
    match text.value.as_str() {
        "write" => AccessMode::Write,
        "read" | "" => AccessMode::Read,
        other => {
            fields.note(
                text.at,
                format!("`access` must be read or write, not `{other}`"),
            );
            AccessMode::Read
        }
    }
}

fn self_test(mut fields: Fields<'_, '_>) -> SelfTest {
    let method = fields.required_text("method");
    let path = fields.required_text("path");
    let status = fields.number("status", 200, 100..=599);
    if !method.value.chars().all(|c| c.is_ascii_uppercase()) {
        fields.note(
            method.at,
            "`self_test.method` must be an HTTP method in capitals",
        );
    }
    if !path.value.is_empty() && !path.value.starts_with('/') {
        fields.note(path.at, "`self_test.path` must begin with `/`");
    }
    fields.finish();
    let status = u16::try_from(status).unwrap_or(200);
    SelfTest {
        method: method.value,
        path: path.value,
        status,
    }
}
