//! Comparing what a plugin declared of its statements with what Postgres says.

use tokio_postgres::error::ErrorPosition;
use tokio_postgres::{Client, Statement};

use super::gate::Refusal;
use super::lend::LendError;
use super::statement::{Declared, beginning};

/// Prepares each statement in the transaction, as the role and with the search
/// path that the transaction has, and collects everything that is wrong. Nothing
/// is run.
pub(super) async fn describe(
    client: &Client,
    declared: &[Declared],
) -> Result<Vec<Refusal>, LendError> {
    let mut refusals = Vec::new();
    for statement in declared {
        refusals.extend(describe_one(client, statement).await?);
    }
    Ok(refusals)
}

/// A text that does not prepare aborts the transaction up to the savepoint.
async fn describe_one(client: &Client, declared: &Declared) -> Result<Vec<Refusal>, LendError> {
    client.batch_execute("SAVEPOINT hearth_describe").await?;
    let refusals = match client.prepare(&declared.text).await {
        Ok(statement) => differences(declared, &statement)
            .into_iter()
            .map(|reason| Refusal {
                statement: beginning(&declared.text),
                reason,
                position: None,
            })
            .collect(),
        Err(error) => vec![refusal(&declared.text, error)?],
    };
    let end = "ROLLBACK TO SAVEPOINT hearth_describe; RELEASE SAVEPOINT hearth_describe";
    client.batch_execute(end).await?;
    Ok(refusals)
}

/// A refusal out of Postgres's own answer, with its message and position. What
/// is no answer (a lost connection) is an error instead.
pub(super) fn refusal(text: &str, error: tokio_postgres::Error) -> Result<Refusal, LendError> {
    let Some(db) = error.as_db_error() else {
        return Err(error.into());
    };
    if hearth_backend::postgres::unavailable(&error) {
        return Err(error.into());
    }
    let mut reason = db.message().to_owned();
    for more in [db.detail(), db.hint()].into_iter().flatten() {
        reason.push_str(". ");
        reason.push_str(more);
    }
    let position = match db.position() {
        Some(ErrorPosition::Original(character)) => Some(byte_of(text, *character)),
        _ => None,
    };
    let reason = format!("Postgres says: {reason} (SQLSTATE {})", db.code().code());
    Ok(Refusal {
        statement: beginning(text),
        reason,
        position,
    })
}

/// Postgres counts characters from 1.
fn byte_of(text: &str, character: u32) -> usize {
    let before = usize::try_from(character.saturating_sub(1)).unwrap_or(0);
    text.char_indices()
        .nth(before)
        .map_or(text.len(), |(byte, _)| byte)
}

/// What differs between declared and described, one sentence each.
pub(super) fn differences(declared: &Declared, described: &Statement) -> Vec<String> {
    let mut reasons = params(declared, described);
    reasons.extend(columns(declared, described));
    reasons
}

fn params(declared: &Declared, described: &Statement) -> Vec<String> {
    let (ours, theirs) = (&declared.params, described.params());
    if ours.len() != theirs.len() {
        let (ours, theirs) = (ours.len(), theirs.len());
        return vec![format!(
            "{ours} parameters are declared, and Postgres expects {theirs}"
        )];
    }
    let pairs = ours.iter().zip(theirs).enumerate();
    pairs
        .filter(|(_, (ours, theirs))| !ours.accepts_param(theirs))
        .map(|(index, (ours, theirs))| {
            let number = index + 1;
            format!(
                "${number} is declared {}, and Postgres expects {theirs}",
                ours.name()
            )
        })
        .collect()
}

fn columns(declared: &Declared, described: &Statement) -> Vec<String> {
    let (ours, theirs) = (&declared.columns, described.columns());
    if ours.len() != theirs.len() {
        let (ours, theirs) = (ours.len(), theirs.len());
        return vec![format!(
            "{ours} columns are declared, and Postgres answers {theirs}"
        )];
    }
    let mut reasons = Vec::new();
    for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let (number, name, kind) = (index + 1, &ours.name, ours.kind.name());
        if *name != theirs.name() {
            let theirs = theirs.name();
            reasons.push(format!(
                "column {number} is declared `{name}`, and Postgres calls it `{theirs}`"
            ));
        }
        if !ours.kind.accepts_column(theirs.type_()) {
            let theirs = theirs.type_();
            reasons.push(format!(
                "column {number} (`{name}`) is declared {kind}, and Postgres answers {theirs}"
            ));
        }
    }
    reasons
}
