//! The types that parameters and columns may have, and their codes in a record.

use serde_json::Value as JsonValue;

use crate::json::Json;
use crate::time::Timestamp;

pub use crate::bindings::imports::hearth::plugin::sql::Value;

/// A `numeric` of Postgres, exact, in decimal notation. In JSON it is text.
///
/// ```
/// use hearth_plugin::sql::Numeric;
/// let price = Numeric("19.90".into());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numeric(pub String);

/// A `uuid` of Postgres, in its canonical form of 36 characters.
///
/// ```
/// use hearth_plugin::sql::Uuid;
/// let uuid = Uuid("017f22e2-79b0-7cc3-98c4-dc0c0c07398f".into());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub String);

/// A type that a column may have.
pub trait Cell: Sized {
    /// The code of its type in a record.
    const CODE: u8;
    /// Whether it takes NULL.
    const NULLABLE: bool = false;

    /// Takes a value; `None` where it is of another type.
    fn from_value(value: Value) -> Option<Self>;

    /// The value in JSON.
    fn to_json(&self) -> JsonValue;
}

/// A type that a parameter may have.
pub trait Parameter {
    /// The code of its type in a record.
    const CODE: u8;

    /// The value for the host.
    fn into_value(self) -> Value;
}

macro_rules! types {
    ($($code:literal $variant:ident $type:ty: $read:expr, $json:expr, $write:expr;)*) => {$(
        impl Cell for $type {
            const CODE: u8 = $code;

            fn from_value(value: Value) -> Option<Self> {
                let read: fn(_) -> Option<$type> = $read;
                match value {
                    Value::$variant(value) => read(value),
                    _ => None,
                }
            }

            fn to_json(&self) -> JsonValue {
                let json: fn(&$type) -> JsonValue = $json;
                json(self)
            }
        }

        impl Parameter for $type {
            const CODE: u8 = $code;

            fn into_value(self) -> Value {
                let write: fn($type) -> _ = $write;
                Value::$variant(write(self))
            }
        }

        impl Parameter for &$type {
            const CODE: u8 = $code;

            fn into_value(self) -> Value {
                self.clone().into_value()
            }
        }
    )*};
}

types! {
    1 Boolean bool: Some, |value| (*value).into(), |value| value;
    2 Int32 i32: Some, |value| (*value).into(), |value| value;
    3 Int64 i64: Some, |value| (*value).into(), |value| value;
    4 Float64 f64: Some, |value| (*value).into(), |value| value;
    5 Text String: Some, |value| value.as_str().into(), |value| value;
    6 Bytes Vec<u8>: Some, |value| crate::base64url::encode(value).into(), |value| value;
    7 Uuid Uuid: |text| Some(Uuid(text)), |value| value.0.as_str().into(), |value| value.0;
    8 Timestamp Timestamp: |micros| Some(Timestamp::from_micros(micros)),
        |value| value.to_string().into(), |value| value.micros();
    10 Numeric Numeric: |text| Some(Numeric(text)), |value| value.0.as_str().into(), |value| value.0;
    11 Json Json: |text: String| Json::parse(&text), |value| value.0.clone(), |value| value.to_string();
    12 TextArray Vec<String>: Some, |value| value.as_slice().into(), |value| value;
    13 Int64Array Vec<i64>: Some, |value| value.as_slice().into(), |value| value;
}

impl<T: Cell> Cell for Option<T> {
    const CODE: u8 = T::CODE;
    const NULLABLE: bool = true;

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }

    fn to_json(&self) -> JsonValue {
        self.as_ref().map_or(JsonValue::Null, T::to_json)
    }
}

impl<T: Parameter> Parameter for Option<T> {
    const CODE: u8 = T::CODE;

    fn into_value(self) -> Value {
        self.map_or(Value::Null, T::into_value)
    }
}

impl Parameter for &str {
    const CODE: u8 = 5;

    fn into_value(self) -> Value {
        Value::Text(self.to_string())
    }
}

impl Parameter for &[u8] {
    const CODE: u8 = 6;

    fn into_value(self) -> Value {
        Value::Bytes(self.to_vec())
    }
}

impl Parameter for &[String] {
    const CODE: u8 = 12;

    fn into_value(self) -> Value {
        Value::TextArray(self.to_vec())
    }
}

impl Parameter for &[i64] {
    const CODE: u8 = 13;

    fn into_value(self) -> Value {
        Value::Int64Array(self.to_vec())
    }
}
