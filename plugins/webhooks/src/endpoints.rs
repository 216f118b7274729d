//! `/endpoints`: where a customer wants its events.

use hearth_plugin::cursor::Binding;
use hearth_plugin::prelude::*;
use hearth_plugin::problem::{FieldError, Location};
use hearth_plugin::seal::Keys;
use hearth_plugin::sql::Batch;

use crate::destination::{self, Mistake};
use crate::endpoint::{self, COUNT_MAX, Endpoint, EndpointId, ORDERED_MAX, Reason};
use crate::headers::{self, Headers};
use crate::secrets::{self, NewSecret};
use crate::sign::{Key, Scheme};
use crate::sql::endpoints::{
    delete_endpoint, delete_secrets, endpoint_by_id, endpoints_after, headers_of, insert_endpoint,
    insert_health, insert_secret, lock_endpoint, other_ordered, reset_health, set_headers,
    update_endpoint,
};
use crate::{requeue, switch};

/// The endpoint, or 404: it is not there, or it is another customer's.
pub fn find(request: &Request, id: &str) -> Result<Endpoint, Problem> {
    endpoint_by_id(&request.database(), id)?.ok_or_else(Problem::not_found)
}

/// `GET /endpoints`: the oldest first.
pub fn list(request: &Request) -> Answer {
    let mut query = request.query()?;
    let paging = Paging::by_cursor(&mut query);
    query.finish()?;
    let binding = Binding::of(request, &["endpoints"])?;
    let [after] = paging.keys(&binding)?.unwrap_or_default();
    let mut endpoints = endpoints_after(&request.database(), &after, paging.fetch())?;
    let more = paging.cut(&mut endpoints);
    let last = endpoints.last().filter(|_| more);
    let next = last.map(|last| binding.encode(&[&last.id]));
    let endpoints: Vec<_> = endpoints.iter().map(Endpoint::to_json).collect();
    let body = json!({"endpoints": endpoints, "has_more": more, "next_cursor": next});
    Ok(paging.link(request, next.as_deref(), Response::json(200, &body)?))
}

/// `GET /endpoints/{id}`.
pub fn show(request: &Request, EndpointId(id): EndpointId) -> Answer {
    find(request, &id)?.answer(200)
}

/// An endpoint to be made.
struct New {
    endpoint: Endpoint,
    headers: Headers,
    secret: NewSecret,
}

impl New {
    fn read(mut fields: Fields, now: Timestamp) -> Result<Self, Problem> {
        let enabled = fields.boolean("enabled").or(true);
        let mut endpoint = Endpoint {
            id: id::new("ep"),
            version: 1,
            url: endpoint::url(&mut fields).required(),
            description: endpoint::description(&mut fields).optional(),
            event_types: endpoint::event_types(&mut fields).or([]),
            ordered: fields.boolean("ordered").or(false),
            rate_per_second: endpoint::rate(&mut fields).optional(),
            metadata: Json(endpoint::metadata(&mut fields).or(Map::new()).into()),
            signature: String::new(),
            header_names: Vec::new(),
            enabled,
            disabled_reason: None,
            disabled_at: None,
            created_at: now,
            updated_at: now,
        };
        endpoint.switch((!enabled).then_some(Reason::Requested), now);
        let patch = headers::Patch::read(&mut fields);
        let secret = NewSecret::read(&mut fields);
        let headers = Headers::default().patched(&patch);
        if let Ok(headers) = &headers {
            refuse(&mut fields, &endpoint.url, headers);
        }
        fields.finish()?;
        let headers = headers?;
        endpoint.header_names = headers.names();
        Ok(New {
            endpoint,
            headers,
            secret,
        })
    }

    /// Writes it with its secret; 409 where the customer has as many as it may.
    fn insert(&self, request: &Request, key: &Key) -> Result<(), Problem> {
        let (customer, keys) = (request.caller()?.customer_id.as_str(), Keys::of_host()?);
        let endpoint = &self.endpoint;
        let headers = self.headers.seal(&keys, customer, &endpoint.id)?;
        let (secret, sealed) = secrets::seal(&keys, customer, &endpoint.id, key)?;
        let scheme = key.scheme().name();
        let mut batch = Batch::new();
        let inserted = batch.add(insert_endpoint::step(&endpoint.row(), &headers));
        batch.add(insert_health::step(&endpoint.id));
        let now = endpoint.created_at;
        batch.add(insert_secret::step(
            &endpoint.id,
            &secret,
            scheme,
            &sealed,
            now,
        ));
        match batch.run(&request.database())?.take(inserted)? {
            0 => Err(too_many()),
            _ => Ok(()),
        }
    }
}

