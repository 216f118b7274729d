//! The interface's functions, on what a call borrows.

use std::sync::Arc;

use tokio::time::timeout_at;

use super::query::Query;
use super::range::SortKeyCondition;
use super::update::Update;
use super::{
    Change, Condition, Config, Error, GuestError, Host, Item, Key, Page, Range, Table, View,
    convert_error, item, json, many,
};
use crate::capability::GuestResult;
use hearth_backend::dynamodb::failure;
use hearth_backend::dynamodb::writer::{Owner, Write};
use hearth_base::telemetry::{Span, SpanKind};

impl Host for View<'_> {
    async fn get(&mut self, key: Key) -> GuestResult<Option<Item>, GuestError> {
        self.call.host_call()?;
        Ok(self.bounded("get", self.get_item(key)).await)
    }

    async fn get_many(&mut self, keys: Vec<Key>) -> GuestResult<Vec<Option<Item>>, GuestError> {
        self.call.host_call()?;
        Ok(self.bounded("get-many", self.get_items(keys)).await)
    }

    async fn put(&mut self, item: Item) -> GuestResult<(), GuestError> {
        self.call.host_call()?;
        Ok(self
            .write_one("put", |view, table| {
                item::put(view.call, &table.config, &item)
            })
            .await)
    }

    async fn put_many(
        &mut self,
        items: Vec<Item>,
    ) -> wasmtime::Result<Vec<Result<(), GuestError>>> {
        self.call.host_call()?;
        let put = |table: &Table, item: &Item| item::put(self.call, &table.config, item);
        Ok(self.write_many("put-many", &items, put).await)
    }

    async fn update(
        &mut self,
        key: Key,
        changes: Vec<Change>,
        condition: Condition,
    ) -> GuestResult<Item, GuestError> {
        self.call.host_call()?;
        Ok(self
            .bounded("update", self.update_item(key, changes, condition))
            .await)
    }

    async fn query(
        &mut self,
        partition: String,
        range: Range,
        limit: u32,
        cursor: Option<String>,
        descending: bool,
    ) -> GuestResult<Page, GuestError> {
        self.call.host_call()?;
        let page = self.page(partition, range, limit, cursor, descending, None);
        Ok(self.bounded("query", page).await)
    }

    async fn query_attributes(
        &mut self,
        partition: String,
        range: Range,
        limit: u32,
        cursor: Option<String>,
        descending: bool,
        attributes: Vec<String>,
    ) -> GuestResult<Page, GuestError> {
        self.call.host_call()?;
        let wanted = Some(attributes);
        let page = self.page(partition, range, limit, cursor, descending, wanted);
        Ok(self.bounded("query-attributes", page).await)
    }

    async fn count(
        &mut self,
        partition: String,
        range: Range,
        limit: u32,
    ) -> GuestResult<u32, GuestError> {
        self.call.host_call()?;
        Ok(self
            .bounded("count", self.count_items(partition, range, limit))
            .await)
    }

    async fn delete(&mut self, key: Key) -> GuestResult<(), GuestError> {
        self.call.host_call()?;
        Ok(self
            .write_one("delete", |view, _| item::delete(view.call, &key))
            .await)
    }

    async fn delete_many(
        &mut self,
        keys: Vec<Key>,
    ) -> wasmtime::Result<Vec<Result<(), GuestError>>> {
        self.call.host_call()?;
        let delete = |_: &Table, key: &Key| item::delete(self.call, key);
        Ok(self.write_many("delete-many", &keys, delete).await)
    }
}

