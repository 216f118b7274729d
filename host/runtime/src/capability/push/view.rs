//! The interface's functions, on what a call borrows.

use super::channel::{Space, is_name};
use super::{Config, Error, Event, GuestError, Host, Publication, View, convert_error, frame};
use hearth_backend::postgres::events::{Position, Published};
use hearth_base::telemetry::SpanKind;

impl Host for View<'_> {
    async fn publish(
        &mut self,
        channel: String,
        event: Event,
    ) -> wasmtime::Result<Result<String, GuestError>> {
        self.call.host_call()?;
        let published = self.publish_all(vec![Publication { channel, event }]).await;
        Ok(published.map(frame::id).map_err(|error| self.blame(error)))
    }

    async fn publish_many(
        &mut self,
        publications: Vec<Publication>,
    ) -> wasmtime::Result<Result<Vec<String>, GuestError>> {
        self.call.host_call()?;
        let count = i64::try_from(publications.len()).unwrap_or(i64::MAX);
        if count == 0 {
            return Ok(Ok(Vec::new()));
        }
        let published = self.publish_all(publications).await;
        let ids = |last: Position| {
            let places = last.0.saturating_sub(count - 1)..=last.0;
            places.map(|place| frame::id(Position(place))).collect()
        };
        Ok(published.map(ids).map_err(|error| self.blame(error)))
    }
}

impl View<'_> {
    /// What the guest hears of an error; the operator hears more.
    fn blame(&self, error: Error) -> GuestError {
        self.call.fault("push", &error);
        convert_error(error)
    }

    /// Answers the last one's place; the others' are the numbers before it.
    async fn publish_all(&self, publications: Vec<Publication>) -> Result<Position, Error> {
        let shared = &self.lent.shared;
        let count = publications.len();
        if count > shared.config.publications_max {
            return Err(Error::Invalid(format!(
                "too many events: one call may publish at most {} (push.publications_max)",
                shared.config.publications_max
            )));
        }
        let space = Space {
            plugin: self.call.plugin.clone(),
            customer: self.call.customer.clone(),
        };
        let events: Result<Vec<Published>, Error> = publications
            .into_iter()
            .map(|publication| checked(&shared.config, &space, publication))
            .collect();
        let mut span = self.call.trace.span("publish", SpanKind::Producer);
        span.number("messaging.batch.message_count", count);
        let published = shared.publisher.publish(space.customer, events?).await;
        if published.is_err() {
            span.fail("unavailable");
        }
        let last = published?;
        self.lent.published.increment(count as u64);
        Ok(last)
    }
}

/// The customer comes from the host; the guest cannot name one.
fn checked(config: &Config, space: &Space, publication: Publication) -> Result<Published, Error> {
    let Publication { channel, event } = publication;
    check(config, &channel, &event)?;
    Ok(Published {
        channel: space.channel(&channel),
        plugin: space.plugin.clone(),
        customer: space.customer.clone(),
        name: channel,
        id: event.id,
        kind: event.kind,
        data: event.data,
    })
}

fn check(config: &Config, channel: &str, event: &Event) -> Result<(), Error> {
    let max = config.name_bytes_max;
    let invalid = |text: String| Err(Error::Invalid(text));
    let name = |text: &str| is_name(text, max);
    let line = |text: &str| text.len() <= max && !text.contains(['\r', '\n', '\0']);
    match event {
        _ if !name(channel) => invalid(format!(
            "the channel's name is invalid: it must be {}",
            form(max)
        )),
        Event { id: Some(id), .. } if !name(id) => {
            invalid(format!("the id is invalid: it must be {}", form(max)))
        }
        Event { id: Some(id), .. } if id.starts_with(frame::PREFIX) => invalid(format!(
            "the id is invalid: `{}` is reserved for the host",
            frame::PREFIX
        )),
        Event {
            kind: Some(kind), ..
        } if !line(kind) => invalid(format!(
            "the kind is invalid: it must be one line of at most {max} bytes"
        )),
        Event {
            kind: Some(kind), ..
        } if kind == "reset" => invalid("the kind `reset` is reserved for the host".to_owned()),
        _ if event.data.contains('\0') => invalid("the data contains a NUL character".to_owned()),
        _ if event.data.len() > config.event_bytes_max => Err(Error::TooLarge),
        _ => Ok(()),
    }
}

fn form(bytes_max: usize) -> String {
    format!("1 to {bytes_max} visible ASCII characters without `\"`, `,` and `;`")
}
