//! Instances: the only place where a `Store` is made (invariant 1).
//!
//! A fresh instance answers one call. A plugin may ask for serial reuse: then an
//! instance that answered cleanly waits for the next call, up to so many uses
//! and so old. A store that trapped, timed out or was cancelled is never used
//! again: it is dropped with its future.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{Component, Linker};
use wasmtime::{Store, UpdateDeadline};

use super::memory::Memory;
use super::meter::Meter;
use super::state::State;
use crate::capability::{self, Call, Lents};
use crate::clock::Clock;
use crate::config::Engine as Limits;

mod generated {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package hearth:guest;
            world handles { export hearth:plugin/handler@0.1.0; }
        ",
        exports: { default: async },
    });
}

pub use generated::exports::hearth::plugin::handler::{Request, Response};
pub use generated::hearth::plugin::types::{Caller, Context};

/// A component that is linked with what it was granted and type-checked: ready
/// to instantiate.
pub struct PreInstance {
    handles: generated::HandlesPre<State>,
    limits: Bounds,
    clock: Clock,
}

/// What bounds each store of a plugin.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub memory_bytes_max: usize,
    pub response_bytes_max: usize,
    pub engine: Limits,
}

/// What a response takes beside its body when it is lifted out of the guest.
const RESPONSE_HEAD_BYTES: usize = 64 * 1024;

impl Bounds {
    /// wasmtime bounds what a host call takes out of a guest and what a response
    /// does by the same number, so it must fit the larger of the two.
    fn lift_bytes_max(&self) -> usize {
        let response = self.response_bytes_max.saturating_add(RESPONSE_HEAD_BYTES);
        self.engine.host_call_bytes_max.max(response)
    }
}

impl PreInstance {
    /// Fails with the interface's name where the component imports what was not
    /// granted, or does not export the handler.
    pub fn link(
        component: &Component,
        granted: impl Fn(&str) -> bool,
        limits: Bounds,
        clock: Clock,
    ) -> wasmtime::Result<PreInstance> {
        let mut linker: Linker<State> = Linker::new(component.engine());
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        capability::link(&mut linker, granted)?;
        let handles = generated::HandlesPre::new(linker.instantiate_pre(component)?)?;
        Ok(PreInstance {
            handles,
            limits,
            clock,
        })
    }

    /// A fresh instance. The guest's start function runs here, so this is part
    /// of a call and under its limits.
    pub async fn instantiate(
        &self,
        call: Call,
        lents: Arc<Lents>,
        meter: Arc<Meter>,
    ) -> wasmtime::Result<Instance> {
        let engine = &self.limits.engine;
        let each_max = engine.instances_per_store_max;
        let memory = Memory::new(
            self.limits.memory_bytes_max,
            engine.table_elements_max,
            each_max,
        );
        let handles_max = engine.handles_max;
        let state = State::new(call, lents, memory, meter, handles_max, &self.clock);
        let mut store = Store::new(self.handles.engine(), state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(self.limits.lift_bytes_max());
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            store.data().meter.check()?;
            Ok(UpdateDeadline::Yield(1))
        });
        let handles = self.handles.instantiate_async(&mut store).await?;
        Ok(Instance {
            store,
            handles,
            uses: 0,
            born: Instant::now(),
        })
    }
}

/// One instantiated component with its store.
pub struct Instance {
    store: Store<State>,
    handles: generated::Handles,
    uses: u64,
    born: Instant,
}

impl Instance {
    /// Makes an instance that waited ready for another call.
    pub fn begin_call(&mut self, call: Call, meter: Arc<Meter>) {
        self.store.data_mut().begin_call(call, meter);
        self.store.set_epoch_deadline(1);
    }

    pub async fn handle(&mut self, request: &Request) -> wasmtime::Result<Response> {
        self.uses = self.uses.saturating_add(1);
        self.handles
            .hearth_plugin_handler()
            .call_handle(&mut self.store, request)
            .await
    }

    /// Undoes what the call left open.
    pub fn end_call(&mut self) {
        self.store.data_mut().parts.end_call();
    }

    pub fn peak_memory_bytes(&self) -> usize {
        self.store.data().memory.peak_bytes()
    }

    /// Handles that the guest forgot to drop would pile up over many uses.
    pub fn is_clean(&self) -> bool {
        self.store.data().parts.table.is_empty()
    }

    pub fn uses(&self) -> u64 {
        self.uses
    }

    pub fn born(&self) -> Instant {
        self.born
    }
}
