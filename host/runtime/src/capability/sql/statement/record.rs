//! The bytes of a record: writing and reading them.

use super::{
    AccessMode, Column, Declared, SectionError, StatementSet, Type, UNNAMED, VERSION,
    VERSION_UNNAMED,
};

/// Reads all records of a section. The same statement declared twice is one;
/// declared twice with different types it is refused.
pub fn parse_section(bytes: &[u8]) -> Result<Vec<Declared>, SectionError> {
    let mut reader = Reader { bytes, offset: 0 };
    let mut statements = StatementSet::default();
    while !reader.bytes.is_empty() {
        let length = reader.u32()?;
        let offset = reader.offset;
        let record = Reader {
            bytes: reader.take(length)?,
            offset,
        };
        statements.add(record.declared()?)?;
    }
    Ok(statements.into_list())
}

/// Writes statements as a section. `parse_section` reads exactly these again, as
/// long as they keep the bounds that `join` checks.
pub fn encode(declared: &[Declared]) -> Vec<u8> {
    let mut section = Vec::new();
    for statement in declared {
        let record = encode_record(statement);
        section.extend_from_slice(&length_u32(record.len()));
        section.extend_from_slice(&record);
    }
    section
}

fn encode_record(declared: &Declared) -> Vec<u8> {
    let mut record = vec![VERSION, access_code(declared.access)];
    record.extend_from_slice(&length_u16(declared.name.len()));
    record.extend_from_slice(declared.name.as_bytes());
    record.extend_from_slice(&length_u32(declared.text.len()));
    record.extend_from_slice(declared.text.as_bytes());
    record.extend_from_slice(&length_u16(declared.params.len()));
    record.extend(declared.params.iter().map(|kind| kind.code()));
    record.extend_from_slice(&length_u16(declared.columns.len()));
    for column in &declared.columns {
        record.push(column.kind.code());
        record.push(u8::from(column.nullable));
        record.extend_from_slice(&length_u16(column.name.len()));
        record.extend_from_slice(column.name.as_bytes());
    }
    record
}

fn access_code(access: AccessMode) -> u8 {
    match access {
        AccessMode::Read => 0,
        AccessMode::Write => 1,
    }
}

fn length_u32(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

fn length_u16(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes()
}

/// What is left of a section or record, and where it lies in the section.
struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn declared(mut self) -> Result<Declared, SectionError> {
        let version = self.u8()?;
        if ![VERSION, VERSION_UNNAMED].contains(&version) {
            return Err(SectionError::Version(version));
        }
        let access = self.access()?;
        let name = match version {
            VERSION_UNNAMED => UNNAMED.to_owned(),
            _ => self.name()?,
        };
        let length = self.u32()?;
        let text = self.text(length)?;
        let params = (0..self.u16()?)
            .map(|_| self.kind())
            .collect::<Result<_, _>>()?;
        let columns = (0..self.u16()?)
            .map(|_| self.column())
            .collect::<Result<_, _>>()?;
        match self.bytes.len() {
            0 => Ok(Declared {
                name,
                text,
                params,
                columns,
                access,
            }),
            bytes => Err(SectionError::Trailing {
                offset: self.offset,
                bytes,
            }),
        }
    }

    fn column(&mut self) -> Result<Column, SectionError> {
        let kind = self.kind()?;
        let nullable = match self.u8()? {
            0 => false,
            1 => true,
            code => {
                return Err(SectionError::Code {
                    what: "nullable",
                    code,
                });
            }
        };
        Ok(Column {
            name: self.name()?,
            kind,
            nullable,
        })
    }

    fn name(&mut self) -> Result<String, SectionError> {
        let length = self.u16()?;
        self.text(usize::from(length))
    }

    fn access(&mut self) -> Result<AccessMode, SectionError> {
        match self.u8()? {
            0 => Ok(AccessMode::Read),
            1 => Ok(AccessMode::Write),
            code => Err(SectionError::Code {
                what: "access",
                code,
            }),
        }
    }

    fn kind(&mut self) -> Result<Type, SectionError> {
        let code = self.u8()?;
        Type::from_code(code).ok_or(SectionError::Code { what: "type", code })
    }

    fn text(&mut self, length: usize) -> Result<String, SectionError> {
        let offset = self.offset;
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| SectionError::NotUtf8 { offset })?;
        Ok(text.to_owned())
    }

    fn u8(&mut self) -> Result<u8, SectionError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16, SectionError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<usize, SectionError> {
        let number = u32::from_le_bytes(self.array()?);
        usize::try_from(number).map_err(|_| SectionError::Truncated {
            offset: self.offset,
        })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SectionError> {
        let offset = self.offset;
        let bytes = self.take(N)?;
        bytes
            .try_into()
            .map_err(|_| SectionError::Truncated { offset })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], SectionError> {
        let split = self.bytes.split_at_checked(length);
        let (taken, rest) = split.ok_or(SectionError::Truncated {
            offset: self.offset,
        })?;
        self.bytes = rest;
        self.offset += length;
        Ok(taken)
    }
}
