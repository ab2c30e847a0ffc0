//! Reading Server-Sent Events, piece by piece, in whatever pieces they come.
//!
//! Framing as in the HTML standard, section 9.2.6 "Interpreting an event stream": lines end with CR, LF or CR LF, a byte
//! order mark may stand at the beginning, a blank line completes an event. Unlike a browser, which drops what it does not
//! know, this says what would be dropped. What an event means is not known here.

use std::{mem, time::Duration};

use super::{BODY_BOUND, Received};
use crate::redact::cut;

/// Most bytes of a stream that are read; what comes after them is counted and told, and not kept.
pub(crate) const STREAM_BOUND: usize = 4 * BODY_BOUND;

/// Most faults that are kept, one by one.
const FAULTS_BOUND: usize = 32;

/// Most characters of a line that a fault quotes.
const QUOTED: usize = 60;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamEvent {
    /// When the piece came that completed it, counted from sending.
    pub(crate) at: Duration,
    /// Where its first field begins, in bytes from the beginning of the body.
    pub(crate) offset: usize,
    /// Its `event` field; `None` where there is none, or an empty one.
    pub(crate) name: Option<String>,
    /// Its `data` fields, joined with line feeds; invalid UTF-8 is replaced.
    pub(crate) data: String,
}

/// A stream that was read to its end, or to where it broke off.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stream {
    /// The events, in order; each was completed by its blank line.
    pub(crate) events: Vec<StreamEvent>,
    /// How many comment lines there were (lines that begin with `:`); keep-alives are such.
    pub(crate) comments: usize,
    /// Whether the stream ends inside a line, or inside an event that no blank line completes, or was longer than what
    /// was read of it.
    pub(crate) unfinished: bool,
    /// What a lenient reader would drop or replace without a word: invalid UTF-8, NUL, lines that are no field of the
    /// standard, events without data. Each is a fragment of a sentence and names its byte, counted from 0.
    pub(crate) faults: Vec<String>,
}

impl Stream {
    /// The stream that a response's body holds, with the times of the pieces in which it came.
    pub(crate) fn read(received: &Received) -> Self {
        let mut reader = Reader::default();
        let mut rest = received.body.as_slice();
        let mut last = Duration::ZERO;
        for chunk in &received.chunks {
            let (piece, after) = rest.split_at(chunk.bytes.min(rest.len()));
            reader.feed(piece, chunk.at);
            (rest, last) = (after, chunk.at);
        }
        reader.feed(rest, last);
        let kept = received.body.len();
        if kept < received.body_bytes {
            reader.stream.unfinished = true;
            reader.fault(kept, "the body goes on, and its rest was not kept");
        }
        reader.finish()
    }
}

/// Reads a stream as it comes.
#[derive(Debug, Default)]
pub struct Reader {
    stream: Stream,
    /// How many bytes were fed.
    fed: usize,
    /// The line that no line end has completed yet, and where it begins.
    line: Vec<u8>,
    line_from: usize,
    /// Whether the last byte was a CR, so that an LF now would belong to it.
    after_carriage_return: bool,
    block: Block,
    /// How many faults there were, also those that are not kept.
    faults: usize,
}

/// The fields since the last blank line.
#[derive(Debug, Default)]
struct Block {
    /// Where the first of them begins; `None` before there is one.
    from: Option<usize>,
    name: Option<String>,
    /// `None` before the first `data` field.
    data: Option<String>,
}

