//! Pages of a partition, and how many items there are.

use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::types::{AttributeValue, Select};

use super::item::{self, Attributes, EXPIRES};
use super::range::{SortKeyCondition, cursor};
use super::{Error, Item, Page, Table};
use hearth_backend::dynamodb::writer::Key;
use hearth_backend::dynamodb::{PARTITION, SORT, failure};

/// What a request after the first looks at, at most: the first one found much that
/// has expired.
const LATER_ITEMS_MAX: i32 = 1_000;

/// What is asked, of the partition that the plugin names so.
pub(super) struct Query<'a> {
    pub(super) table: &'a Table,
    pub(super) partition: &'a str,
    /// The same with plugin and customer.
    pub(super) stamped: &'a str,
    pub(super) wanted: SortKeyCondition,
    pub(super) descending: bool,
    pub(super) now_ms: u64,
    /// The names of the attributes that are wanted, as they are in the table; all
    /// attributes without.
    pub(super) projection: Option<Vec<String>>,
}

impl Query<'_> {
    /// At most `limit` items behind `after`. One more is asked for, so that the last
    /// page is known to be the last.
    pub(super) async fn page(&self, limit: u32, after: Option<String>) -> Result<Page, Error> {
        let config = &self.table.config;
        let mut filling = Filling::new(limit, config.query_bytes_max);
        let mut after = after;
        let mut looked_at = i32::try_from(limit).unwrap_or(i32::MAX).saturating_add(1);
        for _ in 0..config.query_requests_max {
            let answer = self.ask(after.as_deref(), looked_at, None).await?;
            after = last(&answer).map(str::to_owned);
            looked_at = later_items(&answer, looked_at);
            for attributes in answer.items() {
                if let Some(item) = item::shown(self.partition, attributes, self.now_ms)
                    && !filling.takes(item)
                {
                    return Ok(filling.page_that_goes_on());
                }
            }
            if after.is_none() {
                return Ok(filling.last_page());
            }
        }
        Ok(Page {
            cursor: after.as_deref().map(cursor),
            ..filling.last_page()
        })
    }

    /// How many there are, up to `limit`.
    pub(super) async fn count(&self, limit: u32) -> Result<u32, Error> {
        let (mut counted, mut after) = (0u32, None);
        let mut looked_at = i32::try_from(limit).unwrap_or(i32::MAX);
        while counted < limit {
            let answer = self.ask(after.as_deref(), looked_at, Some(Select::Count));
            let answer = answer.await?;
            counted = counted.saturating_add(u32::try_from(answer.count).unwrap_or_default());
            after = last(&answer).map(str::to_owned);
            if after.is_none() {
                break;
            }
            looked_at = later_items(&answer, looked_at);
        }
        Ok(counted.min(limit))
    }

    async fn ask(
        &self,
        after: Option<&str>,
        looked_at: i32,
        select: Option<Select>,
    ) -> Result<QueryOutput, Error> {
        let after = after.map(|sort| {
            item::key_attributes(&Key {
                partition: self.stamped.into(),
                sort: sort.into(),
            })
        });
        let asked = self
            .table
            .dynamo
            .client()
            .query()
            .table_name(self.table.dynamo.documents_table())
            .consistent_read(self.table.config.consistent_reads)
            .key_condition_expression(format!("#pk = :pk{}", self.wanted.condition()))
            .filter_expression("attribute_not_exists(#expires) OR #expires > :now")
            .set_expression_attribute_names(Some(self.names()))
            .set_expression_attribute_values(Some(self.values()))
            .set_projection_expression(self.projection_expression())
            .scan_index_forward(!self.descending)
            .set_exclusive_start_key(after)
            .set_select(select)
            .limit(looked_at.max(1));
        asked.send().await.map_err(|error| failure(&error).into())
    }

    fn names(&self) -> std::collections::HashMap<String, String> {
        let is_sorted = self.wanted != SortKeyCondition::All || self.projection.is_some();
        let sort = is_sorted.then_some(("#sk", SORT));
        let names = [("#pk", PARTITION), ("#expires", EXPIRES)];
        let names = names.into_iter().chain(sort);
        let names = names.map(|(short, name)| (short.to_owned(), name.to_owned()));
        let projected = self.projection.iter().flatten().enumerate();
        names
            .chain(projected.map(|(n, name)| (format!("#a{n}"), name.clone())))
            .collect()
    }

    /// The sort key and the expiry belong to every item.
    fn projection_expression(&self) -> Option<String> {
        let wanted = self.projection.as_ref()?;
        let wanted = (0..wanted.len()).map(|n| format!(", #a{n}"));
        Some(format!("#sk, #expires{}", wanted.collect::<String>()))
    }

    fn values(&self) -> Attributes {
        let ends = [":a", ":b"].into_iter().zip(self.wanted.texts());
        let ends = ends.map(|(short, end)| (short, item::text(end)));
        let values = [
            (":pk", item::text(self.stamped)),
            (":now", item::number(self.now_ms)),
        ];
        let values = values.into_iter().chain(ends);
        values
            .map(|(short, value): (&str, AttributeValue)| (short.to_owned(), value))
            .collect()
    }
}

/// How many items the next request looks at. One that ended before its number ended at
/// a megabyte; the embedded DynamoDB reads all that it is asked for before it cuts.
fn later_items(answer: &QueryOutput, looked_at: i32) -> i32 {
    match answer.scanned_count {
        scanned if scanned < looked_at => scanned.saturating_mul(2).clamp(1, LATER_ITEMS_MAX),
        _ => LATER_ITEMS_MAX,
    }
}

/// Where DynamoDB stopped, if there may be more.
fn last(answer: &QueryOutput) -> Option<&str> {
    item::sort(answer.last_evaluated_key()?)
}

/// A page that is being filled.
struct Filling {
    items: Vec<Item>,
    items_max: usize,
    bytes: usize,
    bytes_max: usize,
}

impl Filling {
    fn new(limit: u32, bytes_max: usize) -> Filling {
        Filling {
            items: Vec::new(),
            items_max: usize::try_from(limit).unwrap_or(usize::MAX),
            bytes: 0,
            bytes_max,
        }
    }

    /// Whether there was room for it.
    fn takes(&mut self, item: Item) -> bool {
        let bytes = self.bytes.saturating_add(item.attributes.len());
        let is_full = self.items.len() >= self.items_max;
        if is_full || (bytes > self.bytes_max && !self.items.is_empty()) {
            return false;
        }
        self.bytes = bytes;
        self.items.push(item);
        true
    }

    fn page_that_goes_on(self) -> Page {
        Page {
            cursor: self.items.last().map(|item| cursor(&item.sort)),
            items: self.items,
        }
    }

    fn last_page(self) -> Page {
        Page {
            items: self.items,
            cursor: None,
        }
    }
}
