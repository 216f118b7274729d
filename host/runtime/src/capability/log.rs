//! The capability `log`: a plugin's lines in the host's log.
//!
//! Each line says which plugin, deployment, request and customer it belongs to;
//! the guest chooses none of these. What a guest writes is redacted, cut to its
//! limit and freed of control characters, so that no line can look like another.
//!
//! ```no_run
//! use hearth_runtime::capability::log::{Client, Config};
//! use hearth_base::telemetry::{HostMetrics, Logs, Metrics, Redactor};
//!
//! # fn example() -> anyhow::Result<()> {
//! let telemetry = hearth_base::telemetry::Config::default();
//! let redactor = Redactor::new(["a secret of the host"]);
//! let (logs, _guard) = Logs::start(&telemetry, &redactor)?;
//! let host = HostMetrics::new(&Metrics::new(&telemetry));
//! let client = Client::open(&Config::default(), &logs, &redactor, &host);
//! let lent = client.lend("tickets", 1, ["a secret of the plugin"]);
//! # Ok(())
//! # }
//! ```

use metrics::Counter;
use serde::Deserialize;
use serde_json::Value;
use tracing::Level;
use wasmtime::component::{HasData, Linker};

use super::{Backends, Call, OpenError};
use hearth_base::bounds;
use hearth_base::section::{MIB, Mistakes, Section};
use hearth_base::telemetry::{HostMetrics, Logs, Redactor};

/// The bindings of the interface.
pub mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package hearth:lends-log; world lends { import hearth:plugin/log@0.1.0; }",
        imports: { default: trappable },
    });

    pub use self::hearth::plugin::log::{Host, Level, add_to_linker};
}

/// Section `[log]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Lines of one call; the rest are dropped and counted.
    pub lines_max: u32,
    /// Bytes of a message; what is beyond is cut off and counted.
    pub line_bytes_max: usize,
    /// Bytes of a line's fields; of longer ones the beginning is kept, as text.
    pub fields_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lines_max: 1_000,
            line_bytes_max: 16 << 10,
            fields_bytes_max: 16 << 10,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            lines_max in 0..=1_000_000,
            line_bytes_max in 64..=MIB,
            fields_bytes_max in 0..=MIB,
        }
    }
}

/// The log of this process, as plugins write to it.
#[derive(Clone)]
pub struct Client {
    config: Config,
    logs: Logs,
    redactor: Redactor,
    host: HostMetrics,
}

impl Client {
    pub(super) fn from_backends(
        config: &Config,
        backends: &Backends<'_>,
    ) -> Result<Self, OpenError> {
        let (logs, redactor) = (backends.logs, backends.redactor);
        Ok(Self::open(config, logs, redactor, backends.host_metrics))
    }

    pub fn open(config: &Config, logs: &Logs, redactor: &Redactor, host: &HostMetrics) -> Self {
        Self {
            config: config.clone(),
            logs: logs.clone(),
            redactor: redactor.clone(),
            host: host.clone(),
        }
    }

    /// What a deployment borrows. `secrets` are the plugin's own, which never
    /// reach the log whatever the guest does with them in plain form.
    pub fn lend<S: AsRef<str>>(
        &self,
        plugin: &str,
        _deployment: u64,
        secrets: impl IntoIterator<Item = S>,
    ) -> Lent {
        Lent {
            config: self.config.clone(),
            logs: self.logs.clone(),
            redactor: self.redactor.with(secrets),
            lines_dropped: self.host.plugin_log_lines_dropped(plugin, "lines_max"),
            lines_cut: self.host.plugin_log_lines_dropped(plugin, "cut"),
        }
    }
}

/// What one deployment of a plugin writes with.
#[derive(Clone)]
pub struct Lent {
    config: Config,
    logs: Logs,
    redactor: Redactor,
    lines_dropped: Counter,
    lines_cut: Counter,
}

/// What one call accumulates: the number of its lines.
#[derive(Debug, Default)]
pub struct State {
    lines: u32,
}

/// What one call borrows.
pub struct View<'a> {
    pub call: &'a Call,
    pub lent: &'a Lent,
    pub state: &'a mut State,
}

impl generated::Host for View<'_> {
    fn write(
        &mut self,
        level: generated::Level,
        message: String,
        fields: String,
    ) -> wasmtime::Result<()> {
        self.call.host_call()?;
        let lines_max = self.lent.config.lines_max;
        if self.state.lines >= lines_max {
            self.lent.lines_dropped.increment(1);
            return Ok(());
        }
        self.state.lines += 1;
        let level = convert_level(level);
        self.lent.logs.with(|| {
            if is_enabled(level) {
                self.emit(level, &message, &fields);
            }
            if self.state.lines == lines_max {
                self.emit(
                    Level::WARN,
                    "log.lines_max is reached: further lines of this call are dropped",
                    "",
                );
            }
        });
        Ok(())
    }
}

