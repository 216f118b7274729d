//! `GET /endpoints/{id}/stats`: the health of an endpoint.

use std::time::Duration;

use hearth_plugin::prelude::*;

use crate::endpoint::EndpointId;
use crate::endpoints;
use crate::sql::attempts::sums;

/// What the sums begin with, where the client says nothing.
const SINCE: Duration = Duration::from_secs(24 * 60 * 60);
/// What a count is exact to.
const COUNT_MAX: i64 = 10_000;

/// The attempts are those since the hour of `since`, or of the last day.
pub fn show(request: &Request, EndpointId(id): EndpointId) -> Answer {
    let mut query = request.query()?;
    let since = query.timestamp("since").optional();
    query.finish()?;
    endpoints::find(request, &id)?;
    let since = since.unwrap_or_else(|| Timestamp::now().before(SINCE));
    let since = Timestamp::from_micros(since.micros() - since.micros().rem_euclid(3_600_000_000));
    let sums = sums(&request.database(), &id, since)?;
    let attempts = sums.delivered + sums.failed;
    let share = |of: i64| (attempts > 0).then(|| of as f64 / attempts as f64);
    let count = |count: i64| json!({"count": count.min(COUNT_MAX), "exact": count <= COUNT_MAX});
    let body = json!({
        "endpoint_id": id,
        "since": since,
        "attempts": attempts,
        "delivered": sums.delivered,
        "failed": sums.failed,
        "success_rate": share(sums.delivered),
        "duration_ms_mean": share(sums.duration_ms_sum),
        "duration_ms_max": (attempts > 0).then_some(sums.duration_ms_max),
        "pending": count(sums.pending),
        "dead_letters": count(sums.dead),
        "last_success_at": sums.last_success_at,
        "failing_since": sums.failing_since,
        "paused_until": sums.paused_until,
    });
    Response::json(200, &body)
}
