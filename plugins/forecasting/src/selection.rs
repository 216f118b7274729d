//! Which costs a request selects: metric, currency and grouping.

use hearth_plugin::Query;
use hearth_plugin::prelude::*;

/// Which of the four costs of a FOCUS row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// What is invoiced.
    Billed,
    /// With what was paid in advance spread over its use.
    Effective,
    /// Without any discount.
    List,
    /// With negotiated discounts alone.
    Contracted,
}

impl Metric {
    pub const ALL: [Metric; 4] = [
        Metric::Billed,
        Metric::Effective,
        Metric::List,
        Metric::Contracted,
    ];

    /// The column's name in FOCUS, which is its name in the API and in statements.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Billed => "BilledCost",
            Metric::Effective => "EffectiveCost",
            Metric::List => "ListCost",
            Metric::Contracted => "ContractedCost",
        }
    }

    /// Reads the name, or the same as `billed_cost`.
    pub fn parse(text: &str) -> Option<Metric> {
        let plain = |text: &str| text.replace('_', "").to_ascii_lowercase();
        let named = |metric: &Metric| plain(metric.name()) == plain(text);
        Metric::ALL.into_iter().find(named)
    }
}

pub const NO_METRIC: &str =
    "this must be one of BilledCost, EffectiveCost, ListCost, ContractedCost";
pub const NO_CURRENCY: &str = "this must be a code of 3 to 16 capital letters and digits";

/// Whether a text is a currency's code: three letters in ISO 4217; FOCUS allows
/// virtual ones, too.
pub fn is_currency(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    (3..=16).contains(&text.len()) && text.bytes().all(letter)
}

/// By what costs are grouped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    Service,
    Account,
    Provider,
    Region,
    ChargeCategory,
    Tag(String),
}

impl GroupBy {
    const TAG_KEY_CHARACTERS_MAX: usize = 128;

    /// Those that are columns of their own.
    const COLUMNS: [GroupBy; 5] = [
        GroupBy::Service,
        GroupBy::Account,
        GroupBy::Provider,
        GroupBy::Region,
        GroupBy::ChargeCategory,
    ];

    /// Reads the name of a column, or `tag:KEY`.
    pub fn parse(text: &str) -> Option<GroupBy> {
        let is_key = |key: &str| (1..=Self::TAG_KEY_CHARACTERS_MAX).contains(&key.chars().count());
        match text.strip_prefix("tag:") {
            Some(key) => is_key(key).then(|| GroupBy::Tag(key.into())),
            None => Self::COLUMNS.into_iter().find(|own| own.parts().0 == text),
        }
    }

    /// Its kind, and the key of a tag.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            GroupBy::Service => ("service", ""),
            GroupBy::Account => ("account", ""),
            GroupBy::Provider => ("provider", ""),
            GroupBy::Region => ("region", ""),
            GroupBy::ChargeCategory => ("charge_category", ""),
            GroupBy::Tag(key) => ("tag", key),
        }
    }

    pub fn name(&self) -> String {
        match self {
            GroupBy::Tag(key) => ["tag:", key].concat(),
            other => other.parts().0.into(),
        }
    }
}

/// What the query says of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// `None` where none is named.
    pub metric: Option<Metric>,
    pub currency: Option<String>,
    pub group_by: Option<GroupBy>,
}

impl Selection {
    pub fn read(query: &mut Query) -> Selection {
        let metric = query.text("metric");
        let metric = metric.convert("not_allowed", NO_METRIC, |text| Metric::parse(&text));
        let metric = metric.optional();
        let currency = query.text("currency");
        let currency = currency.check("not_allowed", NO_CURRENCY, |text| is_currency(text));
        let currency = currency.optional();
        let wrong = "this must be service, account, provider, region, charge_category or tag:KEY";
        let group_by = query.text("group_by");
        let group_by = group_by.convert("not_allowed", wrong, |text| GroupBy::parse(&text));
        Selection {
            metric,
            currency,
            group_by: group_by.optional(),
        }
    }

    /// Its part of a cache key.
    pub fn key(&self) -> String {
        let group_by = self.group_by.as_ref().map(GroupBy::name);
        let metric = self.metric.map(Metric::name);
        json!([metric, self.currency, group_by]).to_string()
    }
}
