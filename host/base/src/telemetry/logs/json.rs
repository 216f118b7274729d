//! A line as a JSON object: time, level, message, the event's fields, and where it is
//! from.
//!
//! The library's own format writes every field as text. A plugin's fields are a JSON
//! object already, and one is searched for `fields.ticket`, not for a text with escapes.

use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The field that holds an object in JSON, in events of this target alone: elsewhere a
/// value may be anybody's text.
const OBJECT: (&str, &str) = ("plugin", "fields");

/// The format.
pub(super) struct JsonFormat;

impl<S, N> FormatEvent<S, N> for JsonFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = Line {
            text: vec![b'{'],
            target: metadata.target(),
        };
        line.member("timestamp", &time);
        line.member("level", metadata.level().as_str());
        event.record(&mut line);
        line.member("target", metadata.target());
        let text = String::from_utf8_lossy(&line.text);
        writeln!(writer, "{text}}}")
    }
}

/// The members that have been written.
struct Line<'e> {
    text: Vec<u8>,
    target: &'e str,
}

impl Line<'_> {
    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        if self.text.len() > 1 {
            self.text.push(b',');
        }
        // Texts, numbers and raw JSON always serialise, and memory takes what is written.
        let _ = serde_json::to_writer(&mut self.text, name);
        self.text.push(b':');
        let _ = serde_json::to_writer(&mut self.text, value);
    }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if (self.target, field.name()) != OBJECT {
            return self.member(field.name(), value);
        }
        match serde_json::from_str::<&RawValue>(value) {
            Ok(object) => self.member(field.name(), object),
            Err(_) => self.member(field.name(), value),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field.name(), &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field.name(), &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.member(field.name(), &format!("{value:?}"));
    }
}
