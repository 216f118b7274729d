"""What the schemas of the plugins cannot say about valid data.

schemathesis draws valid requests from the schemas alone. Some of what is valid
depends on what the server said before: a cursor is signed, an entity tag and an id
must exist, an idempotency key belongs to one request. Here those are put in, in
requests that are meant to be valid; those that are meant to be wrong go as drawn.
"""

import os
import re
import uuid
from datetime import datetime, timedelta, timezone

import schemathesis

TICKETS = os.environ["HEARTH_TICKETS"].split(",")
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]
# What PUT makes: a drawn path mostly names one that is not there.
VERSIONED = ("/costs/budgets", "/support/sla-policies", "/support/calendars")
EXAMPLE = "tkt_0199f3a6-5c1e-7a31-9d0e-3f4b6a1c2d5e"
ID = re.compile(r"tkt_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# An id that the server made is a UUID of version 7; one that was drawn hardly ever.
MADE = re.compile(r"tkt_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def pick(value, but=None):
    """A ticket that is there: always the same for the same drawn id."""
    choice = [ticket for ticket in TICKETS if ticket != but]
    return choice[int(value[-4:], 16) % len(choice)]


def real_path(case):
    value = (case.path_parameters or {}).get("id")
    if not isinstance(value, str) or "/tickets/" not in case.operation.path:
        return
    if not ID.fullmatch(value):
        return
    # A ticket that others ask for stays; those that links made are deleted.
    if case.method.upper() == "DELETE" and case.operation.path.endswith("/tickets/{id}"):
        return
    made = MADE.fullmatch(value) and value != EXAMPLE
    # One drawn id in four stays, so that unknown tickets are asked for too.
    if not made and int(value[-3:], 16) % 4:
        case.path_parameters["id"] = pick(value)


def real_body(case):
    # A ticket that is not there, or the ticket itself, cannot be merged into: 422.
    if isinstance(case.body, dict) and ID.fullmatch(str(case.body.get("into"))):
        source = (case.path_parameters or {}).get("id")
        case.body["into"] = pick(case.body["into"], but=source)


def soon(case):
    """What is hidden comes back in the future, within a year."""
    if case.operation.path.endswith("/snooze") and isinstance(case.body, dict):
        if isinstance(case.body.get("until"), str):
            tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
            case.body["until"] = tomorrow.isoformat()


def open_hours(hours):
    """One interval a day that ends after it begins, and one day at least."""
    days = {}
    for day, intervals in hours.items():
        times = sorted((intervals or [{}])[0].values())
        if len(times) == 2 and times[0] < times[1]:
            days[day] = [{"start": times[0], "end": times[1]}]
    return days or {"monday": [{"start": "09:00", "end": "17:00"}]}


def real_service_level(case):
    # Time zones are those of the IANA database, and a calendar must be there.
    if not isinstance(case.body, dict):
        return
    if "time_zone" in case.body:
        case.body["time_zone"] = ZONES[len(case.body["time_zone"]) % len(ZONES)]
        case.body["hours"] = open_hours(case.body["hours"])
    if case.body.get("calendar_id") is not None:
        case.body["calendar_id"] = "office"


def real_costs(case):
    # Costs were loaded in one currency, and what is charged in the future, or twice,
    # is no history.
    if not case.operation.path.startswith("/costs"):
        return
    query = case.query or {}
    if "currency" in query:
        query["currency"] = "USD"
    if "from" in query and "to" in query:
        query["from"], query["to"] = sorted([query["from"], query["to"]])
    if case.operation.path == "/costs/records" and case.method.upper() == "POST":
        # A part says of which load it is, and rows are of the period that is named. A
        # body may be missing where a period is to be emptied.
        query.pop("billing_period", None)
        if type(case.body).__name__ == "NotSet":
            for name in ("load", "part", "last"):
                query.pop(name, None)
            case.query = query
            query["billing_period"] = "2025-01"
        if "load" in query:
            query["part"] = 1
        else:
            query.pop("part", None)
            query.pop("last", None)
    if case.operation.path == "/costs/records" and isinstance(case.body, (str, bytes)):
        rows = {
            "text/csv": "BilledCost,ChargePeriodStart\n1,2025-01-01\n",
            "application/x-ndjson": '{"BilledCost": 1, "ChargePeriodStart": "2025-01-01"}\n',
        }
        case.body = rows.get(case.media_type, case.body)
    if isinstance(case.body, list):
        for index, row in enumerate(case.body):
            row["x_RowId"] = f"row-{index}"
            row.pop("ChargePeriodEnd", None)
    if isinstance(case.body, dict) and "history" in case.body:
        case.body.pop("start", None)
        case.body.pop("model", None)
        if isinstance(case.body["history"][0], dict):
            months = [f"2025-{month:02}" for month in range(1, 10)]
            case.body["history"] = [{"month": month, "amount": 7} for month in months]


def no_version(case):
    """Nothing of these has the version that a drawn tag names, whatever else is wrong."""
    if case.operation.path.startswith(VERSIONED):
        (case.headers or {}).pop("If-Match", None)


def still_wrong(case):
    """A value that was seen elsewhere is put in the place of one that was wrong."""
    budget = case.operation.path.startswith("/costs/budgets")
    if budget and isinstance(case.body, dict) and getattr(case.meta, "semantic_draws", ()):
        case.body["amount"] = "much"


def one_currency(case):
    """Rows of another currency would make every later question ambiguous."""
    if case.operation.path == "/costs/records" and isinstance(case.body, list):
        for row in case.body:
            if isinstance(row, dict) and isinstance(row.get("BillingCurrency"), str):
                row["BillingCurrency"] = "USD"


def is_searchable(text):
    """One word or two: a search wants one at least, and not too many."""
    return re.search(r"[A-Za-z0-9]", text) and len(re.findall(r"\w+", text)) <= 2


def real_query(case):
    # A cursor is signed, and belongs to one list and its filters.
    case.query.pop("cursor", None)
    # A list with descriptions has no pages by number.
    if "description" in (case.query.get("include") or []):
        case.query.pop("page", None)
        case.query.pop("per_page", None)
    text = case.query.get("q")
    if isinstance(text, str) and not is_searchable(text):
        case.query["q"] = "printer"


def real_headers(case):
    if "If-Match" in case.headers:
        case.headers["If-Match"] = "*"


def other_operation(case):
    """A link that was guessed from the paths: `/tickets/bulk` is no ticket."""
    if (case.path_parameters or {}).get("id") == "bulk":
        case.path_parameters["id"] = TICKETS[0]


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
    one_currency(case)
    no_version(case)
    if case.meta is None or not case.meta.generation.mode.is_positive:
        still_wrong(case)
        return
    real_path(case)
    real_body(case)
    soon(case)
    real_service_level(case)
    real_costs(case)
    if case.query:
        real_query(case)
    if case.headers:
        real_headers(case)
