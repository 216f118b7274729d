//! capability/sql
pub mod gate;
pub mod statement;
