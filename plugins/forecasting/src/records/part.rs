//! Loads in several parts: the rows of a part do not count until all parts have been
//! received, and then all count at once. Rows with an `x_RowId` are stored at once with
//! their part.

use hearth_plugin::prelude::*;

use super::load::{Changes, billing_months, hidden, replaced, take_away, with_ids};
use super::put::{self, PartKey};
use super::record::Record;
use super::target::{Part, Target};
use crate::month::Month;
use crate::sql::loads::{
    Load, LoadMonth, PartNumber, Received, delete_load, delete_load_records, delete_part_records,
    finish_load, forget_finished_loads, load_by_name, load_months, load_spans, missing_parts,
    put_load, put_part, received, touch_load, unfinished_loads,
};

/// Records of one load.
const RECORDS_MAX: i64 = 1_000_000;
/// Loads of a customer that are not finished. One more ends the one for which nothing
/// came for longest.
const UNFINISHED_MAX: usize = 8;

/// Writes a part of a load; with the last one the load. A part that comes again
/// replaces what it brought before, and a last one is answered as it was.
pub fn write(
    tx: &Transaction,
    target: &Target,
    part: &Part,
    records: &[Record],
) -> Result<Value, Problem> {
    let load_id = match load_by_name(tx, &target.source, &part.load)? {
        None => begin(tx, target, part)?,
        Some(Load { id, answer: None }) => id,
        Some(Load { answer, .. }) => return repeat_answer(part, answer.unwrap_or_default().0),
    };
    let (own, others) = with_ids(records);
    let mut changes = Changes::default();
    changes.add(put::all(tx, &target.source, &own, None)?);
    let key = PartKey {
        load_id: &load_id,
        number: part.number,
    };
    delete_part_records(tx, &load_id, part.number)?;
    put::all(tx, &target.source, &others, Some(key))?;
    let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
    put_part(tx, &load_id, part.number, count)?;
    touch_load(tx, &load_id)?;
    let so_far = received(tx, &load_id)?;
    if so_far.records > RECORDS_MAX {
        return Err(too_many());
    }
    match part.is_last {
        true => finish(tx, target, part, &load_id, changes, records),
        false => {
            let alerts = changes.settle(tx, &hidden(tx)?)?;
            let periods = billing_months(records).collect();
            let answer = changes.to_json(target, records.len(), periods, alerts);
            Ok(with_load(answer, part, &so_far))
        }
    }
}

/// Begins a load, and deletes abandoned ones. Returns its id.
fn begin(tx: &Transaction, target: &Target, part: &Part) -> Result<String, Problem> {
    forget_finished_loads(tx)?;
    let given_up = unfinished_loads(tx)?;
    for given_up in given_up.iter().skip(UNFINISHED_MAX - 1) {
        delete_load_records(tx, &given_up.id)?;
        delete_load(tx, &given_up.id)?;
    }
    let load_id = id::new("load");
    put_load(tx, &load_id, &target.source, &part.load)?;
    Ok(load_id)
}

/// The answer to a part of a load that is finished: of its last part what it was.
fn repeat_answer(part: &Part, answer: Value) -> Result<Value, Problem> {
    if part.is_last && answer["load"]["part"].as_i64() == Some(part.number) {
        return Ok(answer);
    }
    let detail = "this load is finished; send what comes after it as a load of another id";
    Err(Problem::new(409, "load-finished", "Load finished").detail(detail))
}

/// Lets all parts of a load count.
fn finish(
    tx: &Transaction,
    target: &Target,
    part: &Part,
    load_id: &str,
    mut changes: Changes,
    records: &[Record],
) -> Result<Value, Problem> {
    let so_far = received(tx, load_id)?;
    refuse_gaps(&missing_parts(tx, load_id, part.number)?, part, &so_far)?;
    let replaced = replaced(target, load_spans(tx, load_id)?);
    let hidden = hidden(tx)?;
    changes.add(take_away(tx, target, &replaced, &hidden)?);
    let months = load_months(tx, load_id)?.into_iter();
    changes.add_months(months.map(|LoadMonth { month }| Month(month)));
    let hidden: Vec<_> = hidden.into_iter().filter(|own| own != load_id).collect();
    let alerts = changes.settle(tx, &hidden)?;
    let periods = replaced.iter().map(|own| Month(own.billing_month));
    let periods = periods.chain(billing_months(records)).collect();
    let answer = changes.to_json(target, records.len(), periods, alerts);
    let answer = with_load(answer, part, &so_far);
    finish_load(tx, load_id, &Json(answer.clone()))?;
    Ok(answer)
}

/// 409 where parts before the last one did not come, or parts behind it did.
fn refuse_gaps(missing: &[PartNumber], last: &Part, so_far: &Received) -> Result<(), Problem> {
    let detail = match missing {
        [] if so_far.last > last.number => format!(
            "part {} of this load was already received, so part {} cannot be the last one",
            so_far.last, last.number
        ),
        [] => return Ok(()),
        missing => {
            let numbers: Vec<_> = missing.iter().map(|own| own.part.to_string()).collect();
            let numbers = numbers.join(", ");
            format!("these parts are missing: {numbers}; send them, and then this one again")
        }
    };
    Err(Problem::new(409, "parts-missing", "Parts missing").detail(detail))
}

fn with_load(mut answer: Value, part: &Part, so_far: &Received) -> Value {
    let load = json!({
        "id": part.load,
        "part": part.number,
        "last": part.is_last,
        "records": so_far.records,
    });
    if let Some(members) = answer.as_object_mut() {
        members.insert("load".into(), load);
    }
    answer
}

fn too_many() -> Problem {
    let detail = format!(
        "too many rows: one load may have at most {RECORDS_MAX}; load each billing period, or each \
         source, separately"
    );
    Problem::new(422, "too-many-records", "Too many records").detail(detail)
}
