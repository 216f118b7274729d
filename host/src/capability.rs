//! The capabilities: the host's implementations of the WIT interfaces.
//!
//! One line in the list at the end is all that a new capability touches outside
//! its own file. The list makes the structs that hold every capability's parts,
//! so leaving a part out does not compile.

use std::sync::Arc;

use wasmtime::component::{Linker, ResourceTable};

pub mod call;
pub mod config;
pub mod log;
pub mod metrics;
pub mod sql;

pub use call::Call;

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
    }
}

macro_rules! capabilities {
    ($($name:ident,)*) => {
        /// What a deployment was lent. What was not granted lends nothing.
        #[derive(Default)]
        pub struct Lents {
            $(pub $name: $name::Lent,)*
        }

        /// What one call has accumulated, of each capability.
        #[derive(Default)]
        pub struct States {
            $(pub $name: $name::State,)*
        }

        /// The names under which an operator grants them.
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// Links the interfaces that were granted, and no other.
        pub fn link<T: AsMut<Parts> + Send + 'static>(
            linker: &mut Linker<T>,
            granted: impl Fn(&str) -> bool,
        ) -> wasmtime::Result<()> {
            $(if granted(stringify!($name)) {
                $name::add_to_linker(linker, |state: &mut T| {
                    let parts = state.as_mut();
                    $name::View {
                        call: &parts.call,
                        lent: &parts.lents.$name,
                        state: &mut parts.states.$name,
                        table: &mut parts.table,
                    }
                })?;
            })*
            Ok(())
        }
    };
}

capabilities! {
    sql,
    log,
    config,
    metrics,
}
