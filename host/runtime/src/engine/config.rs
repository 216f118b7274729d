//! Section `[engine]`.

use serde::Deserialize;

use hearth_base::bounds;
use hearth_base::section::{GIB, HOUR_MS, KIB, MIB, Mistakes, Section};

/// The WebAssembly engines and the child process that compiles for them.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Milliseconds between two ticks, at each of which a guest yields.
    pub epoch_ms: u64,
    /// Instances in flight on the whole host.
    pub instances_max: usize,
    /// Instances of all plugins that wait for their next call, where a plugin
    /// reuses them. Past that, the one that was used longest ago goes.
    pub idle_instances_max: usize,
    /// How much of it one customer may have, rounded up to whole instances.
    pub customer_idle_instances_percent_max: u64,
    /// The largest linear memory that any plugin may be given, in bytes. The
    /// pool reserves address space by it.
    pub memory_bytes_max: usize,
    /// Elements of a guest's tables.
    pub table_elements_max: usize,
    /// Bytes of a guest's own stack.
    pub stack_bytes_max: usize,
    /// Core instances, memories and tables of one store.
    pub instances_per_store_max: usize,
    pub memories_per_store_max: usize,
    pub tables_per_store_max: usize,
    /// Bytes that one host call may lift out of a guest, or lower into it.
    pub host_call_bytes_max: usize,
    /// Resource handles that an instance holds at once.
    pub handles_max: usize,
    /// Bytes of a pooled memory that stay resident between two instances.
    /// Ignored where the kernel has no `PAGEMAP_SCAN`.
    pub keep_resident_bytes: usize,
    /// Milliseconds of CPU after which a call goes on in the second runtime.
    pub long_cpu_ms: u64,
    /// Address space of the compiling child, in bytes.
    pub compile_memory_bytes_max: usize,
    /// CPU time of the compiling child.
    pub compile_cpu_ms_max: u64,
    /// Time by the clock of the compiling child.
    pub compile_wall_ms_max: u64,
    /// Children that compile at once.
    pub compile_concurrency_max: usize,
    /// Bytes of compiled code that the compiling child may hand back.
    pub compiled_bytes_max: u64,
    /// Files of compiled components that are kept, each as large as its code. Past that
    /// the one that was used longest ago goes, and none of what is served.
    pub compiled_files_max: usize,
    /// Bytes of a component file.
    pub component_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            epoch_ms: 2,
            instances_max: 400,
            idle_instances_max: 200,
            customer_idle_instances_percent_max: 40,
            memory_bytes_max: 1024 << 20,
            table_elements_max: 20_000,
            stack_bytes_max: 512 << 10,
            instances_per_store_max: 64,
            memories_per_store_max: 64,
            tables_per_store_max: 64,
            host_call_bytes_max: 4 << 20,
            handles_max: 1_000,
            keep_resident_bytes: 1 << 20,
            long_cpu_ms: 2,
            compile_memory_bytes_max: 4096 << 20,
            compile_cpu_ms_max: 120_000,
            compile_wall_ms_max: 180_000,
            compile_concurrency_max: 1,
            compiled_bytes_max: 512 << 20,
            compiled_files_max: 2_000,
            component_bytes_max: 64 << 20,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            epoch_ms in 1..=5,
            instances_max in 1..=10_000,
            idle_instances_max in 0..=10_000,
            customer_idle_instances_percent_max in 1..=100,
            memory_bytes_max in 64 * KIB..=4 * GIB,
            table_elements_max in 1..=1_000_000,
            stack_bytes_max in 64 * KIB..=8 * MIB,
            instances_per_store_max in 1..=1_000,
            memories_per_store_max in 1..=1_000,
            tables_per_store_max in 1..=1_000,
            host_call_bytes_max in 64 * KIB..=GIB,
            handles_max in 1..=1_000_000,
            keep_resident_bytes in 0..=64 * MIB,
            long_cpu_ms in 1..=60_000,
            compile_memory_bytes_max in 32 * MIB..=64 * GIB,
            compile_cpu_ms_max in 1_000..=HOUR_MS,
            compile_wall_ms_max in 1..=HOUR_MS,
            compile_concurrency_max in 1..=64,
            compiled_files_max in 1..=1_000_000,
            component_bytes_max in KIB..=GIB,
        }
    }
}
