//! `POST /`: one notification, or many with a result each.

use std::collections::BTreeMap;

use hearth_plugin::prelude::*;

use crate::deliver::{self, Delivery, Outcome};
use crate::draft::{Draft, New};
use crate::message::some;
use crate::templates::{self, Template};

/// Notifications of one request at most.
const MANY_MAX: usize = 1_000;

/// The ids of a request: the same when it is run again.
struct Ids {
    at: Timestamp,
    texts: [String; 2],
}

impl Ids {
    fn of(request: &Request, now: Timestamp) -> Result<Self, Problem> {
        let customer = request.caller()?.customer_id.clone();
        Ok(match request.idempotency() {
            Some(idempotency) => Ids {
                at: idempotency.since,
                texts: [customer, idempotency.key.to_string()],
            },
            // As good as random.
            None => Ids {
                at: now,
                texts: [customer, id::new("one")],
            },
        })
    }

    fn id(&self, index: usize) -> String {
        let [customer, key] = &self.texts;
        let order = u16::try_from(index).unwrap_or(u16::MAX);
        let texts: [&str; 3] = [customer, key, &index.to_string()];
        id::derived("ntf", self.at, order, &texts)
    }
}

/// Drafts, with each template looked up once.
struct Maker {
    ids: Ids,
    templates: BTreeMap<String, Option<Template>>,
}

impl Maker {
    fn draft(&mut self, index: usize, fields: Fields) -> Result<Draft, Problem> {
        let new = New::read(fields)?;
        let template = match new.template() {
            None => None,
            Some(name) => Some(self.template(name)?.ok_or_else(unknown_template)?),
        };
        let (id, at) = (self.ids.id(index), self.ids.at);
        Ok(new.drafted(id, at, template.as_ref()))
    }

    fn template(&mut self, name: &str) -> Result<Option<Template>, Problem> {
        if let Some(known) = self.templates.get(name) {
            return Ok(known.clone());
        }
        let found = templates::find(name)?;
        self.templates.insert(name.into(), found.clone());
        Ok(found)
    }
}

fn unknown_template() -> Problem {
    let detail = "this template does not exist; create it with PUT first";
    Problem::new(422, "unknown-template", "Unknown template").detail(detail)
}

/// `POST /`.
pub fn create(request: &Request) -> Answer {
    request.query()?.finish()?;
    let now = Timestamp::now();
    let mut maker = Maker {
        ids: Ids::of(request, now)?,
        templates: BTreeMap::new(),
    };
    let body = request.json()?;
    let is_many = body
        .as_object()
        .is_some_and(|members| members.contains_key("notifications"));
    match is_many {
        true => many(request, &mut maker, body, now),
        false => one(request, maker.draft(0, Fields::of(body)?)?, now),
    }
}

fn one(request: &Request, draft: Draft, now: Timestamp) -> Answer {
    let mut deliveries = deliver::deliver(vec![draft], now);
    let delivery = deliveries.pop().ok_or_else(Problem::internal)??;
    match delivery.outcome {
        Outcome::Created => {
            let mut location = ["/", &delivery.draft.id].concat();
            if let Some(recipient) = delivery.draft.inbox.recipient() {
                let recipient = hearth_plugin::percent::encode(recipient);
                location.extend(["?recipient=", &recipient]);
            }
            Response::created(&request.link(&location), &delivery.to_json())
        }
        _ => Response::json(status(&delivery), &Value::Object(outcome_of(&delivery))),
    }
}

fn status(delivery: &Delivery) -> u16 {
    match delivery.outcome {
        Outcome::Created => 201,
        Outcome::Gathered { .. } => 202,
        Outcome::Told | Outcome::Muted => 200,
    }
}

fn outcome_of(delivery: &Delivery) -> Map<String, Value> {
    let draft = &delivery.draft;
    let id = match delivery.outcome {
        Outcome::Created | Outcome::Told => Some(&draft.id),
        Outcome::Gathered { .. } | Outcome::Muted => None,
    };
    let digest = match delivery.outcome {
        Outcome::Gathered { due_at } => {
            json!({"key": some(&draft.digest_key), "due_at": due_at})
        }
        _ => Value::Null,
    };
    let mut members = Map::new();
    members.insert("outcome".into(), delivery.outcome.name().into());
    members.insert("id".into(), json!(id));
    members.insert("digest".into(), digest);
    members
}

fn many(request: &Request, maker: &mut Maker, body: Value, now: Timestamp) -> Answer {
    let mut fields = Fields::of(body)?;
    let items = fields.list("notifications").count(1..=MANY_MAX).required();
    fields.finish()?;
    let mut drafts = Vec::new();
    let mut place = |(index, item)| {
        let fields = Fields::at(format!("/notifications/{index}"), item)?;
        drafts.push(maker.draft(index, fields)?);
        Ok(())
    };
    let places: Vec<Result<(), Problem>> = items.into_iter().enumerate().map(&mut place).collect();
    let mut delivered = deliver::deliver(drafts, now).into_iter();
    let results = places.into_iter().map(|place| {
        place.and_then(|()| delivered.next().unwrap_or_else(|| Err(Problem::internal())))
    });
    answer(request, results.collect())
}

fn answer(request: &Request, results: Vec<Result<Delivery, Problem>>) -> Answer {
    let failed = results.iter().filter(|result| result.is_err()).count();
    // With a key the whole may be sent again as it is, and what is there stays as it is;
    // a 207 would be kept, and said again.
    let is_again = request.idempotency().is_some() || failed == results.len();
    if let Some(Err(problem)) = results.iter().find(|result| is_passing(result))
        && is_again
    {
        return Err(problem.clone());
    }
    let succeeded = results.len() - failed;
    let results = results.iter().enumerate();
    let results: Vec<Value> = results
        .map(|(index, result)| result_of(request, index, result))
        .collect();
    let body = json!({"results": results, "succeeded": succeeded, "failed": failed});
    let response = Response::json(207, &body)?;
    Ok(match succeeded {
        0 => response.without_effect(),
        _ => response,
    })
}

fn is_passing(result: &Result<Delivery, Problem>) -> bool {
    matches!(result, Err(problem) if problem.status() >= 500)
}

fn result_of(request: &Request, index: usize, result: &Result<Delivery, Problem>) -> Value {
    match result {
        Ok(delivery) => {
            let mut shown = outcome_of(delivery);
            shown.insert("index".into(), index.into());
            shown.insert("status".into(), status(delivery).into());
            Value::Object(shown)
        }
        Err(problem) => {
            json!({"index": index, "status": problem.status(), "problem": problem.to_json(request)})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(at: i64, key: &str) -> Ids {
        Ids {
            at: Timestamp::from_micros(at),
            texts: ["acme".into(), key.into()],
        }
    }

    #[test]
    fn ids_of_a_request_are_its_own_in_its_order_and_the_same_again() {
        let first: Vec<String> = (0..1_000).map(|index| ids(1_000, "a").id(index)).collect();
        let again: Vec<String> = (0..1_000).map(|index| ids(1_000, "a").id(index)).collect();
        assert_eq!(first, again);
        assert!(first.is_sorted());
        let mut all = first;
        all.extend((0..1_000).map(|index| ids(1_000, "b").id(index)));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 2_000);
    }
}
