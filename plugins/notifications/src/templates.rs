//! Templates: what notifications say, with places for data. One with the name of a type
//! of event makes the notifications of these events; for the types of Hearth's own
//! plugins there are built-in ones.

use std::time::Duration;

use hearth_plugin::cache;
use hearth_plugin::documents::{self, Key};
use hearth_plugin::prelude::*;
use hearth_plugin::router::PathParameter;
use serde::{Deserialize, Serialize};

use crate::document;
use crate::draft::{self, BODY_MAX, ContentFields, DIGEST_KEY_MAX, TITLE_MAX};
use crate::link;
use crate::render;

const PARTITION: &str = "templates";
/// What the host keeps of them, under this tag.
const TAG: &str = "templates";
const KEPT: Duration = Duration::from_secs(60);
/// Characters of a name at most, as of a type of event.
const NAME_MAX: usize = 128;

/// The name of a template: words with dots between them.
#[derive(Clone, Debug)]
pub struct TemplateId(pub String);

impl TemplateId {
    pub const WRONG: &str =
        "this must be 1 to 128 letters, digits, - and _, with dots between them";

    pub fn read(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(plain);
        let is_name = text.len() <= NAME_MAX && text.split('.').all(is_word);
        is_name.then(|| TemplateId(text.to_string()))
    }
}

impl PathParameter for TemplateId {
    fn from_segment(text: &str) -> Option<Self> {
        TemplateId::read(text)
    }
}

/// A template as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    pub id: String,
    pub title: String,
    #[serde(default)]
    pub body: Option<String>,
    #[serde(default)]
    pub action_url: Option<String>,
    #[serde(default)]
    pub category: Option<String>,
    #[serde(default)]
    pub critical: bool,
    #[serde(default)]
    pub digest_key: Option<String>,
    /// In microseconds since 1970; `None` where it is built in, or not yet stored.
    #[serde(default)]
    pub updated_at: Option<i64>,
}

impl Template {
    pub fn read(id: &str, mut fields: Fields) -> Result<Self, Problem> {
        let title = fields.text("title").length(1..=TITLE_MAX).required();
        let given = ContentFields::read(&mut fields);
        for (name, text) in [
            ("title", Some(&title)),
            ("body", given.body.as_ref()),
            ("action_url", given.action_url.as_ref()),
            ("digest_key", given.digest_key.as_ref()),
        ] {
            if let Some(mistake) = text.and_then(|text| render::mistake(text)) {
                fields.refuse(name, "not_allowed", mistake);
            }
        }
        fields.finish()?;
        Ok(Template {
            id: id.into(),
            title,
            body: given.body,
            action_url: given.action_url,
            category: given.category,
            critical: given.critical.unwrap_or_default(),
            digest_key: given.digest_key,
            updated_at: None,
        })
    }

    /// What it makes of data. What gets too long is cut; what no longer leads anywhere is
    /// left out.
    pub fn fill(&self, data: &Value) -> ContentFields {
        let filled = |text: &Option<String>, chars_max| {
            let text = render::render(text.as_deref()?, data).replace('\0', "");
            Some(render::cut(text, chars_max)).filter(|text| !text.is_empty())
        };
        let url = self.action_url.as_deref();
        let url = url.map(|text| render::render_url(text, data));
        let url = url.filter(|url| link::is_link(url) && url.chars().count() <= link::LENGTH_MAX);
        let title = render::render(&self.title, data).replace('\0', "");
        ContentFields {
            title: Some(draft::title(title, &self.id)),
            body: filled(&self.body, BODY_MAX),
            action_url: url,
            category: self.category.clone(),
            critical: Some(self.critical),
            digest_key: filled(&self.digest_key, DIGEST_KEY_MAX),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "title": self.title,
            "body": self.body,
            "action_url": self.action_url,
            "category": self.category,
            "critical": self.critical,
            "digest_key": self.digest_key,
            "built_in": self.updated_at.is_none(),
            "updated_at": self.updated_at.map(Timestamp::from_micros),
        })
    }
}

/// Of each type of event that Hearth's own plugins tell: title, body, category, and the
/// key of its digest.
const BUILT_IN: [(&str, &str, &str, &str, &str); 11] = [
    (
        "ticket.created",
        "New ticket: {{ticket.subject}}",
        "{{ticket.description}}",
        "ticket",
        "{{ticket.id}}",
    ),
    (
        "ticket.updated",
        "Ticket changed: {{ticket.subject}}",
        "",
        "ticket",
        "{{ticket.id}}",
    ),
    (
        "ticket.commented",
        "New comment: {{ticket.subject}}",
        "{{comment.body}}",
        "ticket",
        "{{ticket.id}}",
    ),
    (
        "ticket.solved",
        "Ticket solved: {{ticket.subject}}",
        "",
        "ticket",
        "{{ticket.id}}",
    ),
    (
        "ticket.redacted",
        "Ticket redacted: {{ticket.subject}}",
        "",
        "ticket",
        "{{ticket.id}}",
    ),
    (
        "ticket.deleted",
        "Ticket deleted",
        "{{ticket.id}} was deleted permanently.",
        "ticket",
        "{{ticket.id}}",
    ),
    (
        "ticket.sla_warning",
        "Ticket is due soon: {{ticket.subject}}",
        "{{sla.clock}} is due at {{sla.due_at}}.",
        "ticket",
        "{{ticket.id}}",
    ),
    (
        "ticket.sla_breached",
        "Ticket is overdue: {{ticket.subject}}",
        "{{sla.clock}} was due at {{sla.due_at}}.",
        "ticket",
        "{{ticket.id}}",
    ),
    (
        "budget.actual_exceeded",
        "Budget {{name}}: {{threshold}} % is spent",
        "{{amount}} of {{budget_amount}} {{currency}} from {{period_start}} on.",
        "budget",
        "{{budget_id}}",
    ),
    (
        "budget.forecast_exceeded",
        "Budget {{name}}: {{threshold}} % will be spent",
        "{{amount}} of {{budget_amount}} {{currency}} are forecast from {{period_start}} on.",
        "budget",
        "{{budget_id}}",
    ),
    (
        "endpoint.disabled",
        "Webhooks stopped: {{url}}",
        "The endpoint was disabled: {{reason}}.",
        "endpoint",
        "{{endpoint_id}}",
    ),
];

