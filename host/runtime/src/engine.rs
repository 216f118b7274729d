//! The wasmtime engines: their configuration, the pool that instances come
//! from, and the thread that advances the epoch.
//!
//! One configuration per world family: the record
//! world runs without component-model concurrency, which halves the cost of a
//! call; a `wasi:http` component may want it.

pub mod config;

use std::thread;
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use self::config::Config as Limits;

/// How many core instances, tables and memories the pool holds for each
/// component instance. A Rust component has three or four core instances (its
/// own and the adapters' shims), two tables and one memory.
const CORE_INSTANCES_EACH: u32 = 8;
const TABLES_EACH: u32 = 6;
const MEMORIES_EACH: u32 = 2;

/// The fibers that async calls run on hold the guest's stack and the host's
/// frames above it.
const HOST_STACK_BYTES: usize = 512 * 1024;

/// An engine that could not be made: the machine lacks something.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the WebAssembly engine cannot start on this machine: {0:#}")]
    Engine(wasmtime::Error),
    #[error("the thread that advances the epoch cannot start: {0}")]
    Ticker(std::io::Error),
}

/// Which shape of world a component has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Family {
    /// `hearth:plugin`: whole requests and responses as records.
    Record,
    /// `wasi:http`: streaming bodies.
    Http,
}

/// How linear memories lie in address space, which decides how code is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// Each in a place of the pool, with so much reserved behind it that no access
    /// needs a check.
    Pooled,
    /// Each as large as it is, reserved when an instance is made: where a process may
    /// not have terabytes of addresses (`ulimit -v`, some sandboxes). Every access is
    /// checked, and an instance costs more to make.
    Tight,
}

impl Layout {
    /// As the compiling child is told.
    pub fn name(self) -> &'static str {
        match self {
            Layout::Pooled => "pooled",
            Layout::Tight => "tight",
        }
    }
}

/// What a memory gets beyond what it has when it has to move for want of room.
const TIGHT_GROWTH_BYTES: u64 = 1 << 20;
/// Behind each memory of a tight layout.
const TIGHT_GUARD_BYTES: u64 = 64 << 10;

/// The engines that serve, one a family, with their epoch tickers.
pub struct Engines {
    layout: Layout,
    record: Engine,
    http: Engine,
}

impl Engines {
    /// Opens both engines. Address space is reserved here; memory is not.
    pub fn open(limits: &Limits) -> Result<Engines, EngineError> {
        Engines::laid_out(limits, Layout::Pooled).or_else(|error| {
            tracing::warn!(%error, "instances cannot be pooled: they are created one by one, and calls take longer. If `ulimit -v` limits this process, lift it");
            Engines::laid_out(limits, Layout::Tight)
        })
    }

    fn laid_out(limits: &Limits, layout: Layout) -> Result<Engines, EngineError> {
        let engine = |family| match layout {
            Layout::Pooled => pooled(limits, family),
            Layout::Tight => compiling(limits, family, layout),
        };
        let engines = Engines {
            layout,
            record: engine(Family::Record)?,
            http: engine(Family::Http)?,
        };
        for engine in [&engines.record, &engines.http] {
            tick(engine, Duration::from_millis(limits.epoch_ms)).map_err(EngineError::Ticker)?;
        }
        Ok(engines)
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    pub fn of(&self, family: Family) -> &Engine {
        match family {
            Family::Record => &self.record,
            Family::Http => &self.http,
        }
    }
}

/// The engine of a compiling child: the same code, without a pool and without a
/// ticker, since nothing runs in it.
pub fn compiling(limits: &Limits, family: Family, layout: Layout) -> Result<Engine, EngineError> {
    Engine::new(&common(limits, family, layout)).map_err(EngineError::Engine)
}

/// With `pagemap_scan` a used slot is cleaned by touching only what was written,
/// so keeping memory resident pays. Without it (kernel before 6.7) keeping is
/// slower than no pool at all, so nothing is kept.
fn pooled(limits: &Limits, family: Family) -> Result<Engine, EngineError> {
    let mut pool = pool(limits);
    pool.pagemap_scan(Enabled::Yes);
    pool.linear_memory_keep_resident(limits.keep_resident_bytes);
    pool.table_keep_resident(limits.keep_resident_bytes);
    if let Ok(engine) = with_pool(limits, family, pool) {
        return Ok(engine);
    }
    let mut pool = self::pool(limits);
    pool.pagemap_scan(Enabled::No);
    with_pool(limits, family, pool).map_err(EngineError::Engine)
}

fn with_pool(
    limits: &Limits,
    family: Family,
    pool: PoolingAllocationConfig,
) -> wasmtime::Result<Engine> {
    let mut config = common(limits, family, Layout::Pooled);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let instances = count(
        limits
            .instances_max
            .saturating_add(limits.idle_instances_max),
    );
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_EACH))
        .total_tables(instances.saturating_mul(TABLES_EACH))
        .total_memories(instances.saturating_mul(MEMORIES_EACH))
        .total_gc_heaps(0)
        .max_core_instances_per_component(count(limits.instances_per_store_max))
        .max_memories_per_component(count(limits.memories_per_store_max))
        .max_tables_per_component(count(limits.tables_per_store_max))
        .max_memory_size(limits.memory_bytes_max)
        .table_elements(limits.table_elements_max);
    pool
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Everything that decides how code is compiled, which the child and the host
/// must agree on: a component compiled under another configuration is refused
/// by its compatibility hash and compiled again.
fn common(limits: &Limits, family: Family, layout: Layout) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(family == Family::Http)
        .wasm_component_model_async(family == Family::Http)
        .max_wasm_stack(limits.stack_bytes_max)
        .async_stack_size(limits.stack_bytes_max.saturating_add(HOST_STACK_BYTES))
        // No language that Hearth's authors use needs the collector, and an
        // exhausted heap of it can abort the process (wasmtime 48.0.8).
        .gc_support(false)
        .shared_memory(false)
        .wasm_threads(false)
        .memory_init_cow(true);
    if layout == Layout::Tight {
        config
            .memory_reservation(0)
            .memory_reservation_for_growth(TIGHT_GROWTH_BYTES)
            .memory_guard_size(TIGHT_GUARD_BYTES);
    }
    config
}

/// Advances the epoch for as long as the engine lives. Guests look at it to
/// learn that they should yield, so a late tick costs latency and nothing else.
fn tick(engine: &Engine, every: Duration) -> std::io::Result<()> {
    let engine = engine.weak();
    thread::Builder::new().name("epoch".into()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(every);
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_that_may_not_reserve_its_pool_goes_on_without_one() {
        // More addresses than there are.
        let limits = Limits {
            instances_max: 100_000,
            ..Limits::default()
        };
        let engines = Engines::open(&limits).unwrap();
        assert_eq!(engines.layout(), Layout::Tight);
    }
}