impl View<'_> {
    fn emit(&self, level: Level, message: &str, fields: &str) {
        let config = &self.lent.config;
        let message = self.clean(message, config.line_bytes_max);
        let fields = self.clean_fields(fields);
        let call = self.call;
        let customer = call.customer.as_deref();
        let trace_id = call.trace.trace_id().map(tracing::field::display);
        // The level of an event is part of its static description.
        macro_rules! event {
            ($level:expr) => {
                tracing::event!(
                    target: "plugin",
                    $level,
                    plugin = %call.plugin,
                    deployment = call.deployment,
                    request_id = &*call.request_id,
                    trace_id,
                    customer,
                    fields,
                    "{message}"
                )
            };
        }
        match level {
            Level::TRACE => event!(Level::TRACE),
            Level::DEBUG => event!(Level::DEBUG),
            Level::INFO => event!(Level::INFO),
            Level::WARN => event!(Level::WARN),
            Level::ERROR => event!(Level::ERROR),
        }
    }

    /// A JSON object stays one; anything else becomes the text of one.
    fn clean_fields(&self, fields: &str) -> Option<String> {
        if fields.is_empty() {
            return None;
        }
        let bytes_max = self.lent.config.fields_bytes_max;
        if fields.len() <= bytes_max
            && let Ok(Value::Object(object)) = serde_json::from_str(fields)
        {
            let compact = Value::Object(object).to_string();
            return Some(escape(&self.lent.redactor.redact(&compact), Escape::Json));
        }
        let text = Value::String(self.clean(fields, bytes_max));
        Some(format!("{{\"text\":{text}}}"))
    }

    /// Redacted, at most `bytes_max` long before escapes, on one line.
    fn clean(&self, text: &str, bytes_max: usize) -> String {
        let redactor = &self.lent.redactor;
        // A guest may hand over megabytes, of which only the beginning counts.
        let head = cut(text, bytes_max.saturating_mul(2));
        let redacted = redactor.redact(head);
        let mut kept = &*redacted;
        if head.len() < text.len() {
            // The cut may have halved a secret, which then was not known again.
            kept = cut(kept, kept.len().saturating_sub(redactor.longest_bytes()));
        }
        let kept = cut(kept, bytes_max);
        let mut line = escape(kept, Escape::Text);
        if kept.len() < redacted.len() || head.len() < text.len() {
            line.push('…');
            self.lent.lines_cut.increment(1);
        }
        line
    }
}

fn convert_level(level: generated::Level) -> Level {
    match level {
        generated::Level::Trace => Level::TRACE,
        generated::Level::Debug => Level::DEBUG,
        generated::Level::Info => Level::INFO,
        generated::Level::Warn => Level::WARN,
        generated::Level::Error => Level::ERROR,
    }
}

/// Lines that nobody wants cost no cleaning.
fn is_enabled(level: Level) -> bool {
    match level {
        Level::TRACE => tracing::enabled!(target: "plugin", Level::TRACE),
        Level::DEBUG => tracing::enabled!(target: "plugin", Level::DEBUG),
        Level::INFO => tracing::enabled!(target: "plugin", Level::INFO),
        Level::WARN => tracing::enabled!(target: "plugin", Level::WARN),
        Level::ERROR => tracing::enabled!(target: "plugin", Level::ERROR),
    }
}

/// At most `bytes_max` bytes of a text, ending between two characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max))
        .unwrap_or(text)
}

/// How a character that must not reach a terminal is written.
#[derive(Clone, Copy)]
enum Escape {
    Text,
    Json,
}

/// Control characters, line separators and changes of direction could end a line
/// or make it read as another.
fn escape(text: &str, escape: Escape) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match escape {
            _ if !c.is_control() && !turns => line.push(c),
            Escape::Text => line.extend(c.escape_default()),
            Escape::Json => line.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    line
}

/// Tells the linker's generated code what a [`View`] is.
pub struct Access;

impl HasData for Access {
    type Data<'a> = View<'a>;
}

/// Links the interface. `view` finds this capability's parts in a store's state.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> View<'_>,
) -> wasmtime::Result<()> {
    generated::add_to_linker::<T, Access>(linker, view)
}
