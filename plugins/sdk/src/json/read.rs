//! Parses JSON (RFC 8259) with the restrictions of I-JSON (RFC 7493): the names of an
//! object are unique, as readers differ in which of equal ones they take (2.3), and a
//! number is in the range of a double (2.2), though every digit is kept.
//!
//! serde_json represents numbers of any size as objects with a special name, so that a
//! client could send such an object to have it read as a number; and of equal names it
//! takes the last. So texts of clients are parsed here, in one pass.

use serde_json::{Map, Number, Value};

/// How deep lists and objects may lie in each other.
pub const DEPTH_MAX: usize = 127;
/// Characters of a number.
const NUMBER_BYTES_MAX: usize = 1_000;
/// How large an exponent may be, either way: Postgres writes out as many digits.
const EXPONENT_MAX: i32 = 400;

/// Why a text is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is no JSON.
    Syntax,
    /// Lists and objects lie too deep in each other.
    TooDeep,
    /// An object has a name twice.
    NameTwice,
    /// A number is past what a double reaches, or has too many digits.
    NumberTooLarge,
}

/// What is wrong with a text, and at which of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub reason: Reason,
    offset: usize,
}

impl Fault {
    /// The line and the byte in it, both from 1.
    pub fn line_and_column(&self, text: &[u8]) -> (usize, usize) {
        let before = text.get(..self.offset).unwrap_or(text);
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        let column = before.iter().rev().take_while(|byte| **byte != b'\n');
        (lines + 1, column.count() + 1)
    }
}

