//! The capabilities: the host's implementations of the WIT interfaces.
//!
//! The list at the end makes what holds a part of each: its client, what a deployment was
//! lent, what a call has accumulated, its name among the grants. Leaving a part out does not
//! compile. Outside its own file and folder a new capability touches three places of the host:
//!
//! - here, a line of `mod` and one of the list;
//! - `config.rs`, the line of its section, where it has one;
//! - `deploy/checks.rs`, where what an operator approved decides what a deployment borrows.
//!
//! `tests/layers/capabilities.rs` reads the source and holds a capability to them; what it does
//! beside its interface stands there too, as `push`, which answers requests with streams.

use std::sync::Arc;

use wasmtime::component::{Linker, ResourceTable};

use hearth_base::telemetry::TraceScope;

pub mod backends;
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

pub use backends::{Backends, OpenError};
pub use call::{Cached, Call, Claim, Faults, Lookups};
pub use spent::Spent;

/// What a guest gets of a call: its own error as a value; a trap only for a handle that is
/// none, or for a call too many.
type GuestResult<T, E> = wasmtime::Result<Result<T, E>>;

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
    ($($name:ident: $interface:ident($($part:ident),*),)*) => {
        /// An interface of the contract that a component may import with a grant. The
        /// interface `types` has no functions and wants no grant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Interface {
            $($interface,)*
        }

        impl Interface {
            /// Every interface that can be granted.
            pub const ALL: &[Interface] = &[$(Interface::$interface),*];

            /// The name in WIT and in grants.
            pub fn name(self) -> &'static str {
                match self {
                    $(Interface::$interface => stringify!($name),)*
                }
            }
        }

        /// The clients of all capabilities, opened once per process.
        pub struct Clients {
            $(pub $name: $name::Client,)*
        }

        impl Clients {
            /// Opens each with its own section of the configuration.
            ///
            /// # Errors
            /// Where a setting names what cannot be used.
            pub fn open<S>(settings: &S, backends: &Backends<'_>) -> Result<Self, OpenError>
            where
                $(S: AsRef<$name::Config>,)*
            {
                Ok(Self {
                    $($name: $name::Client::from_backends(settings.as_ref(), backends)?,)*
                })
            }
        }

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

// Each capability, the name of its interface, and what its view borrows. People read the
// names in this order.
capabilities! {
    sql: Sql(call, state, table),
    cache: Cache(call, state, table),
    documents: Documents(call),
    queue: Queue(call),
    outbound: Outbound(call, state),
    push: Push(call),
    metrics: Metrics(call),
    log: Log(call, state),
    config: Config(call),
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