/// Remembers what no delivery could be sent with. Of a URL that was refused already, or
/// is absent, nothing more is said.
fn refuse(fields: &mut Fields, url: &str, headers: &Headers) {
    for mistake in destination::mistakes(url, headers) {
        if mistake.field != "url" || !url.is_empty() {
            fields.refuse(mistake.field, mistake.code, mistake.detail);
        }
    }
}

/// 409 for one ordered endpoint too many.
fn check_ordered(on: &dyn Connection, endpoint: &Endpoint) -> Result<(), Problem> {
    if endpoint.ordered && other_ordered(on, &endpoint.id)?.count >= ORDERED_MAX {
        let detail = format!("too many ordered endpoints: at most {ORDERED_MAX} are allowed");
        return Err(Problem::new(409, "too-many-endpoints", "Too many endpoints").detail(detail));
    }
    Ok(())
}

fn too_many() -> Problem {
    let detail = format!("too many endpoints: at most {COUNT_MAX} are allowed; delete some first");
    Problem::new(409, "too-many-endpoints", "Too many endpoints").detail(detail)
}

/// `POST /endpoints`: 201 with `Location`, and with what the receiver verifies with.
pub fn create(request: &Request) -> Answer {
    let mut new = New::read(request.fields()?, Timestamp::now())?;
    let key = new.secret.key(Scheme::V1)?;
    new.endpoint.signature = key.scheme().name().into();
    check_ordered(&request.database(), &new.endpoint)?;
    new.insert(request, &key)?;
    let mut body = new.endpoint.to_json();
    body.extend([secrets::verifier(&key)]);
    let location = request.link(&["/endpoints/", &new.endpoint.id].concat());
    let response = Response::created(&location, &body)?;
    Ok(response
        .header("etag", &new.endpoint.etag())
        .header("cache-control", "no-store"))
}

/// What a PATCH says.
struct Patch {
    url: Change<String>,
    description: Change<String>,
    event_types: Change<Vec<String>>,
    ordered: Option<bool>,
    rate_per_second: Change<i64>,
    metadata: Change<Map<String, Value>>,
    enabled: Option<bool>,
    headers: headers::Patch,
}

impl Patch {
    fn read(mut fields: Fields) -> Result<Self, Problem> {
        let patch = Patch {
            url: kept(endpoint::url(&mut fields).optional()),
            description: endpoint::description(&mut fields).change(),
            event_types: endpoint::event_types(&mut fields).change(),
            ordered: fields.boolean("ordered").optional(),
            rate_per_second: endpoint::rate(&mut fields).change(),
            metadata: endpoint::metadata(&mut fields).change(),
            enabled: fields.boolean("enabled").optional(),
            headers: headers::Patch::read(&mut fields),
        };
        fields.finish()?;
        Ok(patch)
    }

    /// 422 for what it sets that no delivery could be sent with, or that is too large once
    /// it is merged. What it leaves alone may have become such since: the endpoint's
    /// warnings say so.
    fn check(&self, after: &Endpoint, headers: &Headers) -> Result<(), Problem> {
        let sets = |mistake: &Mistake| match mistake.field {
            "url" => matches!(self.url, Change::Set(_)),
            _ => self.headers.sets(),
        };
        let mistakes = destination::mistakes(&after.url, headers).into_iter();
        let mut errors: Vec<FieldError> = mistakes.filter(sets).map(FieldError::from).collect();
        if matches!(self.metadata, Change::Set(_)) && !endpoint::fits(&after.metadata.0) {
            errors.push(FieldError {
                location: Location::Pointer("/metadata".into()),
                code: "too_long",
                detail: "this would be too large: at most 4 KiB are allowed".into(),
            });
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(Problem::invalid_fields(errors)),
        }
    }

    fn apply(&self, endpoint: &mut Endpoint) {
        set(&mut endpoint.url, &self.url);
        set_or_clear(&mut endpoint.description, &self.description);
        set(&mut endpoint.event_types, &self.event_types);
        endpoint.ordered = self.ordered.unwrap_or(endpoint.ordered);
        set_or_clear(&mut endpoint.rate_per_second, &self.rate_per_second);
        match &self.metadata {
            Change::Keep => {}
            Change::Clear => endpoint.metadata = Json(json!({})),
            Change::Set(patch) => hearth_plugin::json::merge(&mut endpoint.metadata.0, patch),
        }
    }
}

