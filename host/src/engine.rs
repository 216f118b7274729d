//! The wasmtime engines: their configuration, the pool that instances come
//! from, and the thread that advances the epoch.
//!
//! One configuration per world family (architecture, invariant 10): the record
//! world runs without component-model concurrency, which halves the cost of a
//! call; a `wasi:http` component may want it.

use std::thread;
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::config::Engine as Limits;

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

/// The engines that serve, one a family, with their epoch tickers.
pub struct Engines {
    record: Engine,
    http: Engine,
}

impl Engines {
    /// Opens both engines. Address space is reserved here; memory is not.
    pub fn open(limits: &Limits) -> Result<Engines, EngineError> {
        Ok(Engines {
            record: serving(limits, Family::Record)?,
            http: serving(limits, Family::Http)?,
        })
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
pub fn compiling(limits: &Limits, family: Family) -> Result<Engine, EngineError> {
    Engine::new(&common(limits, family)).map_err(EngineError::Engine)
}

fn serving(limits: &Limits, family: Family) -> Result<Engine, EngineError> {
    let engine = pooled(limits, family)?;
    tick(&engine, Duration::from_millis(limits.epoch_ms)).map_err(EngineError::Ticker)?;
    Ok(engine)
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
    let mut config = common(limits, family);
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
fn common(limits: &Limits, family: Family) -> Config {
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
