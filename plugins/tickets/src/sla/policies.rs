//! `/sla-policies`: the targets that agents promise their customers.

use hearth_plugin::cursor::Binding;
use hearth_plugin::prelude::*;
use hearth_plugin::sql::Error;
use hearth_plugin::{FieldError, problem::Location};

use super::order::Order;
use super::policy::{BUILT_IN, Policy, TIERS};
use super::{SlaId, check, check_made, is_id, plan, put, too_many};
use crate::outbox::Outbox;
use crate::sql::sla::{
    PolicyRow, Put, delete_policy, insert_tiers, lock_policy, policies_after, policy_by_id,
    put_policy, remove_tiers,
};
use crate::ticket::AGENT;

/// `GET /sla-policies`: by id, the built-in ones among the customer's own.
pub fn list(request: &Request) -> Answer {
    request.require_scope(AGENT)?;
    let mut query = request.query()?;
    let paging = Paging::read(&mut query);
    if paging.page().is_some() {
        query.refuse(
            "page",
            "not_allowed",
            "pages are not supported for policies; use the cursor",
        );
    }
    query.finish()?;
    let binding = Binding::of(request, &["sla-policies"])?;
    let [after] = paging.keys(&binding)?.unwrap_or_default();
    let mut policies = policies_after(&request.database(), &after, paging.fetch())?;
    policies.extend(TIERS.map(built_in).into_iter().filter(|own| own.id > after));
    policies.sort_by(|one, other| one.id.cmp(&other.id));
    let more = paging.cut(&mut policies);
    let last = policies.last().filter(|_| more);
    let next = last.map(|policy| binding.encode(&[&policy.id]));
    let policies: Vec<_> = policies.iter().map(to_json).collect();
    let body = json!({"sla_policies": policies, "has_more": more, "next_cursor": next});
    Ok(paging.link(request, next.as_deref(), Response::json(200, &body)?))
}

/// `GET /sla-policies/{id}`: 404 where it is not there, or another customer's.
pub fn show(request: &Request, SlaId(id): SlaId) -> Answer {
    request.require_scope(AGENT)?;
    let tier = id.strip_prefix(BUILT_IN);
    let policy = match tier.filter(|tier| TIERS.contains(tier)) {
        Some(tier) => built_in(tier),
        None => policy_by_id(&request.database(), &id)?.ok_or_else(Problem::not_found)?,
    };
    Response::json(200, &to_json(&policy))
}

/// `PUT /sla-policies/{id}`: makes it, 201, or replaces it. It holds at once, for
/// tickets that there are too: of what has passed it changes nothing.
pub fn replace(request: &Request, SlaId(id): SlaId) -> Answer {
    request.require_scope(AGENT)?;
    let mut policy = read(request.fields()?, &id)?;
    refuse_built_in(&id)?;
    let database = request.database();
    let Put {
        updated_at,
        created,
    } = Outbox::run(|outbox| {
        database.transaction(Isolation::ReadCommitted, |tx| {
            let before = locked(tx, &id)?;
            check(request, before.as_ref().map(to_json).as_ref())?;
            let written = write(tx, &policy).map_err(refused)?;
            let written = written.ok_or_else(|| too_many("policies"))?;
            check_made(request, before.is_some(), written.created)?;
            outbox.send(tx, &[], &[Order::ReviewSoon])?;
            Ok::<_, Problem>(written)
        })
    })?;
    plan::forget_kept();
    policy.updated_at = updated_at;
    put(
        request,
        created,
        &["/sla-policies/", &id].concat(),
        &to_json(&policy),
    )
}

/// `DELETE /sla-policies/{id}`: 204. Its tiers have the built-in policy again.
pub fn delete(request: &Request, SlaId(id): SlaId) -> Answer {
    request.require_scope(AGENT)?;
    refuse_built_in(&id)?;
    let database = request.database();
    Outbox::run(|outbox| {
        database.transaction(Isolation::ReadCommitted, |tx| {
            let policy = locked(tx, &id)?.ok_or_else(Problem::not_found)?;
            check(request, Some(&to_json(&policy)))?;
            delete_policy(tx, &id)?;
            outbox.send(tx, &[], &[Order::ReviewSoon])?;
            Ok::<_, Problem>(())
        })
    })?;
    plan::forget_kept();
    Ok(Response::no_content())
}