/// For a field that cannot be cleared.
fn kept<T>(given: Option<T>) -> Change<T> {
    given.map_or(Change::Keep, Change::Set)
}

fn set<T: Clone + Default>(field: &mut T, change: &Change<T>) {
    match change {
        Change::Keep => {}
        Change::Clear => *field = T::default(),
        Change::Set(value) => *field = value.clone(),
    }
}

fn set_or_clear<T: Clone>(field: &mut Option<T>, change: &Change<T>) {
    match change {
        Change::Keep => {}
        Change::Clear => *field = None,
        Change::Set(value) => *field = Some(value.clone()),
    }
}

/// `PATCH /endpoints/{id}`: what is absent stays; null clears description,
/// event_types, rate_per_second, metadata and headers, within headers the one that it
/// names, and within metadata, which is merged at every depth (RFC 7396), the member.
pub fn change(request: &Request, EndpointId(id): EndpointId) -> Answer {
    let patch = Patch::read(request.fields()?)?;
    let customer = request.caller()?.customer_id.as_str();
    let (keys, now) = (Keys::of_host()?, Timestamp::now());
    let change = |tx: &Transaction, notify| {
        let before = lock_endpoint(tx, &id)?.ok_or_else(Problem::not_found)?;
        request.check_preconditions(Some(&before.etag()))?;
        let sealed = headers_of(tx, &id)?.headers;
        let headers = Headers::open(&keys, customer, &id, &sealed).unwrap_or_default();
        let patched = headers.clone().patched(&patch.headers)?;
        let mut after = before.clone();
        patch.apply(&mut after);
        after.header_names = patched.names();
        patch.check(&after, &patched)?;
        if after.ordered && !before.ordered {
            check_ordered(tx, &after)?;
        }
        if patched != headers {
            set_headers(tx, &id, &patched.seal(&keys, customer, &id)?)?;
        }
        if after != before || patched != headers {
            after.touch(now);
            update_endpoint(tx, &after.row())?;
        }
        if after.url != before.url {
            reset_health(tx, &id)?;
            requeue::lift(tx, std::slice::from_ref(&id), now)?;
        }
        match patch.enabled {
            Some(true) => switch::on(tx, &mut after, now)?,
            Some(false) => switch::off(tx, &mut after, Reason::Requested, now, notify)?,
            None => {}
        }
        after.answer(200)
    };
    let database = request.database();
    switch::run_with_notice(|notify| {
        database.transaction(Isolation::ReadCommitted, |tx| change(tx, notify))
    })
}

/// `DELETE /endpoints/{id}`: 204. What waits for it is never sent, and its secrets
/// are gone at once.
pub fn delete(request: &Request, EndpointId(id): EndpointId) -> Answer {
    let now = Timestamp::now();
    request
        .database()
        .transaction(Isolation::ReadCommitted, |tx| {
            let endpoint = lock_endpoint(tx, &id)?.ok_or_else(Problem::not_found)?;
            request.check_preconditions(Some(&endpoint.etag()))?;
            delete_endpoint(tx, &id, now)?;
            delete_secrets(tx, &id)?;
            Ok(Response::no_content())
        })
}

/// `POST /endpoints/{id}/enable`.
pub fn enable(request: &Request, EndpointId(id): EndpointId) -> Answer {
    request.fields_if_any()?.finish()?;
    let now = Timestamp::now();
    request
        .database()
        .transaction(Isolation::ReadCommitted, |tx| {
            let mut endpoint = lock_endpoint(tx, &id)?.ok_or_else(Problem::not_found)?;
            request.check_preconditions(Some(&endpoint.etag()))?;
            switch::on(tx, &mut endpoint, now)?;
            endpoint.answer(200)
        })
}

/// `POST /endpoints/{id}/disable`: what waits for it stops when it is due.
pub fn disable(request: &Request, EndpointId(id): EndpointId) -> Answer {
    request.fields_if_any()?.finish()?;
    let (database, now) = (request.database(), Timestamp::now());
    switch::run_with_notice(|notify| {
        database.transaction(Isolation::ReadCommitted, |tx| {
            let mut endpoint = lock_endpoint(tx, &id)?.ok_or_else(Problem::not_found)?;
            request.check_preconditions(Some(&endpoint.etag()))?;
            switch::off(tx, &mut endpoint, Reason::Requested, now, notify)?;
            endpoint.answer(200)
        })
    })
}
