//! The secrets of endpoints: generated or provided, encrypted at rest, shown to their
//! owner, and rotated with an overlap in which the old one signs, too.

use std::time::Duration;

use hearth_plugin::prelude::*;
use hearth_plugin::seal::Keys;

use crate::endpoint::{Endpoint, EndpointId};
use crate::endpoints;
use crate::headers;
use crate::sign::{Key, Scheme};
use crate::sql::endpoints::{
    Sealed, StoredSecret, insert_secret, lock_endpoint, reseal_headers, reseal_secret,
    retire_secret, sealed_headers, sealed_secrets, secrets_of, update_endpoint,
};

/// How long an old secret signs beside the new one, where the client says nothing.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest overlap in seconds: a week.
const OVERLAP_SECONDS_MAX: i64 = 7 * 24 * 60 * 60;
/// Secrets that sign at once at most: each makes the header longer.
const SIGNING_MAX: usize = 5;

/// What a client says of a new secret.
pub struct NewSecret {
    scheme: Option<Scheme>,
    given: Option<String>,
}

impl NewSecret {
    /// Reads `signature` and `secret`, which have to fit each other.
    pub fn read(fields: &mut Fields) -> Self {
        let name = fields.text("signature").one_of(&Scheme::NAMES).optional();
        let scheme = name.and_then(|name| Scheme::parse(&name));
        let fits = |text: &String| {
            let own = Key::parse(text).map(|key| key.scheme());
            own.is_some() && (scheme.is_none() || scheme == own)
        };
        let wrong = "this must be whsec_ and 24 to 64 bytes in base64, or for v1a whsk_ and an \
                     ed25519 key";
        let given = fields
            .text("secret")
            .check("invalid_secret", wrong, fits)
            .optional();
        NewSecret { scheme, given }
    }

    /// The client's own key, or a new one, of this scheme where it names none.
    pub fn key(&self, scheme: Scheme) -> Result<Key, Problem> {
        match &self.given {
            Some(text) => Key::parse(text).ok_or_else(Problem::internal),
            None => Key::generate(self.scheme.unwrap_or(scheme)),
        }
    }
}

/// A key as it is stored: its id and what is sealed of it.
pub fn seal(
    keys: &Keys,
    customer: &str,
    endpoint: &str,
    key: &Key,
) -> Result<(String, Vec<u8>), Problem> {
    let id = id::new("sec");
    let sealed = keys.seal(&context(customer, endpoint, &id), &key.to_bytes())?;
    Ok((id, sealed))
}

fn context<'c>(customer: &'c str, endpoint: &'c str, id: &'c str) -> [&'c str; 4] {
    ["secret", customer, endpoint, id]
}

/// The key of a stored secret; `None` where no key of the host opens it.
pub fn open(keys: &Keys, customer: &str, endpoint: &str, stored: &StoredSecret) -> Option<Key> {
    let context = context(customer, endpoint, &stored.id);
    let opened = keys.open(&context, &stored.sealed)?;
    Key::from_bytes(Scheme::parse(&stored.signature)?, &opened.plain)
}

/// Encrypts again what was encrypted with an older version of the host's root secret,
/// so that the version can be removed.
pub fn renew(database: &Database, customer: &str) -> Result<(), Problem> {
    let keys = Keys::of_host()?;
    if !keys.has_older() {
        return Ok(());
    }
    let of_secrets = |after: &Sealed| sealed_secrets(database, &after.endpoint_id, &after.id);
    each_of_pages(of_secrets, |row| {
        let context = context(customer, &row.endpoint_id, &row.id);
        if let Some(new) = keys.renewed(&context, &row.sealed)? {
            reseal_secret(database, &row.endpoint_id, &row.id, &row.sealed, &new)?;
        }
        Ok(())
    })?;
    let of_headers = |after: &Sealed| sealed_headers(database, &after.endpoint_id);
    each_of_pages(of_headers, |row| {
        let context = headers::context(customer, &row.endpoint_id);
        if let Some(new) = keys.renewed(&context, &row.sealed)? {
            reseal_headers(database, &row.endpoint_id, &row.sealed, &new)?;
        }
        Ok(())
    })
}

/// Goes through rows, a page after the other, until one is empty.
fn each_of_pages(
    page: impl Fn(&Sealed) -> Result<Vec<Sealed>, sql::Error>,
    each: impl Fn(&Sealed) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut rows = page(&Sealed {
        endpoint_id: String::new(),
        id: String::new(),
        sealed: Vec::new(),
    })?;
    while let Some(last) = rows.last() {
        rows.iter().try_for_each(&each)?;
        rows = page(last)?;
    }
    Ok(())
}

