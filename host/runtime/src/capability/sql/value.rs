//! Values on their way between a guest and Postgres's binary protocol.
//!
//! A parameter is checked against the declared type and brought into shape
//! before anything is sent, so that a wrong one costs no round trip and harms no
//! transaction.

use std::error::Error as StdError;
use std::fmt;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type as PgType, to_sql_checked};
use uuid::Uuid;

use super::numeric;
use super::statement::Type;
use super::{Error, Value};

/// From 1970-01-01 to 2000-01-01, where Postgres counts from.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i32 = 10_957;

/// A parameter as it will be sent.
pub(super) enum Param {
    Null,
    Bool(bool),
    Int4(i32),
    Int8(i64),
    Float8(f64),
    Text(String),
    Bytes(Vec<u8>),
    Uuid(Uuid),
    /// Microseconds since 2000-01-01.
    Timestamp(i64),
    /// Days since 2000-01-01.
    Date(i32),
    /// In Postgres's binary form.
    Numeric(Vec<u8>),
    Json(String),
    TextArray(Vec<String>),
    Int8Array(Vec<i64>),
    UuidArray(Vec<Uuid>),
}

/// The driver may log its parameters. No value of a customer belongs there.
impl fmt::Debug for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(a value)")
    }
}

/// Checks a value against the declared type of parameter `number` (from 1).
pub(super) fn param(value: Value, kind: Type, number: usize) -> Result<Param, Error> {
    let given = name(&value);
    let malformed =
        |what: &str| Error::Invalid(format!("parameter {number} is not a valid {what}"));
    Ok(match (value, kind) {
        (Value::Null, _) => Param::Null,
        (Value::Boolean(value), Type::Bool) => Param::Bool(value),
        (Value::Int32(value), Type::Int4) => Param::Int4(value),
        (Value::Int64(value), Type::Int8) => Param::Int8(value),
        (Value::Float64(value), Type::Float8) => Param::Float8(value),
        (Value::Text(value), Type::Text) => Param::Text(value),
        (Value::Bytes(value), Type::Bytea) => Param::Bytes(value),
        (Value::Uuid(value), Type::Uuid) => {
            Param::Uuid(canonical(&value).ok_or_else(|| malformed("uuid"))?)
        }
        (Value::Timestamp(value), Type::Timestamptz) => {
            Param::Timestamp(micros_in(value).ok_or_else(|| malformed("timestamp"))?)
        }
        (Value::Date(value), Type::Date) => {
            Param::Date(days_in(value).ok_or_else(|| malformed("date"))?)
        }
        (Value::Numeric(value), Type::Numeric) => {
            Param::Numeric(numeric::encode(&value).ok_or_else(|| malformed("numeric"))?)
        }
        (Value::Json(value), Type::Json) => Param::Json(value),
        (Value::TextArray(value), Type::TextArray) => Param::TextArray(value),
        (Value::Int64Array(value), Type::Int8Array) => Param::Int8Array(value),
        (Value::UuidArray(value), Type::UuidArray) => {
            let ids: Option<_> = value.iter().map(|id| canonical(id)).collect();
            Param::UuidArray(ids.ok_or_else(|| malformed("array of uuid"))?)
        }
        _ => {
            let message = format!(
                "parameter {number} is {given}, but {} is declared",
                kind.name()
            );
            return Err(Error::Invalid(message));
        }
    })
}

/// How many bytes a value has in the guest's memory, nearly.
pub(super) fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Uuid(text) | Value::Numeric(text) | Value::Json(text) => {
            text.len()
        }
        Value::Bytes(bytes) => bytes.len(),
        Value::TextArray(list) | Value::UuidArray(list) => {
            list.iter().map(|text| text.len() + 4).sum()
        }
        Value::Int64Array(list) => list.len().saturating_mul(8),
        _ => 8,
    }
}

fn name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Boolean(_) => "bool",
        Value::Int32(_) => "int4",
        Value::Int64(_) => "int8",
        Value::Float64(_) => "float8",
        Value::Text(_) => "text",
        Value::Bytes(_) => "bytea",
        Value::Uuid(_) => "uuid",
        Value::Timestamp(_) => "timestamptz",
        Value::Date(_) => "date",
        Value::Numeric(_) => "numeric",
        Value::Json(_) => "json",
        Value::TextArray(_) => "text[]",
        Value::Int64Array(_) => "int8[]",
        Value::UuidArray(_) => "uuid[]",
    }
}

/// The canonical form alone: other spellings would come back differently.
fn canonical(text: &str) -> Option<Uuid> {
    (text.len() == 36)
        .then(|| Uuid::try_parse(text).ok())
        .flatten()
}

/// Postgres's `infinity` and `-infinity` are the ends of the range, both ways.
fn micros_in(micros: i64) -> Option<i64> {
    match micros {
        i64::MAX | i64::MIN => Some(micros),
        _ => micros.checked_sub(EPOCH_MICROS),
    }
}

fn micros_out(micros: i64) -> Option<i64> {
    match micros {
        i64::MAX | i64::MIN => Some(micros),
        _ => micros.checked_add(EPOCH_MICROS),
    }
}

fn days_in(days: i32) -> Option<i32> {
    match days {
        i32::MAX | i32::MIN => Some(days),
        _ => days.checked_sub(EPOCH_DAYS),
    }
}

