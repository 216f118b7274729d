//! The statements of the plugin. None names customer_id: the host's policy adds it
//! to each, and its default fills it in.

pub mod budgets;
pub mod loads;
pub mod months;
pub mod records;
