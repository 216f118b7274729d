//! How much memory a store may take, and how much it took at most.

use wasmtime::ResourceLimiter;

/// The guest wanted more linear memory than its plugin may have.
#[derive(Debug, thiserror::Error)]
#[error(
    "the guest needs too much memory: {wanted_bytes} bytes, and at most {bytes_max} are allowed"
)]
pub struct MemoryExhausted {
    pub wanted_bytes: usize,
    pub bytes_max: usize,
}

/// The guest wanted a larger table than it may have.
#[derive(Debug, thiserror::Error)]
#[error("the guest needs too large a table: {wanted} elements, and at most {max} are allowed")]
pub struct TableExhausted {
    pub wanted: usize,
    pub max: usize,
}

/// The memory account of one store: the sum over all its memories. Errors are
/// returned, rather than a plain refusal, because a refused `memory.grow` ends
/// in an `unreachable` that says nothing.
#[derive(Debug)]
pub struct MemoryAccount {
    bytes: usize,
    peak_bytes: usize,
    last_growth_bytes: usize,
    bytes_max: usize,
    table_elements_max: usize,
    each_max: usize,
}

impl MemoryAccount {
    /// `each_max` bounds the instances, the memories and the tables of a store.
    pub fn new(bytes_max: usize, table_elements_max: usize, each_max: usize) -> MemoryAccount {
        MemoryAccount {
            bytes: 0,
            peak_bytes: 0,
            last_growth_bytes: 0,
            bytes_max,
            table_elements_max,
            each_max,
        }
    }

    /// The most that the store held at any time since `begin`.
    pub fn peak_bytes(&self) -> usize {
        self.peak_bytes
    }

    /// Starts the account of another call in a store that is used again.
    pub fn begin(&mut self) {
        self.peak_bytes = self.bytes;
    }
}

impl ResourceLimiter for MemoryAccount {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let wanted_bytes = self.bytes.saturating_add(growth);
        if wanted_bytes > self.bytes_max {
            let bytes_max = self.bytes_max;
            return Err(wasmtime::Error::new(MemoryExhausted {
                wanted_bytes,
                bytes_max,
            }));
        }
        self.bytes = wanted_bytes;
        self.last_growth_bytes = growth;
        self.peak_bytes = self.peak_bytes.max(wanted_bytes);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.bytes = self.bytes.saturating_sub(self.last_growth_bytes);
        self.last_growth_bytes = 0;
        Ok(())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        wanted: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if wanted > self.table_elements_max {
            let max = self.table_elements_max;
            return Err(wasmtime::Error::new(TableExhausted { wanted, max }));
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.each_max
    }

    fn tables(&self) -> usize {
        self.each_max
    }

    fn memories(&self) -> usize {
        self.each_max
    }
}
