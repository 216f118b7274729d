"""What the schemas of webhooks cannot say about valid data.

schemathesis draws valid requests from the schemas alone. Some of what is valid depends
on what the server said before, or is bounded by more than a schema can say. Here that
is put in, in requests that are meant to be valid; those that are meant to be wrong go
as drawn.
"""

import os
import re
import uuid

import schemathesis

ENDPOINTS = os.environ["HEARTH_ENDPOINTS"].split(",")
EVENTS = os.environ["HEARTH_EVENTS"].split(",")
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
ID = re.compile(f"(ep|evt)_{UUID}")
SECRETS = {
    "v1": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "v1a": "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=",
}


def pick(value):
    """One that is there: always the same for the same drawn id."""
    choice = ENDPOINTS[:3] if value.startswith("ep_") else EVENTS
    return choice[int(value[-4:], 16) % len(choice)]


def real_path(case):
    for name, value in (case.path_parameters or {}).items():
        # One drawn id in four stays, so that unknown ones are asked for too.
        if isinstance(value, str) and ID.fullmatch(value) and int(value[-3:], 16) % 4:
            # What is deleted by the attack is one that it made itself.
            if case.method != "DELETE":
                case.path_parameters[name] = pick(value)


def real_endpoint(body):
    if body.get("url") is not None:
        body["url"] = os.environ["HEARTH_RECEIVER"] + "/attack"
    if body.get("headers") is not None:
        body["headers"] = {"x-own": "1", "x-other": None}
    # Otherwise the endpoint that is asked for in other tests is switched off.
    body.pop("enabled", None)


def real_secret(body):
    if body.get("secret") is not None:
        body["secret"] = SECRETS[body.get("signature") or "v1"]


def real_type(body):
    # Only a part of JSON Schema is known.
    if isinstance(body.get("schema"), dict):
        body["schema"] = {"type": "object", "description": "anything"}
    if body.get("schema") is False:
        body["schema"] = True


def without_nul(value):
    """The database can store no NUL character, wherever it is."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [without_nul(item) for item in value]
    if isinstance(value, dict):
        return {without_nul(name): without_nul(item) for name, item in value.items()}
    return value


def real_body(case):
    if not isinstance(case.body, dict):
        return
    body = case.body = without_nul(case.body)
    path = case.operation.path
    if path.endswith(("/endpoints", "/endpoints/{id}")):
        real_endpoint(body)
    if path.endswith(("/endpoints", "/rotate")):
        real_secret(body)
    if path.endswith("/event-types/{name}"):
        real_type(body)
    if path.endswith("/rotate"):
        # An overlap of zero: else five secrets sign after five requests.
        body["overlap_seconds"] = 0
    if path.endswith("/events") and body.get("id") is not None:
        # An id that is there belongs to that event.
        body["id"] = f"evt_{uuid.uuid4()}"


def real_rest(case):
    if case.query:
        # A cursor is signed, and belongs to one list and its filters.
        case.query.pop("cursor", None)
    if case.headers and "If-Match" in case.headers:
        case.headers["If-Match"] = "*"
        # A type that is not there yet has no version.
        if "/event-types/" in case.operation.path:
            no_version(case)


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


def no_version(case):
    """Nothing has the version that a drawn tag names, whatever else is wrong."""
    (case.headers or {}).pop("If-Match", None)


def is_valid(case):
    """Drawn as valid, or with nothing beside it but a header that nobody knows."""
    if "x-schemathesis-unknown-property" in (case.headers or {}):
        return True
    return case.meta is not None and case.meta.generation.mode.is_positive


@schemathesis.hook
def before_call(context, case, kwargs):
    one_credential(case, kwargs)
    own_key(case)
    if not is_valid(case):
        no_version(case)
        return
    real_path(case)
    real_body(case)
    real_rest(case)
