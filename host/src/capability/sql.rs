//! capability/sql
