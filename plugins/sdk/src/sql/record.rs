//! The record of a statement in the custom section `hearth:sql`, made at compile
//! time. All numbers are little-endian.
//!
//! | bytes | meaning |
//! |---|---|
//! | u32 | length of all that follows in this record |
//! | u8 | version, 2 |
//! | u8 | access: 0 read, 1 write |
//! | u16, bytes | length of the function's name, then the name |
//! | u32, bytes | length of the text, then the text in UTF-8 |
//! | u16, u8 each | number of parameters, then a type code for each |
//! | u16, columns | number of columns, then each: type code, nullable 0 or 1, u16 length of the name, the name |

use super::row::Column;

const VERSION: u8 = 2;

/// The length of the whole record.
pub const fn length(name: &str, text: &str, parameters: &[u8], columns: &[Column]) -> usize {
    let mut length = 4 + 2 + 2 + name.len() + 4 + text.len() + 2 + parameters.len() + 2;
    let mut rest = columns;
    while let [column, others @ ..] = rest {
        length += 4 + column.name.len();
        rest = others;
    }
    length
}

/// The record, whose length must be what `length` says.
pub const fn encode<const N: usize>(
    access: u8,
    name: &str,
    text: &str,
    parameters: &[u8],
    columns: &[Column],
) -> [u8; N] {
    let mut record = Writer {
        bytes: [0; N],
        at: 0,
    };
    record.put(&(N as u32 - 4).to_le_bytes());
    record.put(&[VERSION, access]);
    record.put(&(name.len() as u16).to_le_bytes());
    record.put(name.as_bytes());
    record.put(&(text.len() as u32).to_le_bytes());
    record.put(text.as_bytes());
    record.put(&(parameters.len() as u16).to_le_bytes());
    record.put(parameters);
    record.put(&(columns.len() as u16).to_le_bytes());
    let mut rest = columns;
    while let [column, others @ ..] = rest {
        record.put(&[column.code, column.nullable as u8]);
        record.put(&(column.name.len() as u16).to_le_bytes());
        record.put(column.name.as_bytes());
        rest = others;
    }
    record.bytes
}

struct Writer<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Writer<N> {
    const fn put(&mut self, bytes: &[u8]) {
        let (_, free) = self.bytes.split_at_mut(self.at);
        let (target, _) = free.split_at_mut(bytes.len());
        target.copy_from_slice(bytes);
        self.at += bytes.len();
    }
}
