//! The capabilities: the host's implementations of the WIT interfaces.
//!
//! One line in the list at the end is all that a new capability touches outside
//! its own file. The list makes the structs that hold every capability's parts,
//! so leaving a part out does not compile.

use std::sync::Arc;

use wasmtime::component::{Linker, ResourceTable};

use hearth_base::telemetry::TraceScope;

pub mod cache;
pub mod call;
pub mod config;
pub mod documents;
pub mod log;
pub mod metrics;
pub mod outbound;
pub mod push;
pub mod queue;
pub mod spent;
pub mod sql;

pub use call::{Cached, Call, Claim, Faults, Lookups};
pub use spent::Spent;

/// What a store holds for the capabilities: the circumstances of the call, what
/// its deployment was lent, and what the call has accumulated.
pub struct Parts {
    pub call: Call,
    pub lents: Arc<Lents>,
    pub states: States,
    pub table: ResourceTable,
}

impl Parts {
    /// Ends a call: whatever it left open is undone, and nothing of it is seen
    /// by the next call in this store.
    pub fn end_call(&mut self) {
        self.states = States::default();
        // A trace is exported once nothing can add to it.
        self.call.trace = TraceScope::default();
    }
}

/// What a view may borrow beside what its deployment was lent.
macro_rules! borrow {
    (call, $parts:ident, $name:ident) => {
        &$parts.call
    };
    (state, $parts:ident, $name:ident) => {
        &mut $parts.states.$name
    };
    (table, $parts:ident, $name:ident) => {
        &mut $parts.table
    };
}

macro_rules! capabilities {
    ($($name:ident($($part:ident),*),)*) => {
        /// What a deployment was lent. Without its grant a capability is not
        /// linked, so what is lent here cannot be reached.
        pub struct Lents {
            $(pub $name: $name::Lent,)*
        }

        /// What one call has accumulated, of each capability.
        #[derive(Default)]
        pub struct States {
            $(pub $name: $name::State,)*
        }

        /// Links the interfaces that were granted, and no other.
        pub fn link<T: AsMut<Parts> + Send + 'static>(
            linker: &mut Linker<T>,
            granted: impl Fn(&str) -> bool,
        ) -> wasmtime::Result<()> {
            $(if granted(stringify!($name)) {
                $name::add_to_linker(linker, |state: &mut T| {
                    let parts = state.as_mut();
                    $name::View {
                        lent: &parts.lents.$name,
                        $($part: borrow!($part, parts, $name),)*
                    }
                })?;
            })*
            link_wasi_http(linker, granted)
        }
    };
}

// Each capability, and what its view borrows.
capabilities! {
    sql(call, state, table),
    cache(call, state, table),
    documents(call),
    queue(call),
    push(call),
    log(call, state),
    config(call),
    metrics(call),
    outbound(call, state),
}

/// The standard's interface for what `outbound` is granted for.
fn link_wasi_http<T: AsMut<Parts> + Send + 'static>(
    linker: &mut Linker<T>,
    granted: impl Fn(&str) -> bool,
) -> wasmtime::Result<()> {
    if !granted("outbound") {
        return Ok(());
    }
    outbound::wasi::add_to_linker(linker, |state: &mut T| {
        let parts = state.as_mut();
        let state = &mut parts.states.outbound;
        outbound::wasi::view(&parts.call, &parts.lents.outbound, state, &mut parts.table)
    })
}