impl View<'_> {
    /// A deployment without a table has no grant for one either.
    fn table(&self) -> Result<&Arc<Table>, Error> {
        let table = self.lent.table.as_ref();
        table.ok_or_else(|| unanswered("documents are not configured: this host has no DynamoDB"))
    }

    /// What the guest hears of an error; the operator hears more.
    fn blame(&self, error: Error) -> GuestError {
        self.call.fault("documents", &error);
        convert_error(error)
    }

    fn span(&self, operation: &'static str) -> Span {
        let mut span = self
            .call
            .trace
            .span(format_args!("documents {operation}"), SpanKind::Client);
        span.text("db.system.name", "aws.dynamodb");
        span.text("db.operation.name", operation);
        span
    }

    async fn bounded<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, GuestError> {
        let mut span = self.span(operation);
        let done = timeout_at(self.call.deadline, work).await;
        let done = done.unwrap_or(Err(Error::Deadline));
        note_failure(&mut span, done.as_ref().err());
        done.map_err(|error| self.blame(error))
    }

    async fn get_item(&self, key: Key) -> Result<Option<Item>, Error> {
        let table = self.table()?;
        let stamped = item::key(self.call, &key)?;
        let get = table
            .dynamo
            .client()
            .get_item()
            .table_name(table.dynamo.documents_table())
            .set_key(Some(item::key_attributes(&stamped)))
            .consistent_read(table.config.consistent_reads);
        let got = get.send().await.map_err(|error| failure(&error))?;
        let shown = |attributes| item::shown(&key.partition, &attributes, table.now_ms());
        Ok(got.item.and_then(shown))
    }

    /// As many as fit into an answer.
    async fn get_items(&self, keys: Vec<Key>) -> Result<Vec<Option<Item>>, Error> {
        let table = self.table()?;
        let Config {
            items_max,
            query_bytes_max,
            ..
        } = table.config;
        if keys.len() > items_max {
            return Err(too_many(items_max));
        }
        let stamped: Result<Vec<_>, Error> =
            keys.iter().map(|key| item::key(self.call, key)).collect();
        let (stamped, mut items, mut bytes) = (stamped?, Vec::new(), 0usize);
        let chunks = keys.chunks(many::KEYS_MAX);
        for (keys, stamped) in chunks.zip(stamped.chunks(many::KEYS_MAX)) {
            let found = many::find(table, stamped).await?;
            let now_ms = table.now_ms();
            for (key, stamped) in keys.iter().zip(stamped) {
                let item = found.item(stamped);
                let item = item.and_then(|item| item::shown(&key.partition, item, now_ms));
                bytes += item.as_ref().map_or(0, |item| item.attributes.len());
                let is_full = bytes > query_bytes_max && !items.is_empty();
                if is_full || !found.knows(stamped) {
                    return Ok(items);
                }
                items.push(item);
            }
        }
        Ok(items)
    }

    async fn update_item(
        &self,
        key: Key,
        changes: Vec<Change>,
        condition: Condition,
    ) -> Result<Item, Error> {
        let table = self.table()?;
        let changes_max = table.config.changes_max;
        if changes.len() > changes_max {
            return Err(Error::Invalid(format!(
                "too many changes: an update may have at most {changes_max} (documents.changes_max)"
            )));
        }
        let stamped = item::key(self.call, &key)?;
        let update = Update::new(table, stamped, &changes, &condition, table.now_ms())?;
        let attributes = update.run().await?;
        // What was just changed has not expired, even where it has by now.
        let shown = item::shown(&key.partition, &attributes, 0);
        shown.ok_or_else(|| unanswered("the answer contains no item"))
    }

    async fn page(
        &self,
        partition: String,
        range: Range,
        limit: u32,
        cursor: Option<String>,
        descending: bool,
        attributes: Option<Vec<String>>,
    ) -> Result<Page, Error> {
        let table = self.table()?;
        let projection = attributes.map(|names| projection(table, names));
        let stamped = item::stamp(self.call, &partition)?;
        let empty = Page {
            items: Vec::new(),
            cursor: None,
        };
        let Some(wanted) = SortKeyCondition::of(range)? else {
            return Ok(empty);
        };
        let after = cursor
            .map(|cursor| wanted.read_cursor(&cursor))
            .transpose()?;
        let query = Query {
            table,
            partition: &partition,
            stamped: &stamped,
            wanted,
            descending,
            now_ms: table.now_ms(),
            projection: projection.transpose()?,
        };
        match limit.min(table.config.query_items_max) {
            0 => Err(Error::Invalid(
                "a page must have at least one item".to_owned(),
            )),
            limit => query.page(limit, after).await,
        }
    }

    async fn count_items(&self, partition: String, range: Range, limit: u32) -> Result<u32, Error> {
        let table = self.table()?;
        let stamped = item::stamp(self.call, &partition)?;
        let count_max = table.config.count_max;
        if limit > count_max {
            return Err(Error::Invalid(format!(
                "at most {count_max} items can be counted (documents.count_max)"
            )));
        }
        let Some(wanted) = SortKeyCondition::of(range)? else {
            return Ok(0);
        };
        let query = Query {
            table,
            partition: &partition,
            stamped: &stamped,
            wanted,
            descending: false,
            now_ms: table.now_ms(),
            projection: None,
        };
        query.count(limit).await
    }

    async fn write_one(
        &self,
        operation: &'static str,
        write: impl FnOnce(&Self, &Table) -> Result<Write, Error>,
    ) -> Result<(), GuestError> {
        let mut span = self.span(operation);
        let written = async {
            let table = self.table()?;
            let write = write(self, table)?;
            let mut outcomes = self.write(table, vec![write]).await;
            let outcome = outcomes.pop();
            outcome.unwrap_or_else(|| Err(unanswered("the writer did not answer")))
        };
        let written = written.await;
        note_failure(&mut span, written.as_ref().err());
        written.map_err(|error| self.blame(error))
    }

    /// Each in its own right: what is wrong with one keeps no other from being written.
    async fn write_many<T>(
        &self,
        operation: &'static str,
        all: &[T],
        write: impl Fn(&Table, &T) -> Result<Write, Error>,
    ) -> Vec<Result<(), GuestError>> {
        let refuse = |error: Error| all.iter().map(|_| Err(self.blame(error.clone()))).collect();
        let table = match self.table() {
            Ok(table) => table,
            Err(error) => return refuse(error),
        };
        let items_max = table.config.items_max;
        if all.len() > items_max {
            return refuse(too_many(items_max));
        }
        let mut span = self.span(operation);
        span.number("db.operation.batch.size", all.len());
        let mut outcomes = Vec::with_capacity(all.len());
        let mut writes = Vec::with_capacity(all.len());
        for one in all {
            let write = write(table, one);
            outcomes.push(write.map(|write| writes.push(write)));
        }
        let mut written = self.write(table, writes).await.into_iter();
        let outcome = |outcome: Result<(), Error>| {
            let written = |()| {
                let next = written.next();
                next.unwrap_or_else(|| Err(unanswered("the writer did not answer")))
            };
            outcome.and_then(written)
        };
        let outcomes: Vec<_> = outcomes.into_iter().map(outcome).collect();
        note_failure(
            &mut span,
            outcomes.iter().find_map(|one| one.as_ref().err()),
        );
        let outcomes = outcomes.into_iter();
        outcomes
            .map(|one| one.map_err(|error| self.blame(error)))
            .collect()
    }

    async fn write(&self, table: &Table, writes: Vec<Write>) -> Vec<Result<(), Error>> {
        let owner = Owner {
            plugin: self.call.plugin.clone(),
            customer: self.call.customer.clone(),
        };
        let outcomes = table.writer.write(owner, writes, self.call.deadline).await;
        let outcomes = outcomes.into_iter();
        outcomes
            .map(|outcome| outcome.map_err(Error::from))
            .collect()
    }
}

/// What the item's state did not allow is an answer.
fn note_failure(span: &mut Span, error: Option<&Error>) {
    match error {
        None | Some(Error::ConditionFailed) => {}
        Some(error) => span.fail(error.kind()),
    }
}

fn unanswered(why: &str) -> Error {
    Error::Unavailable(why.to_owned())
}

fn too_many(items_max: usize) -> Error {
    Error::Invalid(format!(
        "too many items: a call may have at most {items_max} (documents.items_max)"
    ))
}

/// The attributes as the table names them, each once: DynamoDB refuses a name that is
/// asked for twice.
fn projection(table: &Table, mut names: Vec<String>) -> Result<Vec<String>, Error> {
    let names_max = table.config.query_attributes_max;
    if names.len() > names_max {
        return Err(Error::Invalid(format!(
            "too many attributes: a query may name at most {names_max} \
             (documents.query_attributes_max)"
        )));
    }
    names.sort_unstable();
    names.dedup();
    names.iter().map(|name| json::marked(name)).collect()
}
