//! Maintenance every quarter of an hour for each customer: old rows are deleted,
//! deliveries whose messages were lost get new ones, and secrets that were encrypted
//! with an older root secret are encrypted again.

use std::time::Duration;

use hearth_plugin::consumer::{Batch, Disposition};
use hearth_plugin::prelude::*;
use hearth_plugin::{config, log};

use crate::deliver::failed;
use crate::sql::attempts::{forget_counts, forget_hours};
use crate::sql::endpoints::{delete_expired_secrets, forget_endpoints};
use crate::sql::events::forget_events;
use crate::sql::requeue::overdue;
use crate::{requeue, secrets};

/// The queue that the schedule sends to.
pub const SWEEPS: &str = "webhook-sweeps";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// For how many days events are kept, with everything about them, where the operator
/// does not set `retention_days`.
const RETENTION_DAYS: u32 = 90;
/// A delivery that is due for so long has lost its message.
const OVERDUE: Duration = Duration::from_secs(30 * 60);
/// Events of a statement, as it has it.
const PAGE: u64 = 500;

/// Sweeps for the customer of a message. Where there is more to forget it comes again.
pub fn sweep(batch: &Batch, customer: &str) -> Disposition {
    let database = batch.database();
    if secrets::renew(&database, customer).is_err() {
        log::warn!("secrets could not be encrypted with the newest key");
    }
    match run(&database, Timestamp::now()) {
        Ok(true) => Disposition::RetryAfter(Duration::from_secs(1)),
        Ok(false) => Disposition::Done,
        Err(error) => failed(error),
    }
}

/// Answers whether there is more to forget.
fn run(database: &Database, now: Timestamp) -> Result<bool, sql::Error> {
    let days = config::get("retention_days").and_then(|text| text.parse().ok());
    let before = now.before(DAY * days.unwrap_or(RETENTION_DAYS).clamp(7, 3650));
    let forgotten = forget_events(database, before)?;
    forget_hours(database, before)?;
    forget_counts(database, before)?;
    forget_endpoints(database, before)?;
    delete_expired_secrets(database, now)?;
    let revived = database.transaction(Isolation::ReadCommitted, |tx| {
        let lost = overdue(tx, now.before(OVERDUE))?;
        requeue::begin(tx, &lost, now, false)
    })?;
    if revived > 0 {
        let count = u64::try_from(revived).unwrap_or_default();
        log::warn!(
            "deliveries without a message were started again",
            count = count
        );
    }
    Ok(forgotten >= PAGE)
}
