//! The head of an HTTP/1 request, as far as it says where the request ends and
//! whom it is for.

/// Why a head is refused, for the log alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// How the body ends (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Sized(u64),
    Chunked,
}

/// What of a head was read so far.
#[derive(Debug, Default)]
pub struct Head {
    minor: Option<u8>,
    /// The authority of a target in absolute form.
    authority: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
    length: Option<u64>,
    chunked: bool,
}

impl Head {
    /// Not even the request line was read.
    pub fn is_new(&self) -> bool {
        self.minor.is_none()
    }

    /// Reads one line, without its end.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        match self.minor {
            None => self.request_line(line),
            Some(_) => self.field(line),
        }
    }

    /// Judges the whole.
    pub fn framing(self) -> Result<Framing, Malformed> {
        if self.host.is_none() && self.minor == Some(1) {
            return Err(Malformed("no Host"));
        }
        let differs = |authority: &Vec<u8>| {
            let host = self.host.as_deref().unwrap_or(authority);
            !authority.eq_ignore_ascii_case(host)
        };
        if self.authority.as_ref().is_some_and(differs) {
            return Err(Malformed("Host is not the target's"));
        }
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Malformed("Content-Length and Transfer-Encoding")),
            (None, true) if self.minor == Some(0) => {
                Err(Malformed("Transfer-Encoding in HTTP/1.0"))
            }
            (None, true) => Ok(Framing::Chunked),
            (length, false) => Ok(Framing::Sized(length.unwrap_or(0))),
        }
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Malformed("the request line does not have three parts"));
        };
        if method.is_empty() || !method.iter().all(is_token) || method == b"CONNECT" {
            return Err(Malformed("the method"));
        }
        self.authority = authority(method, target)?;
        self.minor = Some(match version {
            b"HTTP/1.1" => 1,
            b"HTTP/1.0" => 0,
            _ => return Err(Malformed("the version")),
        });
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let (name, value) = is_field(line)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = length(value)?;
            return set_once(&mut self.length, length, "two of Content-Length");
        }
        if name.eq_ignore_ascii_case(b"host") {
            if !value.iter().all(is_authority) {
                return Err(Malformed("Host"));
            }
            return set_once(&mut self.host, value.to_vec(), "two of Host");
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Malformed("a Transfer-Encoding other than chunked"));
            }
            self.chunked = true;
        }
        Ok(())
    }
}

fn set_once<T>(place: &mut Option<T>, value: T, why: &'static str) -> Result<(), Malformed> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Malformed(why)),
    }
}

/// Name and value of a field. White space before the colon and continuation lines are
/// not allowed (RFC 9112, sections 5.1 and 5.2).
pub fn is_field(line: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let colon = line.iter().position(|byte| *byte == b':');
    let Some((name, rest)) = colon.map(|colon| line.split_at(colon)) else {
        return Err(Malformed("a field without a colon"));
    };
    let value = rest.get(1..).unwrap_or_default().trim_ascii();
    if name.is_empty() || !name.iter().all(is_token) {
        return Err(Malformed("a field's name"));
    }
    let plain = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    if !rest.iter().all(plain) {
        return Err(Malformed("a field's value"));
    }
    Ok((name, value))
}

/// Digits alone: no sign, no list.
fn length(value: &[u8]) -> Result<u64, Malformed> {
    let bad = Malformed("Content-Length is not a number");
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(bad);
    }
    let text = std::str::from_utf8(value).map_err(|_| bad)?;
    text.parse().map_err(|_| bad)
}

/// Parses the target: a path, `*` for OPTIONS, or an absolute URI, whose authority is
/// returned.
fn authority(method: &[u8], target: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    if !target.iter().all(|byte| *byte > b' ' && *byte != 0x7f) {
        return Err(Malformed("the target"));
    }
    if target.starts_with(b"/") || (target == b"*" && method == b"OPTIONS") {
        return Ok(None);
    }
    let rest = [&b"http://"[..], b"https://"]
        .into_iter()
        .find_map(|scheme| {
            let (start, rest) = target.split_at_checked(scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then_some(rest)
        });
    let Some(rest) = rest else {
        return Err(Malformed("the target's form"));
    };
    let ends = |byte: &u8| matches!(byte, b'/' | b'?' | b'#');
    let authority = rest.split(ends).next().unwrap_or_default();
    match !authority.is_empty() && authority.iter().all(is_authority) {
        true => Ok(Some(authority.to_vec())),
        false => Err(Malformed("the target's authority")),
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// A host and a port (RFC 3986, section 3.2), without a user and without the
/// comma that would make a list of it.
fn is_authority(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=:%[]".contains(byte)
}
