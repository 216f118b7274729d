//! What bounds the rows that a plan reads.
//!
//! A table's rows are bound where they are found by a condition on the key of an index,
//! the first column beside the customer's, or are one by a unique index; or where they
//! come in the order of an index and a LIMIT above takes the first of them, with nothing
//! between that wants all (a sort, an aggregate, a hash). Everything else reads all rows
//! of the customer, or of a table that customers share.

use super::condition::{conjuncts, is_not_null, is_on, is_same, looked_up, names};
use super::indexes::TableIndex;
use super::plan::PlanNode;

/// What gives on each row as it comes.
const PASSING: [&str; 6] = [
    "Append",
    "Merge Append",
    "LockRows",
    "ProjectSet",
    "Result",
    "Subquery Scan",
];
const JOINS: [&str; 3] = ["Nested Loop", "Hash Join", "Merge Join"];

pub(super) struct Judge<'a> {
    /// The plugin's. What lies in another is the host's view of one customer.
    pub schema: &'a str,
    pub indexes: &'a [TableIndex],
}

/// What was seen of a plan.
#[derive(Default)]
struct Findings<'p> {
    /// Scans that nothing of the plan bounds.
    unbound: Vec<&'p PlanNode>,
    conditions: Vec<Condition<'p>>,
    /// Whether a node `Limit` limits: an OFFSET alone makes one, too.
    limits: bool,
}

/// A condition that holds for each row that is kept of these tables, so that they can be
/// looked up by it.
struct Condition<'p> {
    text: &'p str,
    of: Vec<&'p str>,
}

impl Judge<'_> {
    /// The scans that read all rows.
    pub fn unbound<'p>(&self, plan: &'p PlanNode, limits: bool) -> Vec<&'p PlanNode> {
        let mut seen = Findings {
            limits,
            ..Findings::default()
        };
        self.visit(plan, false, &mut seen);
        self.look_up(seen)
    }

    fn visit<'p>(&self, node: &'p PlanNode, limited: bool, seen: &mut Findings<'p>) {
        if self.reads_a_table(node) {
            if !self.is_bound(node, limited) {
                seen.unbound.push(node);
            }
            for text in [&node.index_condition, &node.filter].into_iter().flatten() {
                seen.add(text, vec![node.alias()]);
            }
        }
        seen.add_join(node);
        for child in &node.plans {
            let limited = seen.limits && limited_below(node, child, limited);
            self.visit(child, limited, seen);
        }
    }

    /// A function of the plugin's is in its schema, too.
    fn reads_a_table(&self, node: &PlanNode) -> bool {
        let is_own = node.schema.as_deref() == Some(self.schema) && node.table.is_some();
        is_own && node.kind != "ModifyTable"
    }

    fn is_bound(&self, scan: &PlanNode, limited: bool) -> bool {
        match scan.kind.as_str() {
            "Index Scan" | "Index Only Scan" => {
                self.is_by_key(scan, scan.alias()) || (limited && self.is_in_order(scan))
            }
            "Bitmap Heap Scan" => self.is_by_keys(scan, scan.alias()),
            "Tid Scan" => true,
            _ => false,
        }
    }

    fn index(&self, scan: &PlanNode) -> Option<&TableIndex> {
        let name = scan.index.as_deref()?;
        self.indexes.iter().find(|index| index.name == name)
    }

    fn is_by_key(&self, scan: &PlanNode, alias: &str) -> bool {
        let (Some(index), Some(text)) = (self.index(scan), &scan.index_condition) else {
            return false;
        };
        let mut conditions = conjuncts(text).into_iter();
        match index.key() {
            Some(key) => conditions.any(|condition| is_on(condition, alias, key)),
            None => index.is_of_one_row(),
        }
    }

    /// The bitmaps below a scan are read to their ends.
    fn is_by_keys(&self, node: &PlanNode, alias: &str) -> bool {
        node.plans.iter().all(|child| match child.kind.as_str() {
            "Bitmap Index Scan" => self.is_by_key(child, alias),
            _ => self.is_by_keys(child, alias),
        })
    }

    /// Whether the rows come in an order and are all the caller's.
    fn is_in_order(&self, scan: &PlanNode) -> bool {
        let text = scan.index_condition.as_deref().unwrap_or_default();
        let mut conditions = conjuncts(text).into_iter();
        let mut of_tenant = || conditions.any(|one| TableIndex::is_tenant(one, scan.alias()));
        self.index(scan)
            .is_some_and(|index| !index.is_secured || of_tenant())
    }

    /// The scans that no index could spare. Each that can be looked up lets others be
    /// looked up by what it has.
    fn look_up<'p>(&self, mut seen: Findings<'p>) -> Vec<&'p PlanNode> {
        loop {
            let unbound = seen.unbound.clone();
            seen.unbound.retain(|scan| {
                let conditions = seen.conditions.iter();
                let own = conditions.filter(|one| one.of.contains(&scan.alias()));
                let own: Vec<&str> = own.map(|one| one.text).collect();
                let mut indexes = self.indexes.iter();
                !indexes.any(|index| has_key(index, scan, &own, &unbound))
            });
            if seen.unbound.len() == unbound.len() {
                return unbound;
            }
        }
    }
}

/// Whether a scan could have gone by that index: one of its conditions names the key and
/// compares it with what is there without reading all rows of something else.
fn has_key(index: &TableIndex, scan: &PlanNode, own: &[&str], unbound: &[&PlanNode]) -> bool {
    let Some(key) = index.key().filter(|_| index.looks_up()) else {
        return false;
    };
    let alias = scan.alias();
    let there = |text: &str| !unbound.iter().any(|other| names(text, other.alias()));
    let mut values = own.iter().filter_map(|text| looked_up(text, alias, key));
    let holds =
        |part: &str| is_not_null(part, key) || own.iter().any(|text| is_same(text, alias, part));
    let predicate = index.predicate.as_deref().map(conjuncts);
    scan.table.as_deref() == Some(&index.table)
        && values.any(there)
        && predicate.into_iter().flatten().all(holds)
}

impl<'p> Findings<'p> {
    fn add(&mut self, text: &'p str, of: Vec<&'p str>) {
        let conditions = conjuncts(text).into_iter();
        self.conditions.extend(conditions.map(|text| Condition {
            text,
            of: of.clone(),
        }));
    }

    /// The rows of an outer join's preserved side are kept whether or not the condition
    /// holds.
    fn add_join(&mut self, node: &'p PlanNode) {
        let sides: &[&str] = match node.join.as_deref() {
            Some("Inner" | "Semi" | "Right Semi") => &["Outer", "Inner"],
            Some("Left" | "Anti") => &["Inner"],
            Some("Right" | "Right Anti") => &["Outer"],
            _ => return,
        };
        let mut of = Vec::new();
        let children = node.plans.iter();
        for child in children.filter(|child| sides.contains(&child.place.as_str())) {
            child.aliases(&mut of);
        }
        let conditions = [
            &node.join_filter,
            &node.hash_condition,
            &node.merge_condition,
        ];
        for text in conditions.into_iter().flatten() {
            self.add(text, of.clone());
        }
    }
}

/// Whether a LIMIT ends what a child gives. Of a join it ends the outer side; the inner
/// one is read whole for each row of it.
fn limited_below(node: &PlanNode, child: &PlanNode, limited: bool) -> bool {
    let (kind, place) = (node.kind.as_str(), child.place.as_str());
    match place {
        "InitPlan" | "SubPlan" => false,
        _ if kind == "Limit" => true,
        _ if PASSING.contains(&kind) => limited,
        "Outer" => limited && JOINS.contains(&kind),
        _ => false,
    }
}
