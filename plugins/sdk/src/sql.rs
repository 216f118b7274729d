//! SQL on the plugin's own schema: statements declared once, with types.
//!
//! A statement is declared with [`sql!`](crate::sql!) and becomes a function. The host
//! prepares each against the migrated schema when the plugin is deployed, and compares
//! its types with the declared ones, so that a typo fails the deploy and not a request.
//! It also checks each plan: a statement that reads all rows that a customer has in a
//! table, restricted by no key of an index and no LIMIT in the order of one, needs an
//! operator's approval under the function's name.
//!
//! ```no_run
//! use hearth_plugin::prelude::*;
//!
//! row! {
//!     pub struct Account { id: String, owner: Option<String>, balance: i64 }
//! }
//! sql! {
//!     /// Locks the row, so it is declared as `write`.
//!     pub write fn lock(id: &str) -> Option<Account> =
//!         "SELECT id, owner, balance FROM accounts WHERE id = $1 FOR UPDATE";
//!     pub write fn add(id: &str, amount: i64) -> u64 =
//!         "UPDATE accounts SET balance = balance + $2 WHERE id = $1";
//! }
//!
//! fn withdraw(request: &Request, id: String) -> Answer {
//!     let database = request.database();
//!     database.transaction(Isolation::ReadCommitted, |tx| {
//!         let account = lock(tx, &id)?.ok_or_else(Problem::not_found)?;
//!         if account.balance < 5 {
//!             return Err(Problem::new(409, "too-poor", "Not enough money"));
//!         }
//!         add(tx, &id, -5)?;
//!         Response::json(200, &account)
//!     })
//! }
//! # fn main() {}
//! ```

mod batch;
mod connection;
mod error;
#[doc(hidden)]
pub mod output;
#[doc(hidden)]
pub mod record;
mod row;
mod transaction;
mod value;

#[cfg(test)]
mod tests;

pub use batch::{Batch, Outcomes, PendingAnswer, Step};
pub use connection::{Connection, Database};
pub use error::Error;
pub use output::{Output, to_json};
pub use row::{Column, Row};
pub use transaction::{Isolation, Transaction};
pub use value::{Cell, Numeric, Parameter, Uuid, Value};

/// Declares the rows of a result: a struct with the columns as fields, in the order of
/// the statement and under its names (`r#type` for a column `type`). `Option` if a
/// column may be NULL. It can be written as JSON.
///
/// Its fields may have the types that implement [`sql::Cell`](crate::sql::Cell).
///
/// ```
/// use hearth_plugin::prelude::*;
/// row! {
///     /// A note.
///     #[derive(Debug, PartialEq)]
///     pub struct Note { id: String, text: Option<String>, created_at: Timestamp }
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! row {
    ($($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)?
    })*) => {$(
        $(#[$meta])*
        #[allow(missing_docs)]
        $vis struct $name { $($(#[$field_meta])* pub $field: $type),* }

        impl $crate::sql::Row for $name {
            const COLUMNS: &'static [$crate::sql::Column] = &[$(
                $crate::sql::Column {
                    name: $crate::sql::output::plain(stringify!($field)),
                    code: <$type as $crate::sql::Cell>::CODE,
                    nullable: <$type as $crate::sql::Cell>::NULLABLE,
                }
            ),*];

            fn from_values(
                values: &mut dyn Iterator<Item = $crate::sql::Value>,
            ) -> Option<Self> {
                Some($name { $($field: $crate::sql::Cell::from_value(values.next()?)?),* })
            }

            fn write_members(&self, object: &mut dyn $crate::sql::output::Members) {
                $(object.member($crate::sql::output::plain(stringify!($field)), $crate::sql::Cell::to_json(&self.$field));)*
            }
        }

        impl $crate::sql::output::Serialize for $name {
            fn serialize<S: $crate::sql::output::Serializer>(
                &self,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                $crate::sql::output::Serialize::serialize(
                    &$crate::sql::output::to_json(self),
                    serializer,
                )
            }
        }
    )*};
}

/// Declares statements, each as a typed function. Use it at the level of a
/// module.
///
/// `read` is for what cannot write and takes no lock, `write` for the rest. The
/// parameters are `$1`, `$2` and so on, in order, of the types that implement
/// [`sql::Parameter`](crate::sql::Parameter). The answer is `Vec<Row>`,
/// `Option<Row>`, `Row` (exactly one, else an error) or `u64` (the number of rows
/// changed), where `Row` was declared with [`row!`](crate::row!).
///
/// The function's first argument is the connection: `&Database`, or the `&Transaction`
/// of a closure. There is also a module with the function's name; its `step` makes a
/// step of a [`Batch`](crate::sql::Batch).
///
/// ```
/// use hearth_plugin::prelude::*;
/// sql! {
///     /// Forgets a note.
///     pub write fn forget(id: &str) -> u64 = "DELETE FROM notes WHERE id = $1";
/// }
/// fn delete(request: &Request, id: String) -> Answer {
///     match forget(&request.database(), &id)? {
///         0 => Err(Problem::not_found()),
///         _ => Ok(Response::no_content()),
///     }
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! sql {
    ($($(#[$meta:meta])* $vis:vis $access:ident fn $name:ident (
        $($parameter:ident: $type:ty),* $(,)?
    ) -> $answer:ty = $text:expr;)*) => {$(
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name(
            on: &dyn $crate::sql::Connection
            $(, $parameter: $type)*
        ) -> Result<$answer, $crate::sql::Error> {
            const NAME: &str = $crate::sql::output::plain(stringify!($name));
            const TEXT: &str = $text;
            const PARAMETERS: &[u8] = &[$(<$type as $crate::sql::Parameter>::CODE),*];
            const COLUMNS: &[$crate::sql::Column] = <$answer as $crate::sql::Output>::COLUMNS;
            const LENGTH: usize = $crate::sql::record::length(NAME, TEXT, PARAMETERS, COLUMNS);
            // A section of the component, and nothing of its memory: `used` would put
            // it there too.
            #[cfg_attr(target_arch = "wasm32", unsafe(link_section = "hearth:sql"))]
            #[cfg_attr(not(target_arch = "wasm32"), used)]
            #[allow(dead_code)]
            static RECORD: [u8; LENGTH] = $crate::sql::record::encode(
                $crate::sql_access!($access), NAME, TEXT, PARAMETERS, COLUMNS,
            );
            let parameters = vec![$($crate::sql::Parameter::into_value($parameter)),*];
            <$answer as $crate::sql::Output>::run(on, TEXT, parameters)
        }

        /// The statement as a step of a batch.
        #[allow(unused_imports, dead_code, clippy::too_many_arguments)]
        $vis mod $name {
            use super::*;

            /// The statement with its parameters, to be added to a batch.
            pub fn step($($parameter: $type),*) -> $crate::sql::Step<$answer> {
                let parameters = vec![$($crate::sql::Parameter::into_value($parameter)),*];
                $crate::sql::Step::new($text, parameters)
            }
        }
    )*};
}

/// The code of `read` or `write` in a record.
#[doc(hidden)]
#[macro_export]
macro_rules! sql_access {
    (read) => {
        0
    };
    (write) => {
        1
    };
}
