//! The drivers' side: connections and what is shared of them. No WIT type here.

mod aws;
pub mod dynamodb;
pub mod merge;
pub mod pgqueue;
pub mod postgres;
pub mod queue;
pub mod queues;
pub mod redis;
pub mod sqs;
pub mod url;
