//! Search terms of a text, which are the same however people type it.
//!
//! A text is normalised first: to one width, canonical decomposition (UAX #15, NFD),
//! lower case, and without the marks that people leave out. Then it is split into runs
//! of letters and digits. In a script with spaces a run is a word, and a term. In
//! Chinese, Japanese, Thai, Lao, Khmer and Burmese a run is a sentence, which no rule
//! splits into words: there each two adjacent characters are a term, and so is the last
//! character, so that every part of the sentence is found.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use unicode_normalization::char::{canonical_combining_class, decompose_canonical};

/// The most different terms of a text. Text after that is not found.
const TERMS_MAX: usize = 2_000;
/// Characters of a word that count.
const WORD_CHARS_MAX: usize = 100;
/// The last position in a `tsvector`, and positions of one term (source: Postgres,
/// limitations of text search).
const POSITION_MAX: usize = 16_383;
const POSITIONS_MAX: usize = 255;

/// A run of letters and digits of a folded text.
#[derive(Clone, Debug, PartialEq)]
pub enum Run {
    /// Of a script that writes spaces.
    Word(String),
    /// Of one that does not.
    Sentence(Vec<char>),
}

impl Run {
    fn new(mut letters: Vec<char>, is_sentence: bool) -> Self {
        // The canonical order of the marks of each letter (UAX #15).
        let is_mark = |letter: &char| canonical_combining_class(*letter) > 0;
        for letter in letters.chunk_by_mut(|_, next| is_mark(next)) {
            letter.sort_by_key(|part| canonical_combining_class(*part));
        }
        match is_sentence {
            true => Run::Sentence(letters),
            false => Run::Word(letters.into_iter().take(WORD_CHARS_MAX).collect()),
        }
    }

    /// The terms of a run of a text.
    fn terms(&self) -> Vec<String> {
        match self {
            Run::Word(word) => vec![word.clone()],
            Run::Sentence(letters) => {
                let last = letters.last().map(char::to_string);
                pairs(letters).chain(last).collect()
            }
        }
    }
}

/// Each two neighbours.
pub fn pairs(letters: &[char]) -> impl Iterator<Item = String> + '_ {
    letters.windows(2).map(|pair| pair.iter().collect())
}

/// The runs of a text, folded.
pub fn runs(text: &str) -> impl Iterator<Item = Run> + '_ {
    let mut letters = folded(text).peekable();
    std::iter::from_fn(move || {
        while letters.next_if(|letter| !is_letter(*letter)).is_some() {}
        let is_sentence = is_unspaced(*letters.peek()?);
        let belongs = |letter: &char| is_letter(*letter) && is_unspaced(*letter) == is_sentence;
        let run = std::iter::from_fn(|| letters.next_if(belongs)).collect();
        Some(Run::new(run, is_sentence))
    })
}

/// What a ticket is found by, as the text of a `tsvector`.
pub fn vector(subject: &str, description: &str) -> String {
    let mut terms: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut position = 0;
    let runs = runs(subject).chain(runs(description));
    for term in runs.flat_map(|run| run.terms()) {
        position += 1;
        if position > POSITION_MAX {
            break;
        }
        let is_full = terms.len() == TERMS_MAX;
        match terms.entry(term) {
            Entry::Vacant(_) if is_full => break,
            Entry::Vacant(free) => {
                free.insert(vec![position]);
            }
            Entry::Occupied(mut known) if known.get().len() < POSITIONS_MAX => {
                known.get_mut().push(position);
            }
            Entry::Occupied(_) => {}
        }
    }
    let written = terms.iter().map(|(term, positions)| {
        let positions: Vec<String> = positions.iter().map(usize::to_string).collect();
        format!("'{term}':{}", positions.join(","))
    });
    written.collect::<Vec<_>>().join(" ")
}

fn folded(text: &str) -> impl Iterator<Item = char> + '_ {
    let letters = text.chars().map(of_one_width).flat_map(decomposed);
    let lower = letters.flat_map(char::to_lowercase);
    lower.filter(|letter| !is_left_out(*letter)).flat_map(plain)
}

/// What the narrow Kana from U+FF61 on are in full width, the two marks last.
const WIDE_KANA: &str = "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノ\
    ハヒフヘホマミムメモヤユヨラリルレロワン\u{3099}\u{309a}";

/// Latin letters and digits of full width as they are in ASCII, and narrow Kana as they
/// are in full width.
fn of_one_width(letter: char) -> char {
    let code = u32::from(letter);
    let other = match code {
        0xff01..=0xff5e => char::from_u32(code - 0xfee0),
        0xff61..=0xff9f => WIDE_KANA.chars().nth((code - 0xff61) as usize),
        _ => None,
    };
    other.unwrap_or(letter)
}

