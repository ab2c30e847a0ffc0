//! The forms in which a secret is repeated, and the search for all of them at once.

use std::collections::{BTreeMap, HashSet};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};

use super::{
    SHORTEST,
    view::{LONGEST_SPELLING, View},
};

/// Fewest letters of a piece of a secret that a cut may leave.
const SHORTEST_PIECE: usize = 4;

/// The forms of all secrets, in the letters in which they are looked for.
#[derive(Default)]
pub(super) struct Forms(BTreeMap<Vec<u8>, Shape>);

/// What of a form is the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    /// All of it.
    Whole,
    /// All of it, and of the letter before it and the one behind it some bits.
    Base64,
    /// What stands after so many letters, and before so many.
    Between(usize, usize),
}

impl Forms {
    /// How many there are: they only become more.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Adds every form of a secret.
    pub(super) fn add(&mut self, secret: &str) {
        for plain in levels(secret) {
            self.add_form(&squeezed(&plain), Shape::Whole);
            self.add_form(&hexadecimal(&plain), Shape::Whole);
            for before in 0..3 {
                let shifted = [&[0; 3][..before], &plain].concat();
                for encoded in [
                    BASE64_STANDARD_NO_PAD.encode(&shifted),
                    BASE64_URL_SAFE_NO_PAD.encode(&shifted),
                ] {
                    let core = core_of(encoded.as_bytes(), before, plain.len());
                    self.add_form(&squeezed(core), Shape::Base64);
                    self.add_form(core, Shape::Base64);
                }
            }
            self.add_form(&plain, Shape::Whole);
        }
    }

    /// Adds a value of any length, where it stands after the name of its header.
    pub(super) fn add_after(&mut self, name: &str, value: &str) {
        let written = format!("{name}: {value}").into_bytes();
        let squeezed = [squeezed(name.as_bytes()), squeezed(value.as_bytes())];
        if !squeezed[1].is_empty() {
            let shape = Shape::Between(squeezed[0].len(), 0);
            self.0.insert(squeezed.concat().to_ascii_lowercase(), shape);
        }
        if !value.is_empty() {
            let shape = Shape::Between(written.len() - value.len(), 0);
            self.0.insert(written.to_ascii_lowercase(), shape);
        }
    }

    /// Adds a value of any length, where it stands before something.
    pub(super) fn add_before(&mut self, value: &str, end: &str) {
        if !value.is_empty() {
            let written = format!("{value}{end}").into_bytes();
            self.0
                .insert(written.to_ascii_lowercase(), Shape::Between(0, end.len()));
        }
    }

    fn add_form(&mut self, form: &[u8], shape: Shape) {
        if form.len() >= SHORTEST {
            self.0.entry(form.to_ascii_lowercase()).or_insert(shape);
        }
    }

    /// What looks for all of them at once.
    pub(super) fn search(&self) -> Search {
        let (forms, shapes): (Vec<Vec<u8>>, Vec<Shape>) =
            self.0.iter().map(|(form, shape)| (form.clone(), *shape)).unzip();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&forms)
            .ok();
        let whole = self.0.iter().filter(|(_, shape)| !matches!(shape, Shape::Between(..)));
        let pieces = whole.flat_map(|(form, _)| form.windows(SHORTEST).map(<[u8]>::to_vec));
        Search {
            automaton,
            pieces: pieces.collect(),
            forms,
            shapes,
        }
    }
}

/// Looks for all forms of all secrets in one pass.
pub(super) struct Search {
    /// `None` where there are more letters to look for than a search can have, gigabytes of them.
    automaton: Option<AhoCorasick>,
    forms: Vec<Vec<u8>>,
    shapes: Vec<Shape>,
    /// The shortest pieces by which a secret is known where a reader puts it together: what is told may be some of them.
    pieces: HashSet<Vec<u8>>,
}

impl Search {
    /// Where secrets stand in a text.
    pub(super) fn spans(&self, text: &str) -> Vec<(usize, usize)> {
        let Some(automaton) = &self.automaton else {
            // What cannot be looked through is not shown.
            return vec![(0, text.len())];
        };
        let mut spans = Vec::new();
        let as_it_is = View::of(text);
        for view in as_it_is.joined().levels() {
            self.look_for_pieces(&view, &mut spans);
        }
        for view in as_it_is.levels() {
            self.look(automaton, &view, text, &mut spans);
        }
        spans
    }