impl Reader {
    /// Takes the next piece of the stream, which came at `at` (counted from sending).
    pub fn feed(&mut self, bytes: &[u8], at: Duration) {
        let room = STREAM_BOUND.saturating_sub(self.fed);
        let (mut rest, beyond) = bytes.split_at(room.min(bytes.len()));
        while let Some(&first) = rest.first() {
            if mem::take(&mut self.after_carriage_return) && first == b'\n' {
                rest = &rest[1..];
                self.fed += 1;
                self.line_from = self.fed;
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
            self.line.extend_from_slice(part);
            self.fed += part.len();
            rest = after;
            if let Some((end, after)) = rest.split_first() {
                self.after_carriage_return = *end == b'\r';
                self.fed += 1;
                rest = after;
                self.end_line(at);
            }
        }
        if !beyond.is_empty() {
            if self.fed == STREAM_BOUND {
                self.stream.unfinished = true;
                self.fault(STREAM_BOUND, "the stream goes on, and its rest was not read");
            }
            self.fed = self.fed.saturating_add(beyond.len());
        }
    }

    /// What was read.
    pub fn finish(mut self) -> Stream {
        let line = without_mark(&self.line, self.line_from);
        self.stream.unfinished |= !line.is_empty() || self.block.from.is_some();
        let unsaid = self.faults.saturating_sub(self.stream.faults.len());
        if unsaid > 0 {
            self.stream.faults.push(format!("{unsaid} more faults like these"));
        }
        self.stream
    }

    fn end_line(&mut self, at: Duration) {
        let bytes = mem::take(&mut self.line);
        let from = mem::replace(&mut self.line_from, self.fed);
        let line = without_mark(&bytes, from);
        let from = from + (bytes.len() - line.len());
        if line.is_empty() {
            self.complete(at);
            return;
        }
        let text = String::from_utf8_lossy(line);
        if let Err(error) = std::str::from_utf8(line) {
            self.fault(from + error.valid_up_to(), "not UTF-8");
        }
        if let Some(nul) = line.iter().position(|byte| *byte == 0) {
            self.fault(from + nul, "a NUL");
        }
        if text.starts_with(':') {
            self.stream.comments += 1;
            return;
        }
        let (field, value) = text.split_once(':').unwrap_or((&text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                let data = &mut self.block.data;
                match data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => *data = Some(value.to_owned()),
                }
            }
            "event" => self.block.name = Some(value.to_owned()),
            "id" => {}
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() => {}
            "retry" => self.fault(from, &format!("`retry` is not a number: `{}`", cut(value, QUOTED))),
            _ => {
                self.fault(from, &format!("a line that is no field: `{}`", cut(&text, QUOTED)));
                return;
            }
        }
        self.block.from.get_or_insert(from);
    }

    /// A blank line: the fields before it, where there is data among them, are an event.
    fn complete(&mut self, at: Duration) {
        let Block { from, name, data } = mem::take(&mut self.block);
        let Some(offset) = from else { return };
        match (data, name) {
            (Some(data), name) => self.stream.events.push(StreamEvent {
                at,
                offset,
                name: name.filter(|name| !name.is_empty()),
                data,
            }),
            (None, Some(name)) => self.fault(offset, &format!("an event without data: `{}`", cut(&name, QUOTED))),
            (None, None) => {}
        }
    }

    fn fault(&mut self, offset: usize, what: &str) {
        self.faults += 1;
        if self.stream.faults.len() < FAULTS_BOUND {
            self.stream.faults.push(format!("{what} (byte {offset})"));
        }
    }
}

