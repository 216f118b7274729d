//! A notification before preferences decide how it is delivered.

use hearth_plugin::prelude::*;

use crate::category;
use crate::inbox::Inbox;
use crate::link;
use crate::message::{Content, Event, Message};
use crate::render;
use crate::templates::{Template, TemplateId};

/// Characters of a title at most.
pub const TITLE_MAX: usize = 255;
/// Characters of a body at most.
pub const BODY_MAX: usize = 4_000;
/// Characters of the key of a digest at most.
pub const DIGEST_KEY_MAX: usize = 128;
/// Bytes of data at most, as JSON text: what an event of another plugin may have. With
/// the texts above an event of a stream stays below its 64 KiB.
const DATA_BYTES_MAX: usize = 20_000;

/// A notification with its id, as it would be stored.
#[derive(Clone, Debug)]
pub struct Draft {
    pub id: String,
    /// The time in its id.
    pub at: Timestamp,
    pub inbox: Inbox,
    /// Empty where all of the category go together.
    pub digest_key: String,
    pub message: Message,
}

impl Draft {
    pub fn category(&self) -> &str {
        &self.message.category
    }

    pub fn is_critical(&self) -> bool {
        self.message.message.critical
    }
}

/// The fields that a notification and a template have in common.
#[derive(Clone, Debug, Default)]
pub struct ContentFields {
    pub title: Option<String>,
    pub body: Option<String>,
    pub action_url: Option<String>,
    pub category: Option<String>,
    pub critical: Option<bool>,
    pub digest_key: Option<String>,
}

impl ContentFields {
    /// All but the title, which only some may leave out.
    pub fn read(fields: &mut Fields) -> Self {
        let url = fields.text("action_url").length(1..=link::LENGTH_MAX);
        let action_url = url.check("not_allowed", link::WRONG, |url| link::is_link(url));
        let action_url = action_url.optional();
        ContentFields {
            action_url,
            title: None,
            category: category::checked(fields.text("category")),
            body: fields.text("body").length(1..=BODY_MAX).optional(),
            critical: fields.boolean("critical").optional(),
            digest_key: fields
                .text("digest_key")
                .length(1..=DIGEST_KEY_MAX)
                .optional(),
        }
    }

    /// The message and the key of its digest, with the data in the places of the
    /// template for what is not given.
    fn filled(self, template: Option<&Template>, data: &Value) -> (Message, String) {
        let made = template.map(|template| template.fill(data));
        let made = made.unwrap_or_default();
        let content = Content {
            title: self.title.or(made.title).unwrap_or_default(),
            body: self.body.or(made.body),
            action_url: self.action_url.or(made.action_url),
            critical: self.critical.or(made.critical).unwrap_or_default(),
            ..Content::default()
        };
        let category = self.category.or(made.category);
        let message = Message {
            category: category.unwrap_or_else(|| category::DEFAULT.into()),
            message: content,
        };
        (
            message,
            self.digest_key.or(made.digest_key).unwrap_or_default(),
        )
    }
}

/// What a client wants.
pub struct New {
    inbox: Inbox,
    given: ContentFields,
    template: Option<String>,
    data: Option<Map<String, Value>>,
}

impl New {
    pub fn read(mut fields: Fields) -> Result<Self, Problem> {
        let inbox = Inbox::field(&mut fields);
        let mut given = ContentFields::read(&mut fields);
        let template = fields.text("template").optional();
        if template
            .as_deref()
            .is_some_and(|name| TemplateId::read(name).is_none())
        {
            fields.refuse("template", "not_allowed", TemplateId::WRONG);
        }
        let data = fields.object("data");
        let data = data.check("too_long", "this must have at most 20000 bytes", |data| {
            json!(data).to_string().len() <= DATA_BYTES_MAX
        });
        let data = data.optional();
        let title = fields.text("title").length(1..=TITLE_MAX);
        given.title = match template {
            Some(_) => title.optional(),
            None => Some(title.required()),
        };
        fields.finish()?;
        Ok(New {
            inbox,
            given,
            template,
            data,
        })
    }

    pub fn template(&self) -> Option<&str> {
        self.template.as_deref()
    }

