//! The caller of a request, as the host authenticated it.

/// The caller of a request. The host found it from the API key; a plugin reads
/// it and can neither choose nor forge it.
///
/// ```
/// use hearth_plugin::{Answer, Request, Response};
/// fn assign(request: &Request) -> Answer {
///     let caller = request.require_scope("agent")?;
///     Response::json(200, &caller.customer_id)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The customer on whose behalf everything in this call happens.
    pub customer_id: String,
    /// The public id of the API key, never the key.
    pub key_id: String,
    /// What the key may do, for example `customer` or `agent`.
    pub scopes: Vec<String>,
}

impl Caller {
    /// Whether the key has that scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope)
    }
}
