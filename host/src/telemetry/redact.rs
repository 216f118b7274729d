//! redact
pub struct Redactor;
