//! `GET /stream`: server-sent events, on a connection that the host keeps open.

use hearth_plugin::prelude::*;
use hearth_plugin::push;

use crate::inbox::Inbox;

/// Where to go on, `Last-Event-ID`, is between the client and the host.
pub fn open(request: &Request) -> Answer {
    let inbox = Inbox::alone(request)?;
    request.caller()?;
    Ok(push::hold(&[&inbox.partition()], None))
}
