//! A text as it reads once its letters are no longer written as an address, JSON, HTML or a shell writes them, with the
//! place that each letter has in the text.

use std::collections::BTreeMap;

use super::CUT;

/// Between pieces that do not belong together. No letter of UTF-8 has this byte.
const BETWEEN: u8 = 0xff;

/// How often letters may be written with others one inside of the other: JSON in JSON in an address.
const MOST_LEVELS: usize = 4;

/// Longest spelling of one letter that is looked at, in bytes.
pub(super) const LONGEST_SPELLING: usize = 10;

/// What entities of HTML stand for that have a name.
const ENTITIES: &[(&[u8], u8)] = &[
    (b"&quot;", b'"'),
    (b"&apos;", b'\''),
    (b"&amp;", b'&'),
    (b"&lt;", b'<'),
    (b"&gt;", b'>'),
    (b"&nbsp;", b' '),
];

/// The letters of a text, and where each stands in it.
pub(super) struct View {
    pub(super) letters: Vec<u8>,
    from: Vec<u32>,
    to: Vec<u32>,
}

/// The letter that some bytes spell: at most four bytes of UTF-8.
struct Spelled {
    /// How many bytes spell it.
    length: usize,
    letter: [u8; 4],
    letter_bytes: usize,
}

impl View {
    /// The text as it is.
    pub(super) fn of(text: &str) -> Self {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        Self {
            letters: text.as_bytes().to_vec(),
            from: (0..length).collect(),
            to: (1..=length).collect(),
        }
    }

    fn empty() -> Self {
        Self {
            letters: Vec::new(),
            from: Vec::new(),
            to: Vec::new(),
        }
    }

    fn push(&mut self, letter: u8, from: u32, to: u32) {
        self.letters.push(letter);
        self.from.push(from);
        self.to.push(to);
    }

    fn push_from(&mut self, other: &Self, at: usize) {
        self.push(other.letters[at], other.from[at], other.to[at]);
    }

    /// Where letters stand in the text: from the beginning of the first to the end of the last. There is at least one.
    pub(super) fn place(&self, start: usize, end: usize) -> (usize, usize) {
        (self.from[start] as usize, self.to[end - 1] as usize)
    }

    /// The text as it is, and as it reads with letters in place of what spells them, as often as something does; each whole,
    /// and then squeezed.
    pub(super) fn levels(self) -> Vec<Self> {
        let mut levels = Vec::new();
        let mut level = Some(self);
        while let Some(view) = level.take() {
            let (squeezed, decoded) = (view.squeezed(), view.decoded());
            levels.extend([view, squeezed]);
            level = decoded.filter(|_| levels.len() < 2 * MOST_LEVELS);
        }
        levels
    }

    /// With letters in place of what spells them; `None` where nothing does.
    fn decoded(&self) -> Option<Self> {
        let mut decoded = Self::empty();
        let mut at = 0;
        while at < self.letters.len() {
            let Some(spelled) = spelled(&self.letters[at..]) else {
                decoded.push_from(self, at);
                at += 1;
                continue;
            };
            let (from, to) = (self.from[at], self.to[at + spelled.length - 1]);
            for letter in &spelled.letter[..spelled.letter_bytes] {
                decoded.push(*letter, from, to);
            }
            at += spelled.length;
        }
        (decoded.letters.len() < self.letters.len()).then_some(decoded)
    }

    /// Without what is neither letter nor digit: so a line break, a quote, or a colon between digits does not matter, nor
    /// which alphabet base64 is written with.
    fn squeezed(&self) -> Self {
        let mut squeezed = Self::empty();
        for (at, letter) in self.letters.iter().enumerate() {
            if letter.is_ascii_alphanumeric() || !letter.is_ascii() {
                squeezed.push_from(self, at);
            }
        }
        squeezed
    }

    /// What a reader puts together from pieces: the strings that stand under one name, as in the events of a stream, one
    /// after the other; and the `data:` lines of a stream.
    pub(super) fn joined(&self) -> Self {
        let mut pieces: BTreeMap<&[u8], Vec<(usize, usize)>> = BTreeMap::new();
        for (name, start, end) in strings(&self.letters) {
            pieces.entry(name).or_default().push((start, end));
        }
        pieces.entry(b"data:").or_default().extend(data_lines(&self.letters));
        let mut joined = Self::empty();
        for together in pieces.into_values().filter(|pieces| pieces.len() > 1) {
            for (start, end) in together {
                (start..end).for_each(|at| joined.push_from(self, at));
            }
            joined.push(BETWEEN, 0, 0);
        }
        joined
    }

    /// Where the text was cut: where each mark begins, and where it ends.
    pub(super) fn cuts(&self) -> Vec<(usize, usize)> {
        let mut mark = [0; 4];
        let mark = CUT.encode_utf8(&mut mark).as_bytes();
        let windows = self.letters.windows(mark.len()).enumerate();
        windows
            .filter(|(_, window)| *window == mark)
            .map(|(at, _)| (at, at + mark.len()))
            .collect()
    }
}

/// The strings of JSON, whole or in pieces, each with the name that it stands under.
fn strings(text: &[u8]) -> Vec<(&[u8], usize, usize)> {
    let mut found = Vec::new();
    let mut name: &[u8] = b"";
    let mut at = 0;
    while let Some(quote) = text[at..].iter().position(|letter| *letter == b'"') {
        let start = at + quote + 1;
        let Some(end) = end_of_string(text, start) else {
            at = start;
            continue;
        };
        at = end + 1;
        let next = text[at..].iter().find(|letter| !letter.is_ascii_whitespace());
        if next == Some(&b':') {
            name = &text[start..end];
        } else {
            found.push((name, start, end));
        }
    }
    found
}

