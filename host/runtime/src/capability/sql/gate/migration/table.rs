//! ALTER TABLE and its like: which of the many commands a migration may give.

use pg_query::protobuf::{AlterTableType as Command, ObjectType};

use super::super::rules::{Fault, among};
use super::super::walk::Node;
use super::MigrationGate;

const OBJECTS: &[ObjectType] = &[
    ObjectType::ObjectTable,
    ObjectType::ObjectIndex,
    ObjectType::ObjectView,
    ObjectType::ObjectSequence,
];

/// The commands that change the shape of a table. Not here: owner, tablespace,
/// row-level security, triggers and rules on or off, logging, replication.
const COMMANDS: &[Command] = &[
    Command::AtAddColumn,
    Command::AtColumnDefault,
    Command::AtDropNotNull,
    Command::AtSetNotNull,
    Command::AtSetExpression,
    Command::AtDropExpression,
    Command::AtSetStatistics,
    Command::AtSetStorage,
    Command::AtSetCompression,
    Command::AtDropColumn,
    Command::AtAddConstraint,
    Command::AtAlterConstraint,
    Command::AtValidateConstraint,
    Command::AtAddIndexConstraint,
    Command::AtDropConstraint,
    Command::AtAlterColumnType,
    Command::AtSetRelOptions,
    Command::AtResetRelOptions,
    Command::AtAttachPartition,
    Command::AtDetachPartition,
    Command::AtDetachPartitionFinalize,
    Command::AtAddIdentity,
    Command::AtSetIdentity,
    Command::AtDropIdentity,
];

/// Storage options. Those of views, which decide about row-level security, are
/// not among them.
const OPTIONS: &str = "autosummarize buffering deduplicate_items fastupdate fillfactor gin_pending_list_limit \
     pages_per_range parallel_workers toast_tuple_target";

pub fn alter(migration: &MigrationGate<'_>, statement: &Node) -> Result<(), Fault> {
    migration.target(statement, "relation")?;
    let object = statement.number("objtype");
    if !OBJECTS.iter().any(|known| *known as i64 == object) {
        return Fault::at(
            statement,
            "alters a kind of object that migrations cannot create",
        );
    }
    statement.nodes("cmds").try_for_each(command)
}

fn command(node: &Node) -> Result<(), Fault> {
    let number = node.number("subtype");
    let known = COMMANDS.iter().find(|known| **known as i64 == number);
    match known {
        Some(Command::AtSetRelOptions | Command::AtResetRelOptions) => options(node),
        Some(_) => Ok(()),
        None => {
            let name = i32::try_from(number)
                .ok()
                .and_then(|n| Command::try_from(n).ok());
            let name = name.map_or("an unknown command", |command| command.as_str_name());
            Fault::at(
                node,
                format!("makes a change that is reserved for the host ({name})"),
            )
        }
    }
}

fn options(node: &Node) -> Result<(), Fault> {
    let Some(list) = node.node("def") else {
        return Ok(());
    };
    list.nodes("items").try_for_each(|option| {
        let name = option.text("defname");
        match among(OPTIONS, name) || name.starts_with("autovacuum_") {
            true => Ok(()),
            false => Fault::at(option, format!("sets {name}, which is not allowed")),
        }
    })
}
