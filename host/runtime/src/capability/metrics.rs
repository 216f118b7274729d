//! The capability `metrics`: a plugin's own numbers on `/metrics`.
//!
//! A name becomes `plugin_<name>_total` or `plugin_<name>_<unit>` and carries the
//! label `plugin`. A sample that breaks Prometheus's rules or a limit is dropped
//! and counted: a number is never worth failing a request.
//!
//! ```
//! use hearth_runtime::capability::Call;
//! use hearth_runtime::capability::metrics::{Client, Config, View, generated::Host};
//! use hearth_base::telemetry::{HostMetrics, Metrics};
//!
//! let metrics = Metrics::new(&hearth_base::telemetry::Config::default());
//! let client = Client::open(&Config::default(), &metrics, &HostMetrics::new(&metrics));
//! let lent = client.lend("tickets", 1);
//! let call = Call::of("tickets", None);
//! View { call: &call, lent: &lent }.count("created".to_owned(), 2, Vec::new()).unwrap();
//! assert!(metrics.render().contains("plugin_created_total{plugin=\"tickets\"} 2"));
//! ```

mod series;

use std::collections::HashMap;
use std::sync::Arc;

use metrics::Counter;
use parking_lot::Mutex;
use serde::Deserialize;
use wasmtime::component::{HasData, Linker};

use self::series::{Kind, MetricName, Series};
use super::{Backends, Call, OpenError};
use hearth_base::bounds;
use hearth_base::section::{KIB, Mistakes, Section};
use hearth_base::telemetry::{HostMetrics, Metrics};

/// The bindings of the interface.
pub mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package hearth:lends-metrics; world lends { import hearth:plugin/metrics@0.1.0; }",
        imports: { default: trappable },
    });

    pub use self::hearth::plugin::metrics::{Host, Label, add_to_linker};
}

/// Section `[metrics]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Series (a name with one set of labels) of one plugin, over all of its
    /// deployments since the host started.
    pub series_max: usize,
    /// Labels of one sample, the host's own not counted.
    pub labels_max: usize,
    /// Bytes of a metric's or a label's name.
    pub name_bytes_max: usize,
    /// Bytes of a label's value.
    pub label_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            series_max: 1_000,
            labels_max: 8,
            name_bytes_max: 128,
            label_bytes_max: 128,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            series_max in 0..=100_000,
            labels_max in 0..=64,
            name_bytes_max in 16..=KIB,
            label_bytes_max in 1..=4 * KIB,
        }
    }
}

/// Why a sample was dropped. The guest is to blame for each; it is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the name or unit is invalid: Prometheus does not allow it")]
    Name,
    #[error("a label is invalid: Prometheus does not allow it, or there are too many labels")]
    Label,
    #[error("the value is not a finite number")]
    Value,
    #[error("too many series: the plugin has reached its limit")]
    Series,
}

/// The registry of this process, as plugins count in it.
#[derive(Clone)]
pub struct Client {
    config: Config,
    metrics: Metrics,
    host: HostMetrics,
    /// Each plugin's series outlive its deployments, and so does their number.
    plugins: Arc<Mutex<HashMap<String, Arc<Series>>>>,
}

impl Client {
    pub(super) fn from_backends(
        config: &Config,
        backends: &Backends<'_>,
    ) -> Result<Self, OpenError> {
        Ok(Self::open(config, backends.metrics, backends.host_metrics))
    }

    pub fn open(config: &Config, metrics: &Metrics, host: &HostMetrics) -> Self {
        Self {
            config: config.clone(),
            metrics: metrics.clone(),
            host: host.clone(),
            plugins: Arc::default(),
        }
    }

    /// What a deployment borrows: the series of its plugin.
    pub fn lend(&self, plugin: &str, _deployment: u64) -> Lent {
        let mut plugins = self.plugins.lock();
        let series = plugins.entry(plugin.to_owned()).or_insert_with(|| {
            let (config, metrics) = (self.config.clone(), self.metrics.clone());
            Arc::new(Series::new(plugin, config, metrics))
        });
        let dropped = |reason| self.host.plugin_metrics_dropped(plugin, reason);
        Lent {
            series: Arc::clone(series),
            dropped_name: dropped("name"),
            dropped_label: dropped("label"),
            dropped_value: dropped("value"),
            dropped_series: dropped("series_max"),
        }
    }
}

/// What one deployment of a plugin counts in.
#[derive(Clone)]
pub struct Lent {
    series: Arc<Series>,
    dropped_name: Counter,
    dropped_label: Counter,
    dropped_value: Counter,
    dropped_series: Counter,
}

/// A call accumulates nothing here.
pub type State = ();

/// What one call borrows.
pub struct View<'a> {
    pub call: &'a Call,
    pub lent: &'a Lent,
}

impl generated::Host for View<'_> {
    fn count(
        &mut self,
        name: String,
        by: u64,
        labels: Vec<generated::Label>,
    ) -> wasmtime::Result<()> {
        self.call.host_call()?;
        let name = MetricName {
            base: &name,
            suffix: "total",
            kind: Kind::Counter,
        };
        let counted = self.lent.series.count(&name, by, labels);
        self.account(counted);
        Ok(())
    }

    fn observe(
        &mut self,
        name: String,
        value: f64,
        unit: String,
        labels: Vec<generated::Label>,
    ) -> wasmtime::Result<()> {
        self.call.host_call()?;
        let name = MetricName {
            base: &name,
            suffix: &unit,
            kind: Kind::Histogram,
        };
        let observed = self.lent.series.observe(&name, value, labels);
        self.account(observed);
        Ok(())
    }
}

impl View<'_> {
    fn account(&self, outcome: Result<(), Error>) {
        let dropped = match outcome {
            Ok(()) => return,
            Err(Error::Name) => &self.lent.dropped_name,
            Err(Error::Label) => &self.lent.dropped_label,
            Err(Error::Value) => &self.lent.dropped_value,
            Err(Error::Series) => &self.lent.dropped_series,
        };
        dropped.increment(1);
    }
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