    fn look_for_pieces(&self, view: &View, spans: &mut Vec<(usize, usize)>) {
        let letters = view.letters.to_ascii_lowercase();
        for (at, piece) in letters.windows(SHORTEST).enumerate() {
            if self.pieces.contains(piece) {
                spans.extend(places(view, at, at + SHORTEST));
            }
        }
    }

    fn look(&self, automaton: &AhoCorasick, view: &View, text: &str, spans: &mut Vec<(usize, usize)>) {
        for found in automaton.find_overlapping_iter(&view.letters) {
            let shape = self.shapes[found.pattern().as_usize()];
            let (start, end) = match shape {
                Shape::Whole | Shape::Base64 => (found.start(), found.end()),
                Shape::Between(before, behind) => (found.start() + before, found.end() - behind),
            };
            spans.extend(widened(shape, text, places(view, start, end)));
        }
        for (end, begin) in view.cuts() {
            // The cut may stand inside of what spells a letter.
            let mut before = view.letters[..end].iter().rev().take(LONGEST_SPELLING);
            let spelling = before.position(|letter| matches!(letter, b'%' | b'\\' | b'&'));
            let ends = [Some(end), spelling.map(|back| end - back - 1)];
            for (form, shape) in self.forms.iter().zip(&self.shapes) {
                if matches!(shape, Shape::Between(..)) {
                    continue;
                }
                for last in ends.into_iter().flatten() {
                    if let Some(piece) = overlap(&view.letters[..last], form) {
                        spans.extend(widened(*shape, text, places(view, last - piece, end)));
                    }
                }
                if let Some(piece) = overlap(form, &view.letters[begin..]) {
                    spans.extend(widened(*shape, text, places(view, begin, begin + piece)));
                }
            }
        }
    }
}

/// Where letters stand in the text: piece by piece, since letters that were put together stand apart.
fn places(view: &View, start: usize, end: usize) -> Vec<(usize, usize)> {
    let mut places: Vec<(usize, usize)> = Vec::new();
    for at in start..end {
        let (from, to) = view.place(at, at + 1);
        match places.last_mut() {
            // What was squeezed out between two letters belongs to them.
            Some(last) if from >= last.0 && from <= last.1 + LONGEST_SPELLING => last.1 = to.max(last.1),
            _ => places.push((from, to)),
        }
    }
    places
}

/// With the letters that base64 shares with its neighbours.
fn widened(shape: Shape, text: &str, mut places: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    if shape == Shape::Base64
        && let (Some((start, _)), Some((_, end))) = (places.first().copied(), places.last().copied())
    {
        let bytes = text.as_bytes();
        let is_letter = |letter: &u8| letter.is_ascii_alphanumeric() || b"+/-_".contains(letter);
        let before = start > 0 && is_letter(&bytes[start - 1]);
        let behind = bytes.get(end).is_some_and(is_letter);
        let end = end + usize::from(behind);
        let padding = bytes[end..]
            .iter()
            .take(2)
            .take_while(|letter| **letter == b'=')
            .count();
        places.push((start - usize::from(before), start));
        places.push((end - usize::from(behind), end + padding));
    }
    places
}

/// How many letters end the first and begin the second, whatever their case: the most, and fewer than a whole secret.
fn overlap(first: &[u8], second: &[u8]) -> Option<usize> {
    let most = first.len().min(second.len());
    (SHORTEST_PIECE..=most)
        .rev()
        .find(|length| first[first.len() - length..].eq_ignore_ascii_case(&second[..*length]))
}

/// A secret as it is, and as it reads where it holds by chance what spells letters.
fn levels(secret: &str) -> Vec<Vec<u8>> {
    let levels = View::of(secret).levels().into_iter().step_by(2);
    levels.map(|view| view.letters).collect()
}

fn squeezed(letters: &[u8]) -> Vec<u8> {
    let of_secret = |letter: &u8| letter.is_ascii_alphanumeric() || !letter.is_ascii();
    letters.iter().copied().filter(of_secret).collect()
}

fn hexadecimal(bytes: &[u8]) -> Vec<u8> {
    use std::fmt::Write as _;
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // A string takes everything.
        let _ = write!(digits, "{byte:02x}");
    }
    digits.into_bytes()
}

/// The letters of base64 that depend on nothing but the secret, which has so many bytes before it.
fn core_of(encoded: &[u8], before: usize, length: usize) -> &[u8] {
    let first = (before * 8).div_ceil(6);
    let last = (before + length) * 8 / 6;
    &encoded[first..last]
}
