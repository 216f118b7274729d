//! What a plugin asks for, against what its operator approved.

use std::collections::BTreeSet;

use super::steps::{Rejected, plain};
use crate::config;
use hearth_runtime::capability::sql::Scan;
use hearth_runtime::capability::sql::gate::{Definition, approved_name, definitions};
use hearth_runtime::capability::sql::statement::Declared;
use hearth_runtime::plugin::deployment::Approved;
use hearth_runtime::plugin::manifest::SHARED_REUSE;
use hearth_runtime::plugin::package::{Interface, Package};

/// What a refusal shows of the bodies of functions, in all.
const SHOWN_BYTES_MAX: usize = 256 * 1024;
/// Statements that a refusal shows with their plans, and what of each.
const SHOWN_SCANS_MAX: usize = 30;
const SHOWN_STATEMENT_BYTES_MAX: usize = 4 * 1024;

/// What the plugin may use: all that it asks for, where all of it is approved. One
/// that sends requests to the outside may be let further than it asks.
///
/// # Errors
/// With everything that it asks for and nobody approved.
pub fn approve(package: &Package, given: &Approved) -> Result<Approved, Rejected> {
    let manifest = &package.manifest;
    let asked: Vec<String> = manifest.grants.iter().map(ToString::to_string).collect();
    let functions = functions(package);
    let mut refused = Rejected::new(&manifest.name, "grants", Vec::new());
    for grant in asked.iter().filter(|grant| !given.grants.contains(grant)) {
        refused.reasons.push(unapproved(grant));
        refused.asks.push(grant.clone());
    }
    for asked in &functions {
        if !given.functions.contains(&asked.approval) {
            asked.refuse(given, &mut refused);
        }
    }
    for table in &manifest.sql.shared {
        if !given.shared.contains(table) {
            refuse_shared(table, &mut refused);
        }
    }
    if !refused.reasons.is_empty() {
        return Err(refused);
    }
    let further = given.grants.iter().filter(|grant| {
        let reaches = manifest.asks_for(Interface::Outbound);
        reaches && grant.starts_with("outbound:") && !asked.contains(grant)
    });
    Ok(Approved {
        grants: asked.iter().chain(further).cloned().collect(),
        functions: functions.into_iter().map(|asked| asked.approval).collect(),
        shared: manifest.sql.shared.iter().cloned().collect(),
        scans: scans(package, given),
    })
}

/// What was approved of the plugin's statements. Which of them want it is known once
/// Postgres has planned them.
fn scans(package: &Package, given: &Approved) -> Vec<String> {
    let statements: BTreeSet<String> = package.statements.iter().map(Declared::approval).collect();
    let given = given.scans.iter().cloned().collect();
    statements.intersection(&given).cloned().collect()
}

/// Refuses the statements that read all rows of a customer without approval.
///
/// # Errors
/// With each of them and its plan, up to so many.
pub fn approve_scans(plugin: &str, found: Vec<Scan>, approved: &[String]) -> Result<(), Rejected> {
    let mut wanted = found;
    wanted.retain(|scan| !approved.contains(&scan.approval));
    if wanted.is_empty() {
        return Ok(());
    }
    let further = wanted.len().saturating_sub(SHOWN_SCANS_MAX);
    wanted.truncate(SHOWN_SCANS_MAX);
    let mut reasons: Vec<String> = wanted.iter().map(unapproved_scan).collect();
    if further > 0 {
        reasons.push(format!("so do {further} more statements"));
    }
    let asks = wanted.iter().map(|scan| format!("scan:{}", scan.approval));
    Err(Rejected {
        asks: asks.collect(),
        scans: wanted.into_iter().map(shown_scan).collect(),
        ..Rejected::new(plugin, "statements", reasons)
    })
}

fn unapproved_scan(scan: &Scan) -> String {
    let (approval, tables) = (&scan.approval, scan.tables.join("`, `"));
    let name = approved_name(approval);
    format!(
        "its statement `{name}` reads all rows that a customer has in `{tables}`, however many \
         these become, which is not approved: restrict it by the key of an index, or by a LIMIT in \
         the order of one. If the rows stay few, approve `{approval}` (--approve-scan, or \
         sql_scans in its section of the configuration); a changed text needs a new approval"
    )
}

fn shown_scan(scan: Scan) -> Scan {
    let text = &scan.text;
    let end = text.floor_char_boundary(SHOWN_STATEMENT_BYTES_MAX.min(text.len()));
    let cut = if end < text.len() { "..." } else { "" };
    Scan {
        text: format!("{}{cut}", plain(text.get(..end).unwrap_or_default())),
        plan: plain(&scan.plan),
        ..scan
    }
}

/// A function that a manifest asks for.
struct Function {
    name: String,
    /// What approves it.
    approval: String,
    /// `None` where no migration makes it: it is one of Postgres's.
    definition: Option<Definition>,
}