/// The line without the byte order mark that may stand at the beginning of the stream.
fn without_mark(line: &[u8], from: usize) -> &[u8] {
    if from > 0 {
        return line;
    }
    line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use rstest::rstest;

    use super::*;
    use crate::probe::Chunk;

    fn whole(bytes: &[u8]) -> Stream {
        in_pieces(&[bytes])
    }

    /// Piece number N comes at N seconds, counted from 1.
    fn in_pieces(pieces: &[&[u8]]) -> Stream {
        let mut reader = Reader::default();
        for (number, piece) in (1..).zip(pieces) {
            reader.feed(piece, Duration::from_secs(number));
        }
        reader.finish()
    }

    fn data(stream: &Stream) -> Vec<&str> {
        stream.events.iter().map(|event| event.data.as_str()).collect()
    }

    #[rstest]
    #[case::line_feed("data: a\n\ndata: b\n\n", &["a", "b"])]
    #[case::carriage_return("data: a\r\rdata: b\r\r", &["a", "b"])]
    #[case::both("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"])]
    #[case::mixed("data: a\r\n\ndata: b\n\r", &["a", "b"])]
    #[case::mark("\u{feff}data: a\n\n", &["a"])]
    #[case::several_lines("data: a\ndata:b\ndata:\n\n", &["a\nb\n"])]
    #[case::one_space_goes("data:  a\n\n", &[" a"])]
    #[case::no_colon("data\n\n", &[""])]
    #[case::comment_inside("data: a\n: alive\ndata: b\n\n", &["a\nb"])]
    #[case::blank_lines("\n\n\r\n\rdata: a\n\n\n\n", &["a"])]
    #[case::no_data("id: 1\nretry: 20\n\n", &[])]
    #[case::nothing("", &[])]
    #[case::only_a_mark("\u{feff}", &[])]
    fn events_are_framed_as_the_standard_says(#[case] text: &str, #[case] expected: &[&str]) {
        let stream = whole(text.as_bytes());
        assert_eq!(data(&stream), expected);
        assert_eq!(stream.faults, Vec::<String>::new());
        assert!(!stream.unfinished);
    }

    #[test]
    fn an_event_has_its_name_its_place_and_the_time_of_its_last_piece() {
        let stream = in_pieces(&[b": hi\nevent: err", b"or\ndata: x\n", b"\nevent:\ndata: y\n\n"]);
        let seconds = Duration::from_secs;
        let event = |at, offset, name: Option<&str>, data: &str| StreamEvent {
            at: seconds(at),
            offset,
            name: name.map(str::to_owned),
            data: data.to_owned(),
        };
        assert_eq!(
            stream.events,
            [event(3, 5, Some("error"), "x"), event(3, 27, None, "y")]
        );
        assert_eq!(stream.comments, 1);
    }

    #[test]
    fn a_carriage_return_completes_a_line_before_its_line_feed_comes() {
        let stream = in_pieces(&[b"data: a\r\n\r", b"\ndata: b\r\n\r\n"]);
        let times: Vec<u64> = stream.events.iter().map(|event| event.at.as_secs()).collect();
        assert_eq!(times, [1, 2]);
        assert_eq!(stream.events[1].offset, 11);
    }

    #[rstest]
    #[case::inside_a_line("data: a\n\ndata: b")]
    #[case::without_its_blank_line("data: a\n\ndata: b\n")]
    #[case::inside_a_comment("data: a\n\n: al")]
    #[case::only_a_name("event: a\n")]
    fn what_no_blank_line_completes_is_unfinished(#[case] text: &str) {
        assert!(whole(text.as_bytes()).unfinished);
    }

    #[test]
    fn a_comment_at_the_end_leaves_nothing_unfinished() {
        assert!(!whole(b"data: a\n\n: alive\n").unfinished);
    }

    #[rstest]
    #[case::not_utf8(b"data: a\xff\n\n", "not UTF-8 (byte 7)")]
    #[case::cut_character(b"data: \xc3\n\n", "not UTF-8 (byte 6)")]
    #[case::nul(b"\xef\xbb\xbfdata: a\0\n\n", "a NUL (byte 10)")]
    #[case::bare_json(b"\n{\"id\": 1}\n\n", "a line that is no field: `{\"id\": 1}` (byte 1)")]
    #[case::misspelt(b"dta: a\n\n", "a line that is no field: `dta: a` (byte 0)")]
    #[case::second_mark(
        b"data: a\n\n\xef\xbb\xbfdata: b\n\n",
        "a line that is no field: `\u{feff}data: b` (byte 9)"
    )]
    #[case::name_without_data(b"event: error\n\n", "an event without data: `error` (byte 0)")]
    #[case::retry(b"retry: soon\n\n", "`retry` is not a number: `soon` (byte 0)")]
    fn what_would_be_dropped_or_replaced_is_told(#[case] bytes: &[u8], #[case] fault: &str) {
        assert_eq!(whole(bytes).faults, [fault]);
    }

    #[test]
    fn faults_are_bounded_and_the_others_counted() {
        let stream = whole("nonsense\n".repeat(FAULTS_BOUND + 5).as_bytes());
        assert_eq!(stream.faults.len(), FAULTS_BOUND + 1);
        assert_eq!(stream.faults[FAULTS_BOUND], "5 more faults like these");
    }

    #[test]
    fn a_stream_is_read_to_its_bound_and_no_further() {
        let mut reader = Reader::default();
        let piece = [b'a'; 1 << 13];
        for _ in 0..(STREAM_BOUND / piece.len() + 9) {
            reader.feed(&piece, Duration::ZERO);
        }
        assert!(reader.line.len() <= STREAM_BOUND);
        let stream = reader.finish();
        assert!(stream.unfinished);
        assert_eq!(stream.faults.len(), 1);
    }

    #[test]
    fn a_response_is_read_with_the_times_of_its_pieces_and_also_without() {
        let body = b"data: a\n\ndata: b\n\n".to_vec();
        let chunk = |seconds, bytes| Chunk {
            at: Duration::from_secs(seconds),
            bytes,
        };
        let mut received = Received {
            body_bytes: body.len(),
            body,
            chunks: vec![chunk(1, 9), chunk(2, 9)],
            ..Received::default()
        };
        let stream = Stream::read(&received);
        assert_eq!(data(&stream), ["a", "b"]);
        assert_eq!(stream.events[1].at, Duration::from_secs(2));
        received.chunks.clear();
        assert_eq!(data(&Stream::read(&received)), ["a", "b"]);
        received.body_bytes += 1;
        let cut = Stream::read(&received);
        assert!(cut.unfinished);
        assert_eq!(cut.faults.len(), 1);
    }

    /// Without the times, which are not the same when the pieces are not.
    fn timeless(mut stream: Stream) -> Stream {
        for event in &mut stream.events {
            event.at = Duration::ZERO;
        }
        stream
    }

    fn fed_at(bytes: &[u8], cuts: &[prop::sample::Index]) -> Stream {
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.sort_unstable();
        let (mut reader, mut from) = (Reader::default(), 0);
        for to in places.into_iter().chain([bytes.len()]) {
            reader.feed(&bytes[from..to], Duration::ZERO);
            from = to;
        }
        reader.finish()
    }

    fn line_end() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["\n", "\r\n", "\r"])
    }

    /// A valid stream: lines of data in any script, with each line end, comments and a mark among them.
    fn valid() -> impl Strategy<Value = (Vec<u8>, Vec<String>)> {
        let line = ("[^\r\n\0]{0,12}", line_end(), prop::option::of("[a-z]{0,3}"));
        let events = vec(vec(line, 1..4), 0..8);
        (events, line_end(), any::<bool>()).prop_map(|(events, blank, mark)| {
            let mut text = String::from(if mark { "\u{feff}" } else { "" });
            let mut expected = Vec::new();
            for lines in events {
                let mut data = Vec::new();
                for (value, end, comment) in lines {
                    if let Some(comment) = comment {
                        text.extend([":", &comment, end]);
                    }
                    text.extend(["data: ", &value, end]);
                    data.push(value);
                }
                // A lone LF after a CR would be the second half of its line end.
                text.push_str(if text.ends_with('\r') && blank == "\n" {
                    "\r"
                } else {
                    blank
                });
                expected.push(data.join("\n"));
            }
            (text.into_bytes(), expected)
        })
    }

    proptest! {
        #[test]
        fn a_valid_stream_is_the_same_however_it_is_split(
            (bytes, expected) in valid(),
            cuts in vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let stream = whole(&bytes);
            prop_assert_eq!(data(&stream), expected);
            prop_assert!(!stream.unfinished);
            prop_assert_eq!(&stream.faults, &Vec::<String>::new());
            prop_assert_eq!(timeless(fed_at(&bytes, &cuts)), timeless(stream));
        }

        #[test]
        fn any_bytes_are_read_the_same_however_they_are_split(
            bytes in vec(prop_oneof![any::<u8>(), prop::sample::select(b"\r\n:data \0\xef\xbb\xbf".to_vec())], 0..200),
            cuts in vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let stream = whole(&bytes);
            prop_assert!(stream.events.iter().map(|event| event.data.len()).sum::<usize>() <= 3 * bytes.len());
            prop_assert!(stream.faults.len() <= FAULTS_BOUND + 1);
            prop_assert_eq!(timeless(fed_at(&bytes, &cuts)), timeless(stream));
        }

        #[test]
        fn every_byte_alone_gives_the_same_events((bytes, _) in valid()) {
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(timeless(in_pieces(&single)), timeless(whole(&bytes)));
        }
    }
}
