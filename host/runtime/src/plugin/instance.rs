//! Instances: the only place where a `Store` is made (invariant 1).
//!
//! A fresh instance answers one call. A plugin may ask for serial reuse: then an
//! instance that answered cleanly waits for the next call of the same customer, up to
//! so many uses and so old. A store that trapped, timed out or was cancelled is never used
//! again: it is dropped with its future.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{InstancePre, Linker};
use wasmtime::{Store, UpdateDeadline};

use super::admission::Customer;
use super::component::{Compiled, FileLease};
use super::manifest::World;
use super::memory::MemoryAccount;
use super::meter::Meter;
use super::state::State;
use crate::capability::{self, Call, Lents};
use crate::engine::config::Config as Limits;
use hearth_base::clock::Clock;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package hearth:guest;
            world handles { export hearth:plugin/handler@0.1.0; }
        ",
        exports: { default: async },
    });
}

mod consuming {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package hearth:guest-consumer;
            world consumes { export hearth:plugin/consumer@0.1.0; }
        ",
        exports: { default: async },
        with: { "hearth:plugin/types": super::generated::hearth::plugin::types },
    });
}

pub use consuming::exports::hearth::plugin::consumer::{Disposition, Message};
pub use generated::exports::hearth::plugin::handler::{Request, Response};
pub use generated::hearth::plugin::types::{Caller, Context};

/// A component that is linked with what it was granted and type-checked: ready
/// to instantiate.
pub struct PreInstance {
    pre: InstancePre<State>,
    handles: Option<generated::HandlesIndices>,
    consumes: Option<consuming::ConsumesIndices>,
    limits: StoreBounds,
    clock: Clock,
    /// What may serve is there when the host starts again.
    _lease: FileLease,
}

/// A batch of messages of one customer.
pub struct Batch {
    pub context: Context,
    pub messages: Vec<Message>,
}

/// The component does not export what it is called for. The gate refuses such a
/// component, so no call meets this.
#[derive(Debug, thiserror::Error)]
#[error("the component does not export {0}")]
struct NotExported(&'static str);

/// What bounds each store of a plugin.
#[derive(Clone, Debug)]
pub struct StoreBounds {
    pub memory_bytes_max: usize,
    pub response_bytes_max: usize,
    pub engine: Limits,
}

/// What a response takes beside its body when it is lifted out of the guest.
const RESPONSE_HEAD_BYTES: usize = 64 * 1024;

impl StoreBounds {
    /// wasmtime bounds what a host call takes out of a guest and what a response
    /// does by the same number, so it must fit the larger of the two.
    fn lift_bytes_max(&self) -> usize {
        let response = self.response_bytes_max.saturating_add(RESPONSE_HEAD_BYTES);
        self.engine.host_call_bytes_max.max(response)
    }
}

impl PreInstance {
    /// Fails with the interface's name where the component imports what was not
    /// granted, or does not export what its world says.
    pub fn link(
        compiled: Compiled,
        world: World,
        granted: impl Fn(&str) -> bool,
        limits: StoreBounds,
        clock: Clock,
    ) -> wasmtime::Result<PreInstance> {
        let Compiled { component, lease } = compiled;
        let mut linker: Linker<State> = Linker::new(component.engine());
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        capability::link(&mut linker, granted)?;
        let pre = linker.instantiate_pre(&component)?;
        let handles = world
            .handles()
            .then(|| generated::HandlesIndices::new(&pre));
        let consumes = world
            .consumes()
            .then(|| consuming::ConsumesIndices::new(&pre));
        Ok(PreInstance {
            handles: handles.transpose()?,
            consumes: consumes.transpose()?,
            pre,
            limits,
            clock,
            _lease: lease,
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
        let memory = MemoryAccount::new(
            self.limits.memory_bytes_max,
            engine.table_elements_max,
            each_max,
        );
        let handles_max = engine.handles_max;
        let state = State::new(call, lents, memory, meter, handles_max, &self.clock);
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(self.limits.lift_bytes_max());
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            store.data().meter.check()?;
            Ok(UpdateDeadline::Yield(1))
        });
        let instance = self.pre.instantiate_async(&mut store).await?;
        let handles = self.handles.as_ref();
        let handles = handles.map(|found| found.load(&mut store, &instance));
        let consumes = self.consumes.as_ref();
        let consumes = consumes.map(|found| found.load(&mut store, &instance));
        Ok(Instance {
            handles: handles.transpose()?,
            consumes: consumes.transpose()?,
            store,
            uses: 0,
            born: Instant::now(),
        })
    }
}

/// One instantiated component with its store.
pub struct Instance {
    store: Store<State>,
    handles: Option<generated::Handles>,
    consumes: Option<consuming::Consumes>,
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
        let exported = self.handles.as_ref().ok_or(NotExported("handler"))?;
        let handler = exported.hearth_plugin_handler();
        handler.call_handle(&mut self.store, request).await
    }

    pub async fn consume(&mut self, batch: &Batch) -> wasmtime::Result<Vec<Disposition>> {
        self.uses = self.uses.saturating_add(1);
        let exported = self.consumes.as_ref().ok_or(NotExported("consumer"))?;
        let consumer = exported.hearth_plugin_consumer();
        let (context, messages) = (&batch.context, &batch.messages);
        consumer
            .call_consume(&mut self.store, context, messages)
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

    /// Whose call it answered last.
    pub fn customer(&self) -> &Customer {
        &self.store.data().parts.call.customer
    }

    pub fn uses(&self) -> u64 {
        self.uses
    }

    pub fn born(&self) -> Instant {
        self.born
    }
}