/// What the receiver verifies with, as a member of an answer.
pub fn verifier(key: &Key) -> (String, Value) {
    let name = match key {
        Key::Secret(_) => "secret",
        Key::Pair(_) => "public_key",
    };
    (name.into(), key.verifier().into())
}

/// `GET /endpoints/{id}/secret`: what signs now, and until when what signed before.
pub fn show(request: &Request, EndpointId(id): EndpointId) -> Answer {
    endpoints::find(request, &id)?;
    let stored = secrets_of(&request.database(), &id, Timestamp::now())?;
    answer(request, &id, &stored)
}

/// `POST /endpoints/{id}/secret/rotate`: a new secret signs from now on; the old one
/// signs beside it for a day, or for `overlap_seconds`.
pub fn rotate(request: &Request, EndpointId(id): EndpointId) -> Answer {
    let mut fields = request.fields_if_any()?;
    let (wanted, overlap) = (NewSecret::read(&mut fields), overlap(&mut fields));
    fields.finish()?;
    let customer = request.caller()?.customer_id.as_str();
    let (keys, now) = (Keys::of_host()?, Timestamp::now());
    let stored = request
        .database()
        .transaction(Isolation::ReadCommitted, |tx| {
            let mut endpoint = lock_endpoint(tx, &id)?.ok_or_else(Problem::not_found)?;
            request.check_preconditions(Some(&endpoint.etag()))?;
            if secrets_of(tx, &id, now)?.len() >= SIGNING_MAX {
                return Err(too_many());
            }
            let key = wanted.key(Scheme::parse(&endpoint.signature).unwrap_or(Scheme::V1))?;
            let (secret, sealed) = seal(&keys, customer, &id, &key)?;
            retire_secret(tx, &id, now.after(overlap))?;
            insert_secret(tx, &id, &secret, key.scheme().name(), &sealed, now)?;
            sign_by(tx, &mut endpoint, key.scheme(), now)?;
            Ok(secrets_of(tx, &id, now)?)
        })?;
    answer(request, &id, &stored)
}

fn overlap(fields: &mut Fields) -> Duration {
    let seconds = fields
        .integer("overlap_seconds")
        .range(0..=OVERLAP_SECONDS_MAX);
    let given = seconds
        .optional()
        .and_then(|seconds| u64::try_from(seconds).ok());
    given.map_or(OVERLAP, Duration::from_secs)
}

fn sign_by(
    tx: &Transaction,
    endpoint: &mut Endpoint,
    scheme: Scheme,
    now: Timestamp,
) -> Result<(), sql::Error> {
    if endpoint.signature != scheme.name() {
        endpoint.signature = scheme.name().into();
        endpoint.touch(now);
        update_endpoint(tx, &endpoint.row())?;
    }
    Ok(())
}

fn too_many() -> Problem {
    let detail = "five secrets are in use already; wait until one of them has expired";
    Problem::new(409, "too-many-secrets", "Too many secrets").detail(detail)
}

/// Nobody on the way may keep it.
fn answer(request: &Request, id: &str, stored: &[StoredSecret]) -> Answer {
    let customer = request.caller()?.customer_id.as_str();
    let keys = Keys::of_host()?;
    let member = |secret| member(&keys, customer, id, secret).ok_or_else(unusable);
    let members: Result<Vec<_>, _> = stored.iter().map(member).collect();
    let mut members = members?.into_iter();
    let mut current = members.next().ok_or_else(unusable)?;
    let previous: Vec<Value> = members.map(Value::Object).collect();
    current.insert("previous".into(), previous.into());
    Ok(Response::json(200, &current)?.header("cache-control", "no-store"))
}

fn member(
    keys: &Keys,
    customer: &str,
    endpoint: &str,
    secret: &StoredSecret,
) -> Option<Map<String, Value>> {
    let verifier = verifier(&open(keys, customer, endpoint, secret)?);
    let mut members = Map::new();
    members.insert("signature".into(), secret.signature.as_str().into());
    members.extend([verifier]);
    members.insert("created_at".into(), json!(secret.created_at));
    members.insert("expires_at".into(), json!(secret.expires_at));
    Some(members)
}

/// The host lost the version of its root secret that sealed it.
fn unusable() -> Problem {
    let detail = "the endpoint's secret cannot be decrypted with this host's root secret";
    Problem::new(500, "unusable-secret", "Internal error").detail(detail)
}