    /// The draft with this id.
    pub fn drafted(self, id: String, at: Timestamp, template: Option<&Template>) -> Draft {
        let data = self.data.map(Value::Object);
        let (mut message, digest_key) = self
            .given
            .filled(template, data.as_ref().unwrap_or(&Value::Null));
        message.message.created_at = at.micros();
        message.message.template = self.template;
        message.message.data = data.map(|data| data.to_string());
        Draft {
            id,
            at,
            inbox: self.inbox,
            digest_key,
            message,
        }
    }
}

/// The draft for an event of another plugin, with the template for its type, if there
/// is one.
pub fn of_event(
    id: String,
    at: Timestamp,
    event: Event,
    template: Option<&Template>,
    data: &Value,
) -> Draft {
    let given = ContentFields {
        title: template.is_none().then(|| event.r#type.clone()),
        category: template
            .is_none_or(|template| template.category.is_none())
            .then(|| category::of_event(&event.r#type)),
        ..ContentFields::default()
    };
    let (mut message, digest_key) = given.filled(template, data);
    let text = data.is_object().then(|| data.to_string());
    message.message.data = text.filter(|text| text.len() <= DATA_BYTES_MAX);
    message.message.created_at = at.micros();
    message.message.template = template.map(|template| template.id.clone());
    message.message.event = Some(event);
    Draft {
        id,
        at,
        inbox: Inbox::default(),
        digest_key,
        message,
    }
}

/// A title that is a title whatever was put into its places.
pub fn title(text: String, otherwise: &str) -> String {
    let text = match text.trim().is_empty() {
        true => otherwise.to_string(),
        false => text,
    };
    render::cut(text, TITLE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Timestamp {
        Timestamp::from_micros(7)
    }

    fn new(body: Value) -> Result<New, Problem> {
        New::read(Fields::of(body).unwrap())
    }

    fn template(body: Value) -> Template {
        let fields = Fields::of(body).unwrap();
        Template::read("ticket.created", fields).unwrap()
    }

    #[test]
    fn what_is_given_goes_before_what_the_template_makes() {
        let template = template(
            json!({"title": "New: {{a}}", "body": "{{b}}", "category": "x",
            "critical": true, "digest_key": "k{{a}}"}),
        );
        let body =
            json!({"template": "t", "body": "own", "critical": false, "data": {"a": 1, "b": 2}});
        let draft = new(body).unwrap();
        let draft = draft.drafted("ntf_1".into(), at(), Some(&template));
        let content = &draft.message.message;
        assert_eq!(content.title, "New: 1");
        assert_eq!(content.body.as_deref(), Some("own"));
        assert_eq!((draft.category(), draft.is_critical()), ("x", false));
        assert_eq!(draft.digest_key, "k1");
        assert_eq!(content.data.as_deref(), Some(r#"{"a":1,"b":2}"#));
    }

    #[test]
    fn mistakes_are_named_by_their_fields() {
        for (body, pointer) in [
            (json!({}), "/title"),
            (json!({"title": ""}), "/title"),
            (
                json!({"title": "t", "action_url": "javascript:alert(1)"}),
                "/action_url",
            ),
            (json!({"title": "t", "category": "A"}), "/category"),
            (json!({"title": "t", "recipient": "a b"}), "/recipient"),
            (json!({"template": "a/b"}), "/template"),
            (
                json!({"title": "t", "data": {"a": "x".repeat(20_000)}}),
                "/data",
            ),
            (json!({"title": "t", "more": 1}), "/more"),
        ] {
            let problem = new(body).err().unwrap();
            let [error] = problem.field_errors() else {
                panic!("{problem:?}");
            };
            assert_eq!(
                format!("{:?}", error.location),
                format!("Pointer({pointer:?})")
            );
        }
    }

    #[test]
    fn event_without_a_template_is_told_by_its_type() {
        let event = Event {
            id: "evt_1".into(),
            r#type: "invoice.paid".into(),
        };
        let data = json!({"text": "x".repeat(20_000)});
        let draft = of_event("ntf_1".into(), at(), event, None, &data);
        assert_eq!(draft.message.message.title, "invoice.paid");
        assert_eq!(draft.category(), "invoice");
        assert_eq!(draft.message.message.data, None, "it is too long");
        assert_eq!(draft.message.message.template, None);
    }
}