/// A letter and its marks, of which there are three at most.
fn decomposed(letter: char) -> impl Iterator<Item = char> {
    let (mut parts, mut number) = (['\0'; 4], 0);
    decompose_canonical(letter, |part| {
        if let Some(free) = parts.get_mut(number) {
            *free = part;
            number += 1;
        }
    });
    parts.into_iter().take(number)
}

/// Marks over, under and through letters, the vowels of Hebrew, Arabic and Syriac, and
/// what is not seen. By the canonical combining class (UAX #44, table 15): what makes
/// another letter in Indic scripts, Kana, Thai, Lao and Tibetan (7 to 9 and 84 to 132)
/// stays.
fn is_left_out(letter: char) -> bool {
    let is_unseen = matches!(
        letter,
        '\u{ad}' | '\u{640}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
    );
    is_unseen || matches!(canonical_combining_class(letter), 1 | 10..=36 | 200..)
}

/// Letters that have no decomposition, as people type them who lack them.
fn plain(letter: char) -> impl Iterator<Item = char> {
    let typed = match letter {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ħ' => "h",
        'ı' => "i",
        'ł' => "l",
        'ŧ' => "t",
        'þ' => "th",
        'ς' => "σ",
        _ => "",
    };
    let own = typed.is_empty().then_some(letter);
    own.into_iter().chain(typed.chars())
}

/// Letters and digits, and the marks within words: those that have a combining class, and
/// of Thai, Lao, Burmese and Khmer those that have none.
fn is_letter(letter: char) -> bool {
    let is_vowel = matches!(
        letter,
        '\u{0e31}'..='\u{0e4e}' | '\u{0eb1}'..='\u{0ece}' | '\u{102b}'..='\u{103e}' | '\u{17b4}'..='\u{17d3}'
    );
    letter.is_alphanumeric() || is_vowel || canonical_combining_class(letter) > 0
}

/// Whether a letter is of a script that writes no spaces (source: the blocks of
/// Unicode 16): Thai and Lao, Burmese, Khmer, Kana and Bopomofo, Han.
fn is_unspaced(letter: char) -> bool {
    matches!(letter,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{312f}' | '\u{31a0}'..='\u{31ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        let words = runs(text).map(|run| match run {
            Run::Word(word) => word,
            Run::Sentence(letters) => letters.into_iter().collect(),
        });
        words.collect()
    }

    #[test]
    fn what_differs_by_how_it_is_typed_is_the_same() {
        for (typed, plain) in [
            ("Cr\u{e8}me", "creme"),
            ("Cre\u{300}me", "creme"),
            ("STRASSE", "straße"),
            ("Łódź", "lodz"),
            ("İstanbul", "istanbul"),
            ("Ｆｕｌｌ", "full"),
            ("ｶﾞ", "ガ"),
            ("ﬁne", "fine"),
            ("กุ\u{0e48}", "ก\u{0e48}ุ"),
            ("ΟΔΟΣ", "οδος"),
            ("ёлка", "елка"),
            ("مُحَمَّد", "محمد"),
            ("co\u{ad}operate", "cooperate"),
        ] {
            assert_eq!(words(typed), words(plain), "{typed}");
        }
        assert_ne!(words("が"), words("か"), "another letter stays another one");
    }

    #[test]
    fn texts_are_cut_at_what_is_neither_letter_nor_digit_and_between_scripts() {
        assert_eq!(words("a.b@c-1, d"), ["a", "b", "c", "1", "d"]);
        assert_eq!(words("iPhoneの画面"), ["iphone", "の画面"]);
        assert_eq!(words("!? \u{1f600}"), [""; 0]);
        assert_eq!(words("हिन्दी भाषा").len(), 2, "a virama is part of its word");
    }

    #[test]
    fn sentence_is_found_by_each_two_neighbours_and_its_last_character() {
        assert_eq!(vector("暗いa", "暗"), "'a':3 'い':2 '暗':4 '暗い':1");
    }

    #[test]
    fn long_texts_are_found_by_their_beginning() {
        let many: Vec<String> = (0..3_000).map(|word| format!("w{word}")).collect();
        assert_eq!(vector(&many.join(" "), "").split(' ').count(), TERMS_MAX);
        let same = vector("", &"a ".repeat(40_000));
        assert_eq!(same.matches(',').count(), POSITIONS_MAX - 1);
        let long = vector(&"x".repeat(5_000), "");
        assert_eq!(long.len(), WORD_CHARS_MAX + "'':1".len());
    }

    proptest! {
        #[test]
        fn vector_has_nothing_but_terms_and_positions(text in ".{0,200}") {
            for entry in vector(&text, "").split(' ').filter(|entry| !entry.is_empty()) {
                let (term, positions) = entry.rsplit_once(':').unwrap();
                let term = term.strip_prefix('\'').and_then(|term| term.strip_suffix('\''));
                prop_assert!(term.unwrap().chars().all(is_letter));
                prop_assert!(positions.split(',').all(|one| one.parse::<u16>().is_ok()));
            }
        }
    }
}
