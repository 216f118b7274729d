//! The drivers' side: connections and what is shared of them. No WIT type here.

pub mod dynamodb;
pub mod postgres;
pub mod redis;
pub mod url;
