//! What a deploy would take away of what serves under the plugin's name. A file of
//! another plugin, or one built from the wrong branch, must not replace it unseen.

use std::collections::BTreeMap;

use super::steps::Rejected;
use hearth_runtime::plugin::manifest::{Manifest, World};
use hearth_runtime::plugin::openapi::Fragment;

const STEP: &str = "replace";
/// How many routes a refusal names.
const ROUTES_SHOWN_MAX: usize = 10;

/// What clients and other plugins rely on: where a plugin answers, what it consumes, and
/// what it is sent by the clock.
pub struct Surface<'s> {
    pub manifest: &'s Manifest,
    /// Where it is mounted; the operator may have chosen another place than the manifest.
    pub mount: &'s str,
    pub openapi: &'s Fragment,
}

/// Refuses what takes something away of `serving`.
///
/// # Errors
/// With all that would be gone or other.
pub fn check(next: &Surface<'_>, serving: &Surface<'_>, label: &str) -> Result<(), Rejected> {
    let reasons = differences(next, serving, label);
    match reasons.is_empty() {
        true => Ok(()),
        false => Err(Rejected::new(&next.manifest.name, STEP, reasons)),
    }
}

/// What of `serving`, whose label that is, would be gone or other. What comes in
/// addition is none of it, nor is how a queue is consumed.
pub fn differences(next: &Surface<'_>, serving: &Surface<'_>, label: &str) -> Vec<String> {
    let worlds = [next.manifest.world, serving.manifest.world];
    let [world, old_world] = worlds.map(World::name);
    let mut told = Vec::new();
    if world != old_world {
        told.push(format!(
            "its world is {world}, but that of {label} is {old_world}"
        ));
    }
    let (mount, old_mount) = (next.mount, serving.mount);
    if mount != old_mount && worlds.iter().all(|world| world.handles()) {
        told.push(format!(
            "it is mounted at {mount}, but {label} at {old_mount}"
        ));
    }
    told.extend(routes_gone(next, serving, label));
    told.extend(queues_gone(next, serving, label));
    told.extend(schedules_changed(next, serving, label));
    told
}

/// The routes of an OpenAPI part, relative to the mount: how it is told by what it
/// answers to, in which the names of parameters do not count.
fn routes(surface: &Surface<'_>) -> BTreeMap<String, String> {
    let route = |(method, path): (&str, &str)| {
        let path = path.strip_prefix(surface.mount).unwrap_or(path);
        let segments = path.split('/').map(|segment| match segment {
            named if named.starts_with('{') => "{}",
            text => text,
        });
        let answers_to: Vec<&str> = segments.collect();
        let method = method.to_ascii_uppercase();
        let key = format!("{method} {}", answers_to.join("/"));
        (key, format!("{method} {}{path}", surface.mount))
    };
    surface.openapi.operations().map(route).collect()
}

fn routes_gone(next: &Surface<'_>, serving: &Surface<'_>, label: &str) -> Option<String> {
    let here = routes(next);
    let mut gone: Vec<String> = routes(serving)
        .into_iter()
        .filter(|(key, _)| !here.contains_key(key))
        .map(|(_, shown)| shown)
        .collect();
    let more = gone.len().saturating_sub(ROUTES_SHOWN_MAX);
    gone.truncate(ROUTES_SHOWN_MAX);
    let rest = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let list = gone.join(", ");
    (!gone.is_empty()).then(|| format!("it lacks routes of {label}: {list}{rest}"))
}

fn queues_gone<'s>(
    next: &'s Surface<'_>,
    serving: &'s Surface<'_>,
    label: &'s str,
) -> impl Iterator<Item = String> {
    let consumed = serving.manifest.queues.iter().map(|queue| &queue.name);
    let gone = consumed.filter(|name| {
        let mut here = next.manifest.queues.iter();
        !here.any(|queue| queue.name == **name)
    });
    gone.map(move |name| {
        format!(
            "it does not consume the queue `{name}`, as {label} does: the messages of the queue \
             would wait"
        )
    })
}

