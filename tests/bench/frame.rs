//! What all benchmarks of the table have in common: sides that take turns, what wrk
//! measures of them, the rows that come of it, and where these are kept and shown.

pub mod chart;
pub mod page;
pub mod report;
pub mod rounds;
pub mod row;
pub mod settings;
pub mod wrk;
