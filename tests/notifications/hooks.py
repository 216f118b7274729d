"""What the schemas of notifications cannot say about valid data.

schemathesis draws valid requests from the schemas alone. Some of what is valid depends
on what the server said before, or is bounded by more than a schema can say. Here that
is put in, in requests that are meant to be valid; those that are meant to be wrong go
as drawn.
"""

import datetime
import os
import re
import uuid

import schemathesis

NOTIFICATIONS = os.environ["HEARTH_NOTIFICATIONS"].split(",")
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
ID = re.compile(f"ntf_{UUID}")
NEXT_WEEK = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=7)
SOON = NEXT_WEEK.strftime("%Y-%m-%dT%H:%M:%SZ")
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]


def real_path(case):
    value = (case.path_parameters or {}).get("id")
    # One drawn id in four stays, so that unknown ones are asked for too, and what is
    # deleted is none that others name.
    if isinstance(value, str) and ID.fullmatch(value) and int(value[-3:], 16) % 4:
        if case.method != "DELETE":
            case.path_parameters["id"] = NOTIFICATIONS[int(value[-4:], 16) % len(NOTIFICATIONS)]
            # They are the customer's own.
            (case.query or {}).pop("recipient", None)


def without_nul(value):
    """No text has a NUL character, wherever it is."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [without_nul(item) for item in value]
    if isinstance(value, dict):
        return {without_nul(name): without_nul(item) for name, item in value.items()}
    return value


def without_places(value):
    """Braces begin a place for data, which has to be well made."""
    return value.replace("{{", "{") if isinstance(value, str) else value


def real_notification(new):
    # A template must be there. What is no notification is told so in its result.
    if isinstance(new, dict) and new.get("template") is not None:
        new["template"] = "kept"


def real_hours(hours):
    # Time zones are those of the IANA database, and hours of no time are none.
    hours["time_zone"] = ZONES[len(hours["time_zone"]) % len(ZONES)]
    if hours["start"] == hours["end"]:
        hours["end"] = "12:00" if hours["start"] != "12:00" else "13:00"


def real_body(case):
    if not isinstance(case.body, dict):
        return
    path = case.operation.path
    body = case.body = without_nul(case.body)
    if path == "/notifications":
        for new in [body, *(body.get("notifications") or [])]:
            real_notification(new)
    if path.endswith("/snooze") and body.get("until") is not None:
        # In the future, and not too far in it.
        body["until"] = SOON
    if path.endswith("/preferences") and body.get("quiet_hours") is not None:
        real_hours(body["quiet_hours"])
    if "/templates/" in path:
        for name in ["title", "body", "action_url", "digest_key"]:
            if body.get(name) is not None:
                body[name] = without_places(body[name])


def other_operation(case):
    """Paths that were guessed from others: `/notifications/count` is none."""
    names = ["count", "read", "seen", "archive", "preferences", "stream"]
    if (case.path_parameters or {}).get("id") in names and "/templates/" not in case.operation.path:
        case.path_parameters["id"] = NOTIFICATIONS[0]


def real_rest(case):
    if case.query:
        # A cursor is signed, and belongs to one list and its filters.
        case.query.pop("cursor", None)
    if case.headers and "If-Match" in case.headers:
        case.headers["If-Match"] = "*"
        # A template that is not there yet has no version.
        if "/templates/" in case.operation.path:
            no_version(case)


def no_version(case):
    """Nothing has the version that a drawn tag names, whatever else is wrong."""
    (case.headers or {}).pop("If-Match", None)


def own_key(case):
    """A key that is well made belongs to this request, whatever else is wrong."""
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and 1 <= len(key) <= 255:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())


def one_credential(case, kwargs):
    """The document offers two ways to show a key; a request takes one of them."""
    for headers in (case.headers, kwargs.get("headers")):
        if headers:
            headers.pop("Authorization", None)


@schemathesis.hook
def before_call(context, case, kwargs):
    one_credential(case, kwargs)
    own_key(case)
    other_operation(case)
    if case.meta is None or not case.meta.generation.mode.is_positive:
        no_version(case)
        return
    real_path(case)
    real_body(case)
    real_rest(case)
