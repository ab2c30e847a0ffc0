//! How many pieces JSON has, told before it is read into values: text of a few bytes may take a thousand times as much memory.

/// What JSON is made of.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pieces {
    /// Its objects, each within another counted.
    pub(crate) objects: usize,
    /// Its other values, about.
    pub(crate) others: usize,
    is_quoted: bool,
    is_escaped: bool,
}

impl Pieces {
    /// Counts those of a text.
    pub(crate) fn of(json: &[u8]) -> Self {
        let mut pieces = Self::default();
        pieces.feed(json);
        pieces
    }

    /// Counts those of what comes next of a text.
    pub(crate) fn feed(&mut self, json: &[u8]) {
        for byte in json {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = self.is_quoted,
                b'"' => self.is_quoted = !self.is_quoted,
                b'{' if !self.is_quoted => self.objects += 1,
                b',' | b'[' if !self.is_quoted => self.others += 1,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::values(r#"{"a": [1, 2], "b": {}}"#, 2, 3)]
    #[case::words(r#"["{,,{[ \" ,,", "\\"]"#, 0, 2)]
    fn pieces_are_counted_and_words_are_none(#[case] json: &str, #[case] objects: usize, #[case] others: usize) {
        let mut by_bytes = Pieces::default();
        json.as_bytes().chunks(1).for_each(|byte| by_bytes.feed(byte));
        for pieces in [Pieces::of(json.as_bytes()), by_bytes] {
            assert_eq!((pieces.objects, pieces.others), (objects, others));
        }
    }
}
