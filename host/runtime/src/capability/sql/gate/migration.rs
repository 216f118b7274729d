//! What a migration may contain: the plugin's own tables, indexes, views, types
//! and sequences, and changes of its rows. Roles, policies, settings, other
//! schemas and code are the host's and the operator's.

mod body;
mod table;

use pg_query::protobuf::ObjectType;

use super::functions::{Volatility, is_never, volatility};
use super::rules::{Fault, Rules, STATEMENTS};
use super::walk::Node;
use super::{ApprovedFunctions, Refusal, runs_without_transaction};

/// Kinds of nodes that migrations have beside those of statements.
const KINDS: &str = "AlterDomainStmt AlterEnumStmt AlterSeqStmt AlterTableCmd AlterTableStmt \
     AtAlterConstraint CommentStmt Constraint CreateDomainStmt CreateEnumStmt \
     CreateFunctionStmt CreateSeqStmt CreateStmt CreateTrigStmt DefElem DropStmt \
     FunctionParameter IndexStmt ObjectWithArgs PartitionBoundSpec PartitionCmd PartitionElem \
     PartitionRangeDatum PartitionSpec RenameStmt ReturnStmt TableLikeClause \
     TriggerTransition ViewStmt";

/// What may be dropped, and how many parts its name has without a schema.
const DROPPED: &[(ObjectType, usize)] = &[
    (ObjectType::ObjectTable, 1),
    (ObjectType::ObjectIndex, 1),
    (ObjectType::ObjectView, 1),
    (ObjectType::ObjectSequence, 1),
    (ObjectType::ObjectType, 1),
    (ObjectType::ObjectDomain, 1),
    (ObjectType::ObjectFunction, 1),
    (ObjectType::ObjectTrigger, 2),
];

/// What may be commented on or renamed beside that.
const NAMED: &[(ObjectType, usize)] = &[
    (ObjectType::ObjectColumn, 2),
    (ObjectType::ObjectTabconstraint, 2),
    (ObjectType::ObjectDomconstraint, 2),
];

/// Checks a migration and splits it into its statements.
pub fn check(
    sql: &str,
    tree: &Node,
    schema: &str,
    approved: &ApprovedFunctions,
) -> Result<Vec<String>, Refusal> {
    let mut rules = Rules::new(schema, approved);
    rules.further_kinds = KINDS;
    rules.stars = true;
    let mut migration = MigrationGate {
        rules,
        without_transaction: runs_without_transaction(sql),
    };
    tree.nodes("stmts")
        .map(|raw| migration.statement(sql, raw))
        .collect()
}

struct MigrationGate<'a> {
    rules: Rules<'a>,
    without_transaction: bool,
}

