//! A plan as Postgres tells it (EXPLAIN with FORMAT JSON and VERBOSE), read and shown.

use serde::Deserialize;

use crate::capability::sql::tables::CUSTOMER;

/// What is shown of a plan.
const SHOWN_BYTES_MAX: usize = 4 * 1024;

/// A node of a plan, with what the judge looks at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PlanNode {
    #[serde(rename = "Node Type")]
    pub kind: String,
    /// Which child of its parent it is.
    #[serde(rename = "Parent Relationship")]
    pub place: String,
    #[serde(rename = "Join Type")]
    pub join: Option<String>,
    #[serde(rename = "Schema")]
    pub schema: Option<String>,
    #[serde(rename = "Relation Name")]
    pub table: Option<String>,
    /// The table's name in the conditions.
    #[serde(rename = "Alias")]
    pub alias: Option<String>,
    #[serde(rename = "Index Name")]
    pub index: Option<String>,
    #[serde(rename = "Index Cond")]
    pub index_condition: Option<String>,
    #[serde(rename = "Filter")]
    pub filter: Option<String>,
    #[serde(rename = "Join Filter")]
    pub join_filter: Option<String>,
    #[serde(rename = "Hash Cond")]
    pub hash_condition: Option<String>,
    #[serde(rename = "Merge Cond")]
    pub merge_condition: Option<String>,
    #[serde(rename = "Plans")]
    pub plans: Vec<PlanNode>,
}

#[derive(Deserialize)]
struct Explained {
    #[serde(rename = "Plan")]
    plan: PlanNode,
}

/// Reads what EXPLAIN answered for one statement. The reader's own limit of depth is
/// that of everything that goes through a plan.
pub(super) fn read(text: &str) -> Result<PlanNode, String> {
    let explained: Vec<Explained> = serde_json::from_str(text)
        .map_err(|error| format!("its plan cannot be judged; write it simpler: {error}"))?;
    let mut plans = explained.into_iter().map(|one| one.plan);
    plans
        .next()
        .ok_or_else(|| "Postgres has no plan for it".to_owned())
}

impl PlanNode {
    pub fn alias(&self) -> &str {
        self.alias.as_deref().unwrap_or_default()
    }

    /// The names of everything that is read here and below.
    pub fn aliases<'p>(&'p self, found: &mut Vec<&'p str>) {
        found.extend(self.alias.as_deref());
        for child in &self.plans {
            child.aliases(found);
        }
    }

    /// What its conditions are called in EXPLAIN, and what they say.
    fn conditions(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("Index Cond", &self.index_condition),
            ("Hash Cond", &self.hash_condition),
            ("Merge Cond", &self.merge_condition),
            ("Join Filter", &self.join_filter),
            ("Filter", &self.filter),
        ];
        all.into_iter()
            .filter_map(|(name, text)| Some((name, text.as_deref()?)))
    }

    fn title(&self) -> String {
        let mut title = self.kind.clone();
        if let Some(join) = self.join.as_deref().filter(|join| *join != "Inner") {
            title.push_str(&format!(" ({join})"));
        }
        if let Some(table) = &self.table {
            title.push_str(&format!(" on {table}"));
            if self.alias() != table {
                title.push_str(&format!(" as {}", self.alias()));
            }
        }
        if let Some(index) = &self.index {
            title.push_str(&format!(" by {index}"));
        }
        title
    }
}

/// A plan for people: a line for each node, with its conditions below it, and those
/// marked that read all rows.
pub(super) fn shown(plan: &PlanNode, unbound: &[&PlanNode]) -> String {
    let mut text = String::new();
    write(plan, unbound, 0, &mut text);
    let mut text = text.replace(CUSTOMER, "the customer");
    if text.len() > SHOWN_BYTES_MAX {
        text.truncate(text.floor_char_boundary(SHOWN_BYTES_MAX));
        text.push_str("\n...");
    }
    text
}

fn write(node: &PlanNode, unbound: &[&PlanNode], depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&format!("{indent}{}", node.title()));
    if unbound.iter().any(|one| std::ptr::eq(*one, node)) {
        text.push_str("  <- all rows");
    }
    for (name, condition) in node.conditions() {
        text.push_str(&format!("\n{indent}    {name}: {condition}"));
    }
    for child in &node.plans {
        write(child, unbound, depth + 1, text);
    }
}