/// Reads one value, and nothing behind it.
pub fn read(bytes: &[u8]) -> Result<Value, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| Fault {
        reason: Reason::Syntax,
        offset: error.valid_up_to(),
    })?;
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
    };
    let value = reader.value()?;
    reader.space();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.fault(Reason::Syntax)),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn fault(&self, reason: Reason) -> Fault {
        let offset = self.at.min(self.text.len());
        Fault { reason, offset }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Whether this byte is next, behind spaces; then it is passed.
    fn passes(&mut self, byte: u8) -> bool {
        self.space();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        match self.passes(byte) {
            true => Ok(()),
            false => Err(self.fault(Reason::Syntax)),
        }
    }

    fn value(&mut self) -> Result<Value, Fault> {
        self.space();
        match self.peek() {
            Some(b'{') => self.within(Self::object),
            Some(b'[') => self.within(Self::list),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> Result<Value, Fault> {
        let words = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
        ];
        for (word, value) in words {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.fault(Reason::Syntax))
    }

    /// Reads what a bracket begins.
    fn within(&mut self, read: fn(&mut Self) -> Result<Value, Fault>) -> Result<Value, Fault> {
        if self.depth == DEPTH_MAX {
            return Err(self.fault(Reason::TooDeep));
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn list(&mut self) -> Result<Value, Fault> {
        let mut items = Vec::new();
        if self.passes(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            if self.passes(b']') {
                return Ok(Value::Array(items));
            }
            self.expect(b',')?;
        }
    }

    fn object(&mut self) -> Result<Value, Fault> {
        let mut members = Map::new();
        if self.passes(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            let name_at = self.fault(Reason::NameTwice);
            let name = self.string()?;
            self.expect(b':')?;
            let value = self.value()?;
            if members.insert(name, value).is_some() {
                return Err(name_at);
            }
            if self.passes(b'}') {
                return Ok(Value::Object(members));
            }
            self.expect(b',')?;
        }
    }

    /// Finds the end of a text; what is escaped in it is serde_json's to say.
    fn string(&mut self) -> Result<String, Fault> {
        let begin = self.fault(Reason::Syntax);
        self.expect(b'"')?;
        let mut is_plain = true;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => (is_plain, self.at) = (false, self.at + 2),
                Some(0x20..) => self.at += 1,
                Some(_) | None => return Err(self.fault(Reason::Syntax)),
            }
        }
        self.at += 1;
        let quoted = self.text.get(begin.offset..self.at).ok_or(begin)?;
        match is_plain {
            true => Ok(quoted.trim_matches('"').to_string()),
            false => serde_json::from_str(quoted).map_err(|_| begin),
        }
    }

    fn number(&mut self) -> Result<Number, Fault> {
        let of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = self.rest().bytes().take_while(of_number).count();
        let text = self.rest().get(..length).unwrap_or_default();
        if length > NUMBER_BYTES_MAX {
            return Err(self.fault(Reason::NumberTooLarge));
        }
        let number = text.parse().map_err(|_| self.fault(Reason::Syntax))?;
        if !is_within(text) {
            return Err(self.fault(Reason::NumberTooLarge));
        }
        self.at += length;
        Ok(number)
    }
}

/// Whether whoever computes with a number, or writes its digits out, can.
fn is_within(text: &str) -> bool {
    let exponent = text
        .split_once(['e', 'E'])
        .map_or("0", |(_, exponent)| exponent);
    let exponent = exponent.parse::<i32>().ok();
    let moderate = exponent.is_some_and(|exponent| exponent.abs() <= EXPONENT_MAX);
    moderate && text.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (Reason, usize, usize) {
        let fault = read(text.as_bytes()).unwrap_err();
        let (line, column) = fault.line_and_column(text.as_bytes());
        (fault.reason, line, column)
    }

    #[test]
    fn values_are_those_that_serde_json_reads() {
        for text in [
            "null",
            " [true , false,null ] ",
            "{}",
            "[]",
            r#"{"a": {"b": [1, -2, 3.25, 1e3, -0, 0.0]}, "ä": "ö\u0041\ud834\udd1e\"\\\/\n"}"#,
            r#""""#,
            r#"["", "\"", "a\\", "\\\""]"#,
            "\t\r\n1",
        ] {
            let expected: Value = serde_json::from_str(text).unwrap();
            assert_eq!(read(text.as_bytes()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn numbers_keep_every_digit() {
        let text = "[123456789012345678901234567890,18446744073709551616,0.30000000000000004441,\
                    1.50,-0,1e+5,1.0e-7,79228162514264337593.543950335]";
        assert_eq!(read(text.as_bytes()).unwrap().to_string(), text);
        assert_eq!(read(b"[1E5, 1e5]").unwrap().to_string(), "[1e+5,1e+5]");
    }

    #[test]
    fn an_object_of_serde_json_s_own_stays_one() {
        let text = r#"{"$serde_json::private::Number":"12"}"#;
        let value = read(text.as_bytes()).unwrap();
        assert!(value.is_object());
        assert_eq!(value.to_string(), text);
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        for (text, line, column) in [
            ("", 1, 1),
            ("{", 1, 2),
            ("[1,]", 1, 4),
            ("[1 2]", 1, 4),
            ("{\"a\":1,}", 1, 8),
            ("{a:1}", 1, 2),
            ("[\n 01]", 2, 2),
            ("[1.]", 1, 2),
            ("[+1]", 1, 2),
            ("[.5]", 1, 2),
            ("[1e]", 1, 2),
            ("nul", 1, 1),
            ("nullx", 1, 5),
            ("NaN", 1, 1),
            ("\"a", 1, 3),
            ("\"a\\", 1, 4),
            ("\"\\x\"", 1, 1),
            ("\"\\ud800\"", 1, 1),
            ("\"a\nb\"", 1, 3),
            ("1 1", 1, 3),
        ] {
            assert_eq!(fault(text), (Reason::Syntax, line, column), "{text}");
        }
        let fault = read(b"\"\xff\"").unwrap_err();
        assert_eq!(fault.line_and_column(b"\"\xff\""), (1, 2));
    }

    #[test]
    fn a_name_that_an_object_has_twice_is_refused_wherever_it_is() {
        assert_eq!(fault(r#"{"a":1,"b":2,"a":1}"#), (Reason::NameTwice, 1, 14));
        assert_eq!(
            fault("[{\"c\":{\"a\":1,\n\"\\u0061\":2}}]"),
            (Reason::NameTwice, 2, 1)
        );
        assert!(read(br#"[{"a":1},{"a":{"a":1}}]"#).is_ok());
    }

    #[test]
    fn what_would_grow_when_it_is_written_out_is_refused_for_what_it_is() {
        for number in [
            "1e400",
            "-1e309",
            "1e-401",
            "0e99999",
            "1e99999999999",
            &"1".repeat(1_001),
        ] {
            assert_eq!(fault(number), (Reason::NumberTooLarge, 1, 1), "{number}");
        }
        for number in ["1e308", "-1e-400", "0", &format!("0.{}", "1".repeat(900))] {
            assert!(read(number.as_bytes()).is_ok(), "{number}");
        }
        let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(read(nested(127).as_bytes()).is_ok());
        assert_eq!(fault(&nested(128)), (Reason::TooDeep, 1, 128));
        assert_eq!(fault(&"[".repeat(100_000)).0, Reason::TooDeep);
    }
}