/// Where the string ends that begins here; `None` where its line ends before.
fn end_of_string(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\n' => return None,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn data_lines(text: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    for line in text.split(|letter| *letter == b'\n') {
        if line.starts_with(b"data:") {
            found.push((at + b"data:".len(), at + line.len()));
        }
        at += line.len() + 1;
    }
    found
}

/// The letter that the beginning of these bytes spells, where they spell one.
fn spelled(bytes: &[u8]) -> Option<Spelled> {
    match bytes.first()? {
        b'%' => Some(Spelled::byte(3, hexadecimal(bytes.get(1..3)?)?)),
        b'\\' => after_backslash(bytes),
        b'&' => entity(bytes),
        // How a shell writes a quote inside of quotes.
        b'\'' if bytes.starts_with(br"'\''") => Some(Spelled::byte(4, b'\'')),
        b'\'' if bytes.starts_with(br#"'"'"'"#) => Some(Spelled::byte(5, b'\'')),
        _ => None,
    }
}

fn after_backslash(bytes: &[u8]) -> Option<Spelled> {
    match *bytes.get(1)? {
        b'u' if bytes.get(2) == Some(&b'{') => {
            let digits = bytes.get(3..)?.iter().take(7).position(|letter| *letter == b'}')?;
            let character = char::from_u32(number(&bytes[3..3 + digits], 16)?)?;
            Some(Spelled::character(digits + 4, character))
        }
        b'u' => {
            let unit = u16::try_from(number(bytes.get(2..6)?, 16)?).ok()?;
            let second = bytes.get(6..12).filter(|second| second.starts_with(br"\u"));
            let second = second.and_then(|second| u16::try_from(number(&second[2..], 16)?).ok());
            let mut units = char::decode_utf16([unit].into_iter().chain(second));
            let character = units.next()?.ok()?;
            Some(Spelled::character(
                if character > '\u{ffff}' { 12 } else { 6 },
                character,
            ))
        }
        b'x' => Some(Spelled::byte(4, hexadecimal(bytes.get(2..4)?)?)),
        b'n' => Some(Spelled::byte(2, b'\n')),
        b'r' => Some(Spelled::byte(2, b'\r')),
        b't' => Some(Spelled::byte(2, b'\t')),
        letter if letter.is_ascii_punctuation() => Some(Spelled::byte(2, letter)),
        _ => None,
    }
}

fn entity(bytes: &[u8]) -> Option<Spelled> {
    if let Some((spelling, letter)) = ENTITIES.iter().find(|(spelling, _)| bytes.starts_with(spelling)) {
        return Some(Spelled::byte(spelling.len(), *letter));
    }
    let (digits, base, before) = match bytes.get(1..3)? {
        b"#x" | b"#X" => (&bytes[3..], 16, 3),
        [b'#', _] => (&bytes[2..], 10, 2),
        _ => return None,
    };
    let end = digits.iter().take(8).position(|letter| *letter == b';')?;
    let character = char::from_u32(number(&digits[..end], base)?)?;
    Some(Spelled::character(before + end + 1, character))
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    number(digits, 16)?.try_into().ok()
}

fn number(digits: &[u8], base: u32) -> Option<u32> {
    // `from_str_radix` would take a sign.
    let all_digits = digits.iter().all(|digit| char::from(*digit).is_digit(base));
    let text = std::str::from_utf8(digits).ok().filter(|_| all_digits)?;
    u32::from_str_radix(text, base).ok()
}

impl Spelled {
    fn byte(length: usize, letter: u8) -> Self {
        Self {
            length,
            letter: [letter, 0, 0, 0],
            letter_bytes: 1,
        }
    }

    fn character(length: usize, character: char) -> Self {
        let mut letter = [0; 4];
        let letter_bytes = character.encode_utf8(&mut letter).len();
        Self {
            length,
            letter,
            letter_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn decoded(text: &str) -> String {
        let view = View::of(text);
        String::from_utf8(view.decoded().unwrap_or(view).letters).unwrap()
    }

    #[rstest]
    #[case::percent("a%2Fb%2f%zz%4", "a/b/%zz%4")]
    #[case::json(r"\u0041\u00e9\ud83d\ude00\n\t\/\q", "Aé😀\n\t/\\q")]
    #[case::rust_and_c(r"\u{1f}\x41", "\u{1f}A")]
    #[case::half_a_pair(r"\ud83d", r"\ud83d")]
    #[case::html("&quot;&#39;&#x27;&#X41;&lt;&nothing;&#;", "\"''A<&nothing;&#;")]
    #[case::shell(r#"it'\''s'"'"'"#, "it's'")]
    fn letters_are_read_as_others_write_them(#[case] text: &str, #[case] plain: &str) {
        assert_eq!(decoded(text), plain);
    }

    #[rstest]
    #[case::events("data: {\"text\":\"ab\"}\n\ndata: {\"text\":\"cd\"}\n", "abcd")]
    #[case::lines("data: ab\ndata: cd\n", "ab cd")]
    fn pieces_are_put_together_as_a_reader_does(#[case] text: &str, #[case] together: &str) {
        let joined = View::of(text).joined();
        let joined = String::from_utf8_lossy(&joined.letters);
        assert!(joined.contains(together), "{joined}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_every_letter_has_a_place(text in r#"[%\\u&#x'"{};a0-9d:\n]{0,40}|.{0,40}"#) {
            let view = View::of(&text);
            for view in [view.decoded(), Some(view.squeezed()), Some(view.joined())].into_iter().flatten() {
                for at in 0..view.letters.len() {
                    let (from, to) = view.place(at, at + 1);
                    prop_assert!(from <= to && to <= text.len());
                }
                view.cuts();
            }
        }
    }
}
