//! The tier of the caller's customer. The host sets it, and it seldom changes: it is
//! cached in this host's memory, and a change reaches every host within a second.

use std::time::Duration;

use hearth_plugin::cache::{self, Options};
use hearth_plugin::prelude::*;

use crate::sql::sla::customer;

/// The tier of a customer if the host gives none.
const TIER: &str = "standard";
/// It is read again now and then, whatever was heard.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// Of all requests of a host that want it and miss it, one reads it.
pub fn of_caller(database: &Database) -> Result<String, sql::Error> {
    let options = Options::for_(KEPT).tag(cache::CUSTOMER);
    let tier = cache::get_or_compute("tier", &options, || {
        let found = customer(database)?;
        let tier = found.map_or_else(|| TIER.into(), |customer| customer.tier);
        Ok::<_, sql::Error>(tier.into_bytes())
    })?;
    Ok(String::from_utf8_lossy(&tier).into_owned())
}
