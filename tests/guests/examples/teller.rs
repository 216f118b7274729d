//! Sends what it is sent to the queue that the path names, as another plugin does that
//! tells of what happened.

use hearth_plugin::prelude::*;
use hearth_plugin::queue::{self, Message};

fn tell(request: &Request, name: String) -> Answer {
    let id = queue::send(&name, Message::new(request.body().to_vec()))?;
    Response::json(202, &id)
}

fn router() -> Router {
    Router::new().post("/{queue}", tell)
}

hearth_plugin::handler!(router);