/// What approves the functions that a plugin asks for.
pub fn function_approvals(package: &Package) -> Vec<String> {
    let asked = functions(package).into_iter();
    asked.map(|function| function.approval).collect()
}

fn functions(package: &Package) -> Vec<Function> {
    let asked = &package.manifest.sql.functions;
    if asked.is_empty() {
        return Vec::new();
    }
    let mut defined = definitions(package.migrations.iter().map(|one| one.sql.as_str()));
    let function = |name: &String| {
        let place = defined.iter().position(|one| one.name == *name);
        let definition = place.map(|place| defined.swap_remove(place));
        let approval = definition.as_ref().map(|one| one.approval.clone());
        Function {
            name: name.clone(),
            approval: approval.unwrap_or_else(|| name.clone()),
            definition,
        }
    };
    asked.iter().map(function).collect()
}

impl Function {
    fn refuse(&self, given: &Approved, refused: &mut Rejected) {
        let (name, approval) = (&self.name, &self.approval);
        let of_this = |other: &&String| approved_name(other) == name;
        let why = match (&self.definition, given.functions.iter().find(of_this)) {
            (None, _) => "which is not its own and is not approved".to_owned(),
            (Some(_), None) => "whose body is not approved".to_owned(),
            (Some(_), Some(other)) if other == name => {
                "which is approved by its name only: its body must be approved".to_owned()
            }
            (Some(_), Some(other)) => {
                format!("whose body differs from the one approved as `{other}`")
            }
        };
        refused.reasons.push(format!(
            "it asks for the SQL function `{name}`, {why}: to allow it, approve `{approval}` \
             (--approve-function, or sql_functions in its section of the configuration)"
        ));
        refused.asks.push(format!("function:{approval}"));
        let so_far: usize = refused.functions.iter().map(|one| one.text.len()).sum();
        if let Some(definition) = &self.definition {
            let bytes_max = SHOWN_BYTES_MAX.saturating_sub(so_far);
            refused.functions.push(shown(definition, bytes_max));
        }
    }
}

/// Why a grant was refused, and what else there is to do where its name does not say
/// what it opens.
fn unapproved(grant: &str) -> String {
    let reason = format!("it asks for the grant `{grant}`, which is not approved");
    match grant {
        SHARED_REUSE => format!(
            "{reason}: with `reuse = \"shared\"` in its manifest an instance serves one customer \
             after another, and calls of the next can read what it keeps in memory of the one \
             before. Approve it if that cannot be a secret; otherwise set `reuse = \"serial\"`, \
             which separates customers"
        ),
        _ => reason,
    }
}

fn refuse_shared(table: &str, refused: &mut Rejected) {
    refused.reasons.push(format!(
        "it asks to share the table `{table}` among all customers, which is not approved: each \
         would see and change every row of it. If that is intended, approve `{table}` \
         (--approve-shared, or sql_shared in its section of the configuration)"
    ));
    refused.asks.push(format!("shared:{table}"));
}

/// The text as a terminal may show it. One that is too long says so: nobody shall
/// approve by mistake what they did not see.
fn shown(definition: &Definition, bytes_max: usize) -> Definition {
    let text = &definition.text;
    let end = text.floor_char_boundary(bytes_max.min(text.len()));
    let mut shown = plain(text.get(..end).unwrap_or_default());
    if end < text.len() {
        let more = text.len() - end;
        shown.push_str(&format!(
            "\n... {more} more bytes are not shown here: read them with `hearth diff`"
        ));
    }
    Definition {
        text: shown,
        ..definition.clone()
    }
}

/// What the operator's section approves.
pub fn of_section(section: &config::Plugin) -> Approved {
    Approved {
        grants: section.grants.clone(),
        functions: section.sql_functions.clone(),
        shared: section.sql_shared.clone(),
        scans: section.sql_scans.clone(),
    }
}

/// All that the plugin asks for, as far as its file says it: which statements want an
/// approval, the host says once Postgres has planned them.
pub fn asked(package: &Package) -> Approved {
    let manifest = &package.manifest;
    Approved {
        grants: manifest.grants.iter().map(ToString::to_string).collect(),
        functions: function_approvals(package),
        shared: manifest.sql.shared.iter().cloned().collect(),
        scans: Vec::new(),
    }
}

/// What would approve the statements that a deployment was refused for.
pub fn asked_scans(rejected: &Rejected) -> Approved {
    let scans = rejected.scans.iter();
    Approved {
        scans: scans.map(|scan| scan.approval.clone()).collect(),
        ..Approved::default()
    }
}

/// One set of approvals and another.
pub fn together(one: &Approved, other: &Approved) -> Approved {
    let union = |one: &[String], other: &[String]| {
        let all: BTreeSet<&String> = one.iter().chain(other).collect();
        all.into_iter().cloned().collect()
    };
    Approved {
        grants: union(&one.grants, &other.grants),
        functions: union(&one.functions, &other.functions),
        shared: union(&one.shared, &other.shared),
        scans: union(&one.scans, &other.scans),
    }
}