/// The policy, locked against other changes until the transaction ends, as it is then: its
/// tiers lie in rows of their own, which change under the lock alone.
fn locked(tx: &Transaction, id: &str) -> Result<Option<PolicyRow>, Error> {
    match lock_policy(tx, id)? {
        Some(_) => policy_by_id(tx, id),
        None => Ok(None),
    }
}

/// What a client says of a policy.
fn read(mut fields: Fields, id: &str) -> Result<PolicyRow, Problem> {
    let unknown = "this must be the id of a calendar";
    let name = fields.text("name").length(1..=255).required();
    let calendar_id = fields.text("calendar_id");
    let calendar_id = calendar_id
        .check("wrong_type", unknown, |id| is_id(id))
        .optional();
    let wrong = "each must be one of free, standard, premium, unlimited";
    let tiers = fields.texts("tiers").count(0..=TIERS.len());
    let mut tiers = tiers
        .check("not_allowed", wrong, |tiers| {
            tiers.iter().all(|tier| TIERS.contains(&tier.as_str()))
        })
        .or([]);
    tiers.sort_unstable();
    tiers.dedup();
    let policy = Policy::read(&mut fields);
    fields.finish()?;
    Ok(row(id.to_string(), name, calendar_id, tiers, &policy))
}

fn row(
    id: String,
    name: String,
    calendar_id: Option<String>,
    tiers: Vec<String>,
    policy: &Policy,
) -> PolicyRow {
    PolicyRow {
        id,
        name,
        calendar_id,
        tiers,
        targets: Json(policy.targets_json()),
        warn_before: Json(policy.warn_before_json()),
        updated_at: Timestamp::default(),
    }
}

/// The built-in policy of a tier.
fn built_in(tier: &str) -> PolicyRow {
    let (id, name) = ([BUILT_IN, tier].concat(), ["Built in: ", tier].concat());
    row(
        id,
        name,
        None,
        vec![tier.to_string()],
        &Policy::built_in(tier),
    )
}

/// The policy as JSON. Built-in ones have no time of their last change.
fn to_json(policy: &PolicyRow) -> Value {
    let mut members = sql::to_json(policy);
    let built_in = policy.id.starts_with(BUILT_IN);
    members.insert("built_in".into(), built_in.into());
    if built_in {
        members.insert("updated_at".into(), Value::Null);
    }
    Value::Object(members)
}

fn refuse_built_in(id: &str) -> Result<(), Problem> {
    if !id.starts_with(BUILT_IN) {
        return Ok(());
    }
    let detail = "ids that begin with built-in- are reserved; create a policy with another id for \
                  the tier to replace this one";
    Err(Problem::new(409, "built-in", "Built in").detail(detail))
}

/// No row where there was no room for the policy.
fn write(tx: &Transaction, policy: &PolicyRow) -> Result<Option<Put>, Error> {
    let (id, calendar_id) = (policy.id.as_str(), policy.calendar_id.as_deref());
    let (targets, warn_before) = (&policy.targets, &policy.warn_before);
    let put = put_policy(tx, id, &policy.name, calendar_id, targets, warn_before)?;
    if put.is_some() {
        remove_tiers(tx, id)?;
        if !policy.tiers.is_empty() {
            insert_tiers(tx, id, &policy.tiers)?;
        }
    }
    Ok(put)
}

/// What a violated key means: there is no such calendar, or another policy has the tier.
fn refused(error: Error) -> Problem {
    match error {
        Error::ForeignKeyViolation(name) if name == "sla_policies_calendar" => {
            Problem::invalid_fields(vec![FieldError {
                location: Location::Pointer("/calendar_id".into()),
                code: "not_found",
                detail: "this calendar was not found".into(),
            }])
        }
        Error::UniqueViolation(_) => {
            let detail = "another policy has one of these tiers; remove it there first";
            Problem::new(409, "tier-taken", "Tier already in use").detail(detail)
        }
        error => error.into(),
    }
}