fn built_in(id: &str) -> Option<Template> {
    let mut all = BUILT_IN.iter();
    let (id, title, body, category, digest_key) = all.find(|(own, ..)| *own == id)?;
    Some(Template {
        id: (*id).into(),
        title: (*title).into(),
        body: Some(*body).filter(|body| !body.is_empty()).map(Into::into),
        action_url: None,
        category: Some((*category).into()),
        critical: false,
        digest_key: Some((*digest_key).into()),
        updated_at: None,
    })
}

fn key(id: &str) -> Key {
    Key {
        partition: PARTITION.into(),
        sort: id.into(),
    }
}

/// The template of that name, as the host remembers it for a minute.
pub fn find(id: &str) -> Result<Option<Template>, documents::Error> {
    let options = cache::Options::for_(KEPT).tag(TAG);
    let text = cache::get_or_compute(&["templates/", id].concat(), &options, || {
        document::stored(&key(id)).map(|value| value.to_string().into_bytes())
    })?;
    let own = serde_json::from_slice::<Option<Template>>(&text);
    Ok(own.ok().flatten().or_else(|| built_in(id)))
}

/// `GET /templates/{id}`.
pub fn show(request: &Request, TemplateId(id): TemplateId) -> Answer {
    request.query()?.finish()?;
    respond(document::stored(&key(&id))?, &id)
}

/// The customer's own, if there is one, else the built-in one of that name.
fn respond(stored: Value, id: &str) -> Answer {
    let own = serde_json::from_value::<Option<Template>>(stored);
    let template = own.ok().flatten().or_else(|| built_in(id));
    Response::json(200, &template.ok_or_else(Problem::not_found)?.to_json())
}

/// `PUT /templates/{id}`. Every host goes by it within a second.
pub fn replace(request: &Request, TemplateId(id): TemplateId) -> Answer {
    request.query()?.finish()?;
    let mut template = Template::read(&id, request.fields()?)?;
    let at = document::replace(request, &key(&id), &template, |stored| respond(stored, &id))?;
    template.updated_at = Some(at);
    cache::invalidate_tag(TAG);
    Response::json(200, &template.to_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<Template, Problem> {
        Template::read("t", Fields::of(body).unwrap())
    }

    #[test]
    fn name_is_words_with_dots_between_them() {
        let long = "x".repeat(129);
        for name in ["a", "ticket.created", "A_b-1.c"] {
            assert!(TemplateId::read(name).is_some(), "{name}");
        }
        for name in ["", ".", "a.", "a..b", "a b", "a/b", &long] {
            assert!(TemplateId::read(name).is_none(), "{name}");
        }
    }

    #[test]
    fn built_in_ones_are_as_one_s_own_have_to_be() {
        for (id, ..) in BUILT_IN {
            let template = built_in(id).unwrap();
            let mut body = template.to_json();
            for name in ["id", "built_in", "updated_at"] {
                body.as_object_mut().unwrap().remove(name);
            }
            assert!(TemplateId::read(id).is_some() && read(body).is_ok(), "{id}");
        }
    }

    #[test]
    fn every_mistake_is_named_once() {
        for (body, count) in [
            (json!({}), 1),
            (json!({"title": ""}), 1),
            (
                json!({"title": "{{a", "body": "{{}}", "digest_key": "{{a b}}", "x": 1}),
                4,
            ),
            (json!({"title": "t", "action_url": "{{url}}"}), 1),
        ] {
            let problem = read(body).unwrap_err();
            assert_eq!(problem.field_errors().len(), count, "{problem:?}");
        }
    }

    #[test]
    fn whatever_the_data_a_title_is_there_and_a_url_is_whole() {
        let body = json!({"title": "{{a}}", "body": "{{a}}", "action_url": "/{{b}}",
            "digest_key": "{{a}}"});
        let template = read(body).unwrap();
        let empty = template.fill(&json!({}));
        assert_eq!(empty.title.as_deref(), Some("t"));
        assert_eq!((empty.body, empty.digest_key), (None, None));
        assert_eq!(empty.action_url.as_deref(), Some("/"));
        let long = "x".repeat(5_000);
        let filled = template.fill(&json!({"a": long, "b": long}));
        let length = |text: Option<String>| text.map(|text| text.chars().count());
        assert_eq!(length(filled.title), Some(255));
        assert_eq!(length(filled.body), Some(BODY_MAX));
        assert_eq!(length(filled.digest_key), Some(DIGEST_KEY_MAX));
        assert_eq!(filled.action_url, None);
    }
}
