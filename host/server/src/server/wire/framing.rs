//! Where one HTTP/1 request ends and the next begins, by one strict reading.

use super::head::{Framing, Head, Malformed, is_field};

/// What a client that speaks HTTP/2 at once begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of the line of a chunk's size, its extensions included.
const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Bytes of all trailers together.
const TRAILER_BYTES_MAX: usize = 16 << 10;
/// Digits of a chunk's size: no body is ever as large as a TiB.
const CHUNK_DIGITS_MAX: usize = 10;

/// Where and why bytes were refused. Nothing from `at` on was passed.
#[derive(Debug, PartialEq, Eq)]
pub enum WireError {
    Malformed { at: usize, why: &'static str },
    Overlong { at: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes of the preface came, and nothing else.
    Preface(usize),
    Head,
    Sized(u64),
    ChunkSize,
    ChunkData(u64),
    /// The line end behind a chunk's data.
    ChunkEnd,
    Trailers,
    /// HTTP/2, which frames its messages by itself.
    Framed,
    /// Something was refused; nothing passes any more.
    Shut,
}

/// Follows one connection's bytes.
pub struct RequestFramer {
    state: State,
    head: Head,
    line: Vec<u8>,
    /// Bytes of the head, or of the trailers, so far.
    bytes: usize,
    head_bytes_max: usize,
}

impl RequestFramer {
    pub fn new(head_bytes_max: usize) -> RequestFramer {
        RequestFramer {
            state: State::Preface(0),
            head: Head::default(),
            line: Vec::new(),
            bytes: 0,
            head_bytes_max,
        }
    }

    /// A head has begun and has not ended. Before the first byte of a connection
    /// one is owed too.
    pub fn in_head(&self) -> bool {
        match self.state {
            State::Preface(_) => true,
            State::Head => self.bytes > 0,
            _ => false,
        }
    }

    /// The client may still send what nobody will read.
    pub fn owes(&self) -> bool {
        match self.state {
            State::Framed => false,
            State::Preface(matched) => matched > 0,
            State::Head => self.bytes > 0,
            _ => true,
        }
    }

    pub fn is_shut(&self) -> bool {
        self.state == State::Shut
    }

    /// Follows the next bytes, all of them or up to the first that is refused.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match self.step(rest) {
                Ok(taken) => at += taken,
                Err(refused) => {
                    self.state = State::Shut;
                    return Err(match refused {
                        WireError::Malformed { at: here, why } => {
                            WireError::Malformed { at: at + here, why }
                        }
                        WireError::Overlong { at: here } => WireError::Overlong { at: at + here },
                    });
                }
            }
        }
        Ok(())
    }

    /// Takes at least one byte, or refuses.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, WireError> {
        match self.state {
            State::Preface(matched) => self.preface(matched, bytes),
            State::Sized(left) => Ok(self.data(bytes, left, State::Sized, State::Head)),
            State::ChunkData(left) => Ok(self.data(bytes, left, State::ChunkData, State::ChunkEnd)),
            State::Framed | State::Shut => Ok(bytes.len()),
            State::Head | State::ChunkSize | State::ChunkEnd | State::Trailers => self.line(bytes),
        }
    }

    /// As long as the bytes are the preface's they may be both.
    fn preface(&mut self, matched: usize, bytes: &[u8]) -> Result<usize, WireError> {
        let expected = PREFACE.get(matched..).unwrap_or_default();
        let same = expected.iter().zip(bytes).take_while(|(a, b)| a == b);
        let same = same.count();
        if same == expected.len() {
            self.state = State::Framed;
        } else if same == bytes.len() {
            self.state = State::Preface(matched + same);
        } else {
            self.state = State::Head;
            let sofar = PREFACE.get(..matched).unwrap_or_default();
            // What looked like the preface goes the way of every head.
            let before = self.pass(sofar);
            if before.is_err() {
                return Err(malformed(0, "no request line"));
            }
            return Ok(0);
        }
        Ok(same)
    }

    fn data(&mut self, bytes: &[u8], left: u64, more: impl Fn(u64) -> State, end: State) -> usize {
        let taken = left.min(bytes.len() as u64);
        self.state = match left - taken {
            0 => end,
            left => more(left),
        };
        usize::try_from(taken).unwrap_or(bytes.len())
    }

    fn line(&mut self, bytes: &[u8]) -> Result<usize, WireError> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(bytes.len(), |end| end + 1);
        self.bound(taken)?;
        let text = bytes.get(..end.unwrap_or(taken)).unwrap_or_default();
        self.line.extend_from_slice(text);
        let Some(end) = end else {
            return Ok(taken);
        };
        let line = std::mem::take(&mut self.line);
        let Some(text) = line.strip_suffix(b"\r") else {
            return Err(malformed(end, "a line ends without CR"));
        };
        self.ended(text)
            .map_err(|Malformed(why)| malformed(end, why))?;
        self.line = line;
        self.line.clear();
        Ok(taken)
    }

    /// Counts bytes of the lines of one part against what it may have.
    fn bound(&mut self, more: usize) -> Result<(), WireError> {
        let max = match self.state {
            State::Head => self.head_bytes_max,
            State::Trailers => TRAILER_BYTES_MAX,
            _ => CHUNK_LINE_BYTES_MAX,
        };
        let room = max.saturating_sub(self.bytes);
        if more <= room {
            self.bytes += more;
            return Ok(());
        }
        Err(match self.state {
            State::Head => WireError::Overlong { at: room },
            _ => malformed(0, "a chunk's size or the trailers are too long"),
        })
    }

    /// One line is whole.
    fn ended(&mut self, line: &[u8]) -> Result<(), Malformed> {
        match self.state {
            State::ChunkSize => self.enter(match chunk_size(line)? {
                0 => State::Trailers,
                bytes => State::ChunkData(bytes),
            }),
            State::ChunkEnd if line.is_empty() => self.enter(State::ChunkSize),
            State::ChunkEnd => return Err(Malformed("a chunk is longer than its size")),
            State::Trailers if line.is_empty() => self.enter(State::Head),
            State::Trailers => is_field(line).map(drop)?,
            _ if line.is_empty() && self.head.is_new() => {}
            _ if line.is_empty() => {
                let head = std::mem::take(&mut self.head);
                self.enter(match head.framing()? {
                    Framing::Sized(0) => State::Head,
                    Framing::Sized(bytes) => State::Sized(bytes),
                    Framing::Chunked => State::ChunkSize,
                });
            }
            _ => self.head.line(line)?,
        }
        Ok(())
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.bytes = 0;
    }
}

fn malformed(at: usize, why: &'static str) -> WireError {
    WireError::Malformed { at, why }
}

/// The size in front of a chunk. Extensions mean nothing here (RFC 9112, section
/// 7.1.1) and pass where they are plain text.
fn chunk_size(line: &[u8]) -> Result<u64, Malformed> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let digits = digits.count();
    let (size, extensions) = line.split_at(digits);
    let plain = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    let extends = extensions.first().is_none_or(|first| *first == b';');
    if !(1..=CHUNK_DIGITS_MAX).contains(&digits) || !extends || !extensions.iter().all(plain) {
        return Err(Malformed("a chunk's size cannot be read"));
    }
    let text = std::str::from_utf8(size).map_err(|_| Malformed("a chunk's size is no text"))?;
    u64::from_str_radix(text, 16).map_err(|_| Malformed("a chunk's size is too large"))
}

#[cfg(test)]
mod tests;