impl MigrationGate<'_> {
    fn statement(&mut self, sql: &str, raw: &Node) -> Result<String, Refusal> {
        let (start, text) = slice(sql, raw);
        let nothing = Fault {
            reason: "is empty".to_owned(),
            position: None,
        };
        let checked = raw.node("stmt").ok_or(nothing).and_then(|statement| {
            self.allowed(statement)?;
            statement.visit(&mut |node| self.rules.check(node).and_then(|()| self.part(node)))
        });
        match checked {
            Ok(()) => Ok(text.trim().to_owned()),
            Err(fault) => Err(Refusal::new(
                text,
                fault.reason,
                fault.position.or(Some(start)),
            )),
        }
    }

    /// Checks what kind of statement it is, and what that kind may say.
    fn allowed(&self, statement: &Node) -> Result<(), Fault> {
        match statement.kind {
            kind if STATEMENTS.contains(&kind) => Ok(()),
            "CreateStmt" => self.create_table(statement),
            "AlterTableStmt" => table::alter(self, statement),
            "IndexStmt" => self.create_index(statement),
            "ViewStmt" => self.create_view(statement),
            "CreateSeqStmt" | "AlterSeqStmt" => self.target(statement, "sequence"),
            "CreateEnumStmt" | "AlterEnumStmt" | "AlterDomainStmt" => {
                self.named(statement, &statement.names("type_name"), 1)
            }
            "CreateDomainStmt" => self.named(statement, &statement.names("domainname"), 1),
            "DropStmt" => self.drop(statement),
            "CommentStmt" => self.object(statement, "objtype", "object"),
            "RenameStmt" => self.rename(statement),
            "CreateFunctionStmt" => self.create_function(statement),
            "CreateTrigStmt" => self.create_trigger(statement),
            kind => Fault::at(statement, format!("is not allowed in a migration ({kind})")),
        }
    }

    /// What the rules of statements do not know of: parts of definitions.
    fn part(&self, node: &Node) -> Result<(), Fault> {
        match node.kind {
            "Constraint" if !node.text("indexspace").is_empty() => {
                Fault::at(node, "names a tablespace, which is not allowed")
            }
            "Constraint" if node.node("pktable").is_some() => self.target(node, "pktable"),
            "TableLikeClause" => self.target(node, "relation"),
            "PartitionCmd" if node.flag("concurrent") => self.concurrently(node),
            _ => Ok(()),
        }
    }

    /// Whether the relation that a statement is about is the plugin's own.
    fn target(&self, statement: &Node, field: &str) -> Result<(), Fault> {
        match statement.node(field) {
            Some(relation) => self.rules.own_relation(relation),
            None => Fault::at(statement, "does not name the object that it changes"),
        }
    }

    fn create_table(&self, statement: &Node) -> Result<(), Fault> {
        if !statement.text("tablespacename").is_empty() {
            return Fault::at(statement, "names a tablespace, which is not allowed");
        }
        if !statement.text("access_method").is_empty() {
            return Fault::at(statement, "names an access method, which is not allowed");
        }
        self.target(statement, "relation")
    }

    fn create_index(&self, statement: &Node) -> Result<(), Fault> {
        if !statement.text("table_space").is_empty() {
            return Fault::at(statement, "names a tablespace, which is not allowed");
        }
        if statement.flag("concurrent") {
            self.concurrently(statement)?;
        }
        self.target(statement, "relation")
    }

    fn concurrently(&self, node: &Node) -> Result<(), Fault> {
        match self.without_transaction {
            true => Ok(()),
            false => Fault::at(
                node,
                "says CONCURRENTLY, which cannot run in a transaction: the file must begin with \
                 `-- no-transaction`",
            ),
        }
    }

    /// A view reads with the rights of whoever asks, or row-level security would
    /// be that of its owner.
    fn create_view(&self, statement: &Node) -> Result<(), Fault> {
        let invoker = statement
            .nodes("options")
            .find(|o| o.text("defname") == "security_invoker");
        let on = invoker.is_some_and(|option| match option.node("arg") {
            None => true,
            Some(arg) => ["true", "on", "1", "yes"].contains(&arg.text("sval")) || arg.flag("ival"),
        });
        match on {
            true => self.target(statement, "view"),
            false => Fault::at(
                statement,
                "creates a view without WITH (security_invoker = true)",
            ),
        }
    }

    fn drop(&self, statement: &Node) -> Result<(), Fault> {
        if statement.flag("concurrent") {
            self.concurrently(statement)?;
        }
        let Some(parts) = parts_of(DROPPED, statement.number("remove_type")) else {
            return Fault::at(
                statement,
                "drops a kind of object that migrations cannot create",
            );
        };
        statement
            .nodes("objects")
            .try_for_each(|object| self.is_own(object, parts))
    }

    /// Whether a named object is of a kind that plugins have, and its own.
    fn object(&self, statement: &Node, kind: &str, object: &str) -> Result<(), Fault> {
        let kind = statement.number(kind);
        let Some(parts) = parts_of(DROPPED, kind).or(parts_of(NAMED, kind)) else {
            return Fault::at(
                statement,
                "changes a kind of object that migrations cannot create",
            );
        };
        match statement.node(object) {
            Some(object) => self.is_own(object, parts),
            None => Ok(()),
        }
    }

    fn rename(&self, statement: &Node) -> Result<(), Fault> {
        if statement.number("rename_type") == ObjectType::ObjectFunction as i64 {
            return Fault::at(
                statement,
                "renames a function, which is approved together with its name",
            );
        }
        if statement.node("relation").is_some() {
            self.target(statement, "relation")?;
        }
        self.object(statement, "rename_type", "object")
    }

    fn is_own(&self, object: &Node, parts: usize) -> Result<(), Fault> {
        match object.kind {
            "List" => self.named(object, &object.names("items"), parts),
            "ObjectWithArgs" => self.named(object, &object.names("objname"), parts),
            "TypeName" => self.named(object, &object.names("names"), parts),
            "String" => Ok(()),
            _ => Fault::at(object, "names an object in an unsupported way"),
        }
    }

    /// Whether a name has so many parts, or one more before them: the own schema.
    fn named(&self, node: &Node, names: &[&str], parts: usize) -> Result<(), Fault> {
        match names {
            names if names.len() == parts => Ok(()),
            [schema, rest @ ..] if rest.len() == parts && *schema == self.rules.schema => Ok(()),
            names => {
                let name = names.join(".");
                Fault::at(
                    node,
                    format!("names {name}, which is not in the plugin's own schema"),
                )
            }
        }
    }

    fn create_function(&self, statement: &Node) -> Result<(), Fault> {
        let names = statement.names("funcname");
        self.named(statement, &names, 1)?;
        let name = names.last().copied().unwrap_or_default();
        self.is_approved(statement, name)?;
        if volatility(name) != Volatility::Unknown {
            let reason = format!(
                "creates a function called {name}, which is the name of a function of Postgres"
            );
            return Fault::at(statement, reason);
        }
        body::check(&self.rules, statement)
    }

    fn create_trigger(&self, statement: &Node) -> Result<(), Fault> {
        self.target(statement, "relation")?;
        let names = statement.names("funcname");
        self.named(statement, &names, 1)?;
        if statement.flag("deferrable") {
            return Fault::at(
                statement,
                "creates a DEFERRABLE constraint trigger, whose function would run at COMMIT, \
                 after the checks: leave DEFERRABLE and INITIALLY DEFERRED out",
            );
        }
        self.is_approved(statement, names.last().copied().unwrap_or_default())
    }

    fn is_approved(&self, statement: &Node, name: &str) -> Result<(), Fault> {
        match self.rules.approved.contains(name) && !is_never(name) {
            true => Ok(()),
            false => Fault::at(
                statement,
                format!(
                    "creates the function {name}, which is not approved: the manifest must list it \
                     in `functions` of [sql], and the operator must approve its body"
                ),
            ),
        }
    }
}

fn parts_of(kinds: &[(ObjectType, usize)], number: i64) -> Option<usize> {
    kinds
        .iter()
        .find(|(kind, _)| *kind as i64 == number)
        .map(|(_, parts)| *parts)
}

/// Where a statement begins, and its text.
pub fn slice<'t>(sql: &'t str, raw: &Node) -> (usize, &'t str) {
    let start = usize::try_from(raw.number("stmt_location")).unwrap_or(0);
    let rest = sql.get(start..).unwrap_or_default();
    let text = match usize::try_from(raw.number("stmt_len")) {
        Ok(length) if length > 0 => rest.get(..length).unwrap_or(rest),
        _ => rest,
    };
    (start + (text.len() - text.trim_start().len()), text)
}
