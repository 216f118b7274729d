//! What a manifest says of queues and schedules.

use hearth::plugin::manifest::{Grant, Manifest, ScheduleAudience, World};
use hearth::plugin::package::Interface;
use std::time::Duration;

const WORKER: &str = "name = \"mail\"\nversion = \"0.1.0\"\nworld = \"worker\"\n";

fn parse(more: &str) -> Manifest {
    Manifest::parse(&format!("{WORKER}{more}")).unwrap_or_else(|error| panic!("{error}"))
}

/// The mistakes of a manifest, of which each must be found on its line.
fn mistakes(text: &str, wanted: &[(usize, &str)]) {
    let error = Manifest::parse(text).unwrap_err();
    for (line, reason) in wanted {
        let told = error.mistakes.iter();
        let found = |told: &hearth::plugin::manifest::Mistake| {
            told.line == *line && told.reason.contains(reason)
        };
        assert!(told.clone().any(found), "line {line}, {reason}:\n{error}");
    }
    assert_eq!(error.mistakes.len(), wanted.len(), "{error}");
}

#[test]
fn queue_has_the_defaults_of_the_design_and_asks_to_be_consumed() {
    let manifest = parse("[[queues]]\nname = \"letters\"\n");
    let queue = &manifest.queues[0];
    assert_eq!((queue.batch, queue.concurrency), (10, 4));
    assert_eq!((queue.attempts_max, queue.window_ms), (5, 0));
    let visibility = |wall| queue.visibility(Duration::from_secs(wall)).as_secs();
    assert_eq!(visibility(10), 60);
    assert_eq!(visibility(86_400), 12 * 3_600, "as long as SQS allows");
    let grants: Vec<String> = manifest.grants.iter().map(ToString::to_string).collect();
    assert_eq!(grants, ["consume:letters"]);
    assert!(
        !manifest.asks_for(Interface::Queue),
        "to consume is not to send"
    );
    assert_eq!(
        (manifest.world, manifest.mount.as_str()),
        (World::Worker, "")
    );
}

#[test]
fn backoff_doubles_from_its_first_wait_to_its_last() {
    let manifest = parse("[[queues]]\nname = \"a\"\nbackoff_ms = 100\nbackoff_ms_max = 350\n");
    let waits = [1, 2, 3, 64, u32::MAX].map(|failures| manifest.queues[0].backoff(failures));
    assert_eq!(
        waits.map(|wait| wait.as_millis()),
        [100, 200, 350, 350, 350]
    );
}

#[test]
fn schedule_asks_to_send_to_its_queue() {
    let manifest = parse(
        "[[queues]]\nname = \"digests\"\n[[schedule]]\nname = \"daily\"\ncron = \"30 7 * * MON-FRI\"\n\
         time_zone = \"Europe/Berlin\"\nqueue = \"digests\"\nmessage = '{\"kind\": \"digest\"}'\n\
         for = \"each-customer\"\n[[schedule]]\nname = \"hourly\"\ncron = \"@hourly\"\n\
         queue = \"digests\"\nfor = \"none\"\n",
    );
    assert!(manifest.grants.contains(&Grant::Queue("digests".into())));
    let [daily, hourly] = &manifest.schedules[..] else {
        panic!("{:?}", manifest.schedules);
    };
    assert_eq!(daily.whose, ScheduleAudience::EachCustomer);
    assert_eq!(
        (hourly.times.time_zone.as_str(), hourly.message.as_str()),
        ("UTC", "{}")
    );
}

#[test]
fn every_mistake_of_queues_is_told_with_its_line() {
    let text = [
        WORKER,
        "mount = \"/mail\"\ngrants = [\"consume:letters\"]\n",
        "[[queues]]\nname = \"Letters\"\nbatch = 101\nconcurrency = 0\n",
        "[[queues]]\nname = \"a\"\nvisibility_ms = 5\nattempts_max = 0\nwindow_ms = 70_000\ncolour = 1\n",
        "[[queues]]\nname = \"a\"\nbackoff_ms = 10\nbackoff_ms_max = 9\n[[queues]]\nbatch = 1\n",
    ]
    .concat();
    let wanted = [
        (
            4,
            "`mount` is not allowed: a plugin of the world worker answers no requests",
        ),
        (
            5,
            "remove `consume:letters`: `[[queues]]` already asks for it",
        ),
        (7, "`queues.name`"),
        (8, "`queues.batch` must be a whole number from 1 to 100"),
        (9, "`queues.concurrency`"),
        (12, "`queues.visibility_ms`"),
        (13, "`queues.attempts_max`"),
        (14, "`queues.window_ms`"),
        (15, "`queues.colour`"),
        (17, "`a` is given twice"),
        (19, "`queues.backoff_ms_max`"),
        (20, "`queues.name` is missing"),
    ];
    mistakes(&text, &wanted);
}

#[test]
fn every_mistake_of_schedules_is_told_with_its_line() {
    let text = [
        WORKER,
        "[[queues]]\nname = \"a\"\n",
        "[[schedule]]\nname = \"x\"\ncron = \"61 * * * *\"\nqueue = \"a\"\nfor = \"none\"\n",
        "[[schedule]]\nname = \"y\"\ncron = \"0 0 30 2 *\"\nqueue = \"A\"\nfor = \"all\"\n",
        "[[schedule]]\nname = \"z\"\ncron = \"0 0 0 * * *\"\nqueue = \"a\"\nfor = \"none\"\n",
        "[[schedule]]\nname = \"z\"\ncron = \"@daily\"\ntime_zone = \"Europe/Atlantis\"\nmessage = \"{\"\n",
        "[self_test]\nmethod = \"GET\"\npath = \"/\"\n",
    ]
    .concat();
    let wanted = [
        (8, "`schedule.cron` must have minute, hour"),
        (13, "it never occurs"),
        (14, "`schedule.queue`"),
        (15, "`schedule.for` must be each-customer or none"),
        (18, "`schedule.cron`"),
        (21, "`schedule.queue` is missing"),
        (21, "`schedule.for` is missing"),
        (22, "`z` is given twice"),
        (24, "`schedule.time_zone`"),
        (25, "`schedule.message` is not valid JSON"),
        (
            26,
            "`self_test` is not allowed: a plugin of the world worker",
        ),
    ];
    mistakes(&text, &wanted);
}

#[test]
fn world_and_queues_fit_each_other() {
    mistakes(WORKER, &[(1, "`queues` is missing")]);
    let plugin = WORKER.replace("\"worker\"", "\"plugin\"\nmount = \"/mail\"");
    mistakes(
        &format!("{plugin}[[queues]]\nname = \"a\"\n"),
        &[(5, "only the worlds worker and full")],
    );
}