fn days_out(days: i32) -> Option<i32> {
    match days {
        i32::MAX | i32::MIN => Some(days),
        _ => days.checked_add(EPOCH_DAYS),
    }
}

type ConversionError = Box<dyn StdError + Sync + Send>;

impl ToSql for Param {
    /// Every pair is named: were a column's type changed by a later migration,
    /// bytes of the old type must not be taken for the new one.
    fn to_sql(&self, ty: &PgType, out: &mut BytesMut) -> Result<IsNull, ConversionError> {
        match (self, ty) {
            (Param::Null, _) => return Ok(IsNull::Yes),
            (Param::Bool(value), &PgType::BOOL) => return value.to_sql(ty, out),
            (Param::Int4(value), &PgType::INT4) => return value.to_sql(ty, out),
            (Param::Int8(value), &PgType::INT8) => return value.to_sql(ty, out),
            (Param::Float8(value), &PgType::FLOAT8) => return value.to_sql(ty, out),
            (
                Param::Text(value),
                &PgType::TEXT | &PgType::VARCHAR | &PgType::BPCHAR | &PgType::NAME,
            ) => out.extend_from_slice(value.as_bytes()),
            (Param::Bytes(value), &PgType::BYTEA) => out.extend_from_slice(value),
            (Param::Uuid(value), &PgType::UUID) => out.extend_from_slice(value.as_bytes()),
            (Param::Timestamp(value), &PgType::TIMESTAMPTZ) => {
                out.extend_from_slice(&value.to_be_bytes());
            }
            (Param::Date(value), &PgType::DATE) => out.extend_from_slice(&value.to_be_bytes()),
            (Param::Numeric(value), &PgType::NUMERIC) => out.extend_from_slice(value),
            (Param::Json(value), &PgType::JSON) => out.extend_from_slice(value.as_bytes()),
            (Param::Json(value), &PgType::JSONB) => {
                // The version of jsonb's binary form.
                out.extend_from_slice(&[1]);
                out.extend_from_slice(value.as_bytes());
            }
            (Param::TextArray(value), &PgType::TEXT_ARRAY | &PgType::VARCHAR_ARRAY) => {
                return value.to_sql(ty, out);
            }
            (Param::Int8Array(value), &PgType::INT8_ARRAY) => return value.to_sql(ty, out),
            (Param::UuidArray(value), &PgType::UUID_ARRAY) => return value.to_sql(ty, out),
            _ => return Err("the declared type and Postgres's are no longer the same".into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &PgType) -> bool {
        true
    }

    to_sql_checked!();
}

/// A value as it came.
pub(super) struct Cell(pub Value);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &PgType, raw: &'a [u8]) -> Result<Cell, ConversionError> {
        let text = || String::from_utf8(raw.to_vec());
        Ok(Cell(match *ty {
            PgType::BOOL => Value::Boolean(bool::from_sql(ty, raw)?),
            PgType::INT2 => Value::Int32(i16::from_sql(ty, raw)?.into()),
            PgType::INT4 => Value::Int32(i32::from_sql(ty, raw)?),
            PgType::INT8 => Value::Int64(i64::from_sql(ty, raw)?),
            PgType::FLOAT4 => Value::Float64(f32::from_sql(ty, raw)?.into()),
            PgType::FLOAT8 => Value::Float64(f64::from_sql(ty, raw)?),
            PgType::TEXT | PgType::VARCHAR | PgType::BPCHAR | PgType::NAME => Value::Text(text()?),
            PgType::BYTEA => Value::Bytes(raw.to_vec()),
            PgType::UUID => Value::Uuid(Uuid::from_sql(ty, raw)?.to_string()),
            PgType::TIMESTAMPTZ => {
                let micros = i64::from_be_bytes(raw.try_into()?);
                Value::Timestamp(micros_out(micros).ok_or("a timestamp out of range")?)
            }
            PgType::DATE => {
                let days = i32::from_be_bytes(raw.try_into()?);
                Value::Date(days_out(days).ok_or("a date out of range")?)
            }
            PgType::NUMERIC => Value::Numeric(numeric::decode(raw).ok_or("a malformed numeric")?),
            PgType::JSON => Value::Json(text()?),
            PgType::JSONB => {
                let json = raw
                    .strip_prefix(&[1])
                    .ok_or("jsonb of an unknown version")?;
                Value::Json(String::from_utf8(json.to_vec())?)
            }
            PgType::TEXT_ARRAY | PgType::VARCHAR_ARRAY => {
                Value::TextArray(Vec::<String>::from_sql(ty, raw)?)
            }
            PgType::INT8_ARRAY => Value::Int64Array(Vec::<i64>::from_sql(ty, raw)?),
            PgType::UUID_ARRAY => {
                let ids = Vec::<Uuid>::from_sql(ty, raw)?;
                Value::UuidArray(ids.iter().map(Uuid::to_string).collect())
            }
            _ => return Err("a type that was not declared".into()),
        }))
    }

    fn from_sql_null(_: &PgType) -> Result<Cell, ConversionError> {
        Ok(Cell(Value::Null))
    }

    fn accepts(_: &PgType) -> bool {
        true
    }
}