fn schedules_changed<'s>(
    next: &'s Surface<'_>,
    serving: &'s Surface<'_>,
    label: &'s str,
) -> impl Iterator<Item = String> {
    serving.manifest.schedules.iter().filter_map(move |old| {
        let mut here = next.manifest.schedules.iter();
        match here.find(|new| new.name == old.name) {
            None => Some(format!("it lacks the schedule `{}` of {label}", old.name)),
            Some(new) if new == old => None,
            Some(new) => Some(format!(
                "its schedule is `{new}`, but that of {label} is `{old}`"
            )),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_runtime::plugin::openapi::PartOwner;

    fn manifest(more: &str) -> Manifest {
        let text = format!("name = \"notes\"\nversion = \"0.1.0\"\n{more}");
        Manifest::parse(&text).unwrap()
    }

    fn part(mount: &str, paths: &[&str]) -> Fragment {
        let operation = |at: usize, path: &str| {
            let names = path
                .split('{')
                .skip(1)
                .filter_map(|rest| rest.split('}').next());
            let parameters: Vec<String> = names
                .map(|name| {
                    format!(
                        r#"{{"name": "{name}", "in": "path", "required": true, "schema": {{"type": "string"}}}}"#
                    )
                })
                .collect();
            let parameters = parameters.join(",");
            format!(
                r#""{path}": {{"get": {{"operationId": "o{at}", "parameters": [{parameters}],
                    "responses": {{"200": {{"description": "It is."}}}}}}}}"#
            )
        };
        let paths: Vec<String> = paths
            .iter()
            .enumerate()
            .map(|(at, path)| operation(at, path))
            .collect();
        let text = format!(
            r#"{{"openapi": "3.1.0", "info": {{"title": "Notes", "version": "1"}}, "paths": {{{}}}}}"#,
            paths.join(",")
        );
        let whose = PartOwner {
            plugin: "notes",
            own_mount: mount,
            mount,
        };
        Fragment::read(&text, whose).unwrap()
    }

    fn told(next: (&Manifest, &Fragment), serving: (&Manifest, &Fragment)) -> Vec<String> {
        let [next, serving] = [next, serving].map(|(manifest, openapi)| Surface {
            manifest,
            mount: &manifest.mount,
            openapi,
        });
        differences(&next, &serving, "notes@3")
    }

    const PLUGIN: &str = "world = \"plugin\"\nmount = \"/notes\"";

    #[test]
    fn routes_that_come_in_addition_and_other_names_of_parameters_take_nothing_away() {
        let manifest = manifest(PLUGIN);
        let old = part("/notes", &["/notes/{id}"]);
        let new = part("/notes", &["/notes/{note_id}", "/notes/count"]);
        assert!(told((&manifest, &new), (&manifest, &old)).is_empty());
        let gone = told((&manifest, &old), (&manifest, &new));
        assert_eq!(gone, ["it lacks routes of notes@3: GET /notes/count"]);
    }

    #[test]
    fn many_routes_that_are_gone_are_counted() {
        let manifest = manifest(PLUGIN);
        let paths: Vec<String> = (0..12).map(|at| format!("/notes/{at}")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let gone = told(
            (&manifest, &Fragment::default()),
            (&manifest, &part("/notes", &paths)),
        );
        assert!(gone[0].ends_with(" and 2 more"), "{gone:?}");
    }

    #[test]
    fn another_mount_is_told_once_and_not_with_each_route() {
        let elsewhere = manifest("world = \"plugin\"\nmount = \"/texts\"");
        let moved = told(
            (&elsewhere, &part("/texts", &["/texts/{id}"])),
            (&manifest(PLUGIN), &part("/notes", &["/notes/{id}"])),
        );
        assert_eq!(moved, ["it is mounted at /texts, but notes@3 at /notes"]);
    }

    #[test]
    fn worlds_queues_and_schedules_that_go_or_become_other_are_told() {
        let schedule = |cron: &str| {
            format!(
                "[[schedule]]\nname = \"digest\"\ncron = \"{cron}\"\nqueue = \"letters\"\nfor = \"none\"\n"
            )
        };
        let worker = |more: &str| {
            manifest(&format!(
                "world = \"worker\"\n[[queues]]\nname = \"letters\"\n{more}"
            ))
        };
        let none = Fragment::default();
        let (old, later) = (worker(&schedule("@daily")), worker(&schedule("@weekly")));
        let told_later = told((&later, &none), (&old, &none));
        assert_eq!(told_later.len(), 1, "{told_later:?}");
        assert!(told_later[0].contains("@weekly") && told_later[0].contains("@daily"));
        let slower = worker(&format!("concurrency = 1\n{}", schedule("@daily")));
        assert!(told((&slower, &none), (&old, &none)).is_empty());
        let gone = told((&manifest(PLUGIN), &none), (&old, &none));
        let wanted = [
            "its world is plugin, but that of notes@3 is worker",
            "it does not consume the queue `letters`, as notes@3 does: the messages of the queue \
             would wait",
            "it lacks the schedule `digest` of notes@3",
        ];
        assert_eq!(gone, wanted);
    }
}
