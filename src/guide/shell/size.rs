//! How much of a text could cost the parser more than it may; each an estimate from above, made before it is asked.

/// Words of bash's grammar that open something.
const OPENING_WORDS: [&str; 14] = [
    "!", "case", "coproc", "do", "elif", "else", "for", "function", "if", "select", "then", "time", "until", "while",
];

/// How deep a reader that calls itself at everything that opens could get; an estimate from above.
pub(super) fn openings(text: &str) -> usize {
    let text = text.replace("\\\n", "");
    let count = |is_one: fn(char) -> bool| text.chars().filter(|sign| is_one(*sign)).count();
    count(|sign| matches!(sign, '(' | '{'))
        + count(|sign| sign == '`').div_ceil(2)
        + words(&text).filter(|word| OPENING_WORDS.contains(word)).count()
}

/// How many `case` may open one; an estimate from above.
pub(super) fn cases(text: &str) -> usize {
    words(&text.replace("\\\n", "")).filter(|word| *word == "case").count()
}

/// What may be words of the grammar.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|sign: char| sign.is_whitespace() || ";&|()<>`".contains(sign))
}

/// How many parentheses may open a group; an estimate from above. Those of `$(` do not, unless the `$` is no sign of its own.
pub(super) fn groups(text: &str) -> usize {
    let text = text.replace("\\\n", "");
    let opens = text.match_indices('(').filter(|(at, _)| {
        let mut before = text[..*at].bytes().rev();
        before.next() != Some(b'$') || matches!(before.next(), Some(b'$' | b'\\'))
    });
    opens.count()
}

/// The most digits of a number that the parser takes where a number means something to a shell; at more it panics.
const MOST_DIGITS: usize = 9;

/// Whether a number of many digits stands where a shell counts: before a redirection, behind a tilde, in a range.
pub(super) fn has_huge_number(text: &str) -> bool {
    let text = text.replace("\\\n", "");
    let mut rest = text.as_str();
    let mut before = "";
    while let Some(at) = rest.find(|sign: char| sign.is_ascii_digit()) {
        let (head, tail) = rest.split_at(at);
        if !head.is_empty() {
            before = head;
        }
        let end = tail.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(tail.len());
        let after = &tail[end..];
        let counts = after.starts_with(['<', '>'])
            || after.starts_with("..")
            || ["..", "..-", "~", "~+", "~-"].iter().any(|sign| before.ends_with(sign));
        if end > MOST_DIGITS && counts {
            return true;
        }
        rest = after;
    }
    false
}
