//! A message as it is written into `hearth.messages`.

use std::time::SystemTime;

use postgres_types::ToSql;
use uuid::Uuid;

use crate::queue::{Outgoing, attributes_text, customer_text, id_text};

/// Sends one message within the caller's transaction, and answers the id of the
/// message or of the one that it repeats. Its parameters are [`Entry::params`].
pub const ENQUEUE: &str = "SELECT hearth.enqueue($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

/// Sends messages without deduplication ids, within the caller's transaction. Its
/// parameters are [`Columns::stamped`].
pub const ENQUEUE_MANY: &str =
    "SELECT hearth.enqueue_many($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// A message with the ids that it will have.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(crate) id: Uuid,
    /// The id of the message, which is another where the message comes here again.
    pub(crate) known_as: Uuid,
    pub(crate) message: Outgoing,
    pub(crate) attributes: String,
    /// Deliveries that counted before it came here.
    pub(crate) attempts: i32,
    /// When it was sent, if not now.
    pub(crate) sent_at: Option<SystemTime>,
}

/// The right to call `hearth.enqueue`, and by how much the clock is put forward.
#[derive(Clone)]
pub struct Stamp {
    pub(super) key: Vec<u8>,
    pub(super) offset_ms: i64,
}

impl Entry {
    pub(crate) fn new(message: Outgoing) -> Entry {
        let id = Uuid::now_v7();
        Entry {
            id,
            known_as: id,
            attributes: attributes_text(&message.attributes, message.traceparent.as_deref()),
            message,
            attempts: 0,
            sent_at: None,
        }
    }

    /// The id by which it is known outside.
    pub fn id(&self) -> String {
        id_text(self.known_as)
    }

    pub fn message(&self) -> &Outgoing {
        &self.message
    }

    /// Of body and attributes.
    pub fn bytes(&self) -> usize {
        self.message.body.len() + self.attributes.len()
    }

    pub(super) fn delay_ms(&self) -> i64 {
        i64::try_from(self.message.delay.as_millis()).unwrap_or(i64::MAX)
    }

    /// What [`ENQUEUE`] is sent with.
    pub fn params(&self, stamp: &Stamp) -> Vec<Box<dyn ToSql + Sync + Send>> {
        let Outgoing {
            queue,
            plugin,
            customer,
            body,
            group,
            deduplication_id,
            ..
        } = &self.message;
        vec![
            Box::new(stamp.key.clone()),
            Box::new(self.id),
            Box::new(queue.to_string()),
            Box::new(plugin.to_string()),
            Box::new(customer_text(customer.as_ref()).to_owned()),
            Box::new(group.clone()),
            Box::new(body.to_vec()),
            Box::new(self.attributes.clone()),
            Box::new(self.delay_ms()),
            Box::new(stamp.offset_ms),
            Box::new(deduplication_id.clone()),
        ]
    }
}

/// The messages of one statement, column by column.
pub struct Columns<'e> {
    ids: Vec<Uuid>,
    messages: Vec<Uuid>,
    queues: Vec<&'e str>,
    plugins: Vec<&'e str>,
    customers: Vec<&'e str>,
    groups: Vec<Option<&'e str>>,
    bodies: Vec<&'e [u8]>,
    attributes: Vec<&'e str>,
    attempts: Vec<i32>,
    sent_at: Vec<Option<SystemTime>>,
    delays_ms: Vec<i64>,
}

impl<'e> Columns<'e> {
    pub fn of(entries: impl Iterator<Item = &'e Entry> + Clone) -> Columns<'e> {
        let messages = || entries.clone().map(|entry| &entry.message);
        Columns {
            ids: entries.clone().map(|entry| entry.id).collect(),
            messages: entries.clone().map(|entry| entry.known_as).collect(),
            queues: messages().map(|message| &*message.queue).collect(),
            plugins: messages().map(|message| &*message.plugin).collect(),
            customers: messages()
                .map(|message| customer_text(message.customer.as_ref()))
                .collect(),
            groups: messages().map(|message| message.group.as_deref()).collect(),
            bodies: messages().map(|message| &*message.body).collect(),
            attributes: entries.clone().map(|entry| &*entry.attributes).collect(),
            attempts: entries.clone().map(|entry| entry.attempts).collect(),
            sent_at: entries.clone().map(|entry| entry.sent_at).collect(),
            delays_ms: entries.map(Entry::delay_ms).collect(),
        }
    }

    /// What `hearth.add_messages` is called with.
    pub(super) fn params<'p>(&'p self, offset_ms: &'p i64) -> [&'p (dyn ToSql + Sync); 12] {
        [
            &self.ids,
            &self.messages,
            &self.queues,
            &self.plugins,
            &self.customers,
            &self.groups,
            &self.bodies,
            &self.attributes,
            &self.attempts,
            &self.sent_at,
            &self.delays_ms,
            offset_ms,
        ]
    }

    /// What [`ENQUEUE_MANY`] is sent with.
    pub fn stamped<'p>(&'p self, stamp: &'p Stamp) -> [&'p (dyn ToSql + Sync); 10] {
        [
            &stamp.key,
            &self.ids,
            &self.queues,
            &self.plugins,
            &self.customers,
            &self.groups,
            &self.bodies,
            &self.attributes,
            &self.delays_ms,
            &stamp.offset_ms,
        ]
    }
}
