//! How fast a stream's tokens came, from the times at which their bytes did.
//!
//! Which event carries text is told by whoever asks, such as [`super::openai::carries_text`]. Events that came in one piece
//! came at one time: a server that sends several tokens at once has latencies of zero between them, and that is so.

use std::time::Duration;

use super::{Answer, sse::Stream};
use crate::record::{Spread, milliseconds};

/// When the tokens of one stream came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Latencies {
    /// From sending to the first event that carries text; `None` where none does.
    pub time_to_first_token: Option<Duration>,
    /// Between each event that carries text and the one before it, in order.
    pub inter_token: Vec<Duration>,
}

impl Latencies {
    /// Those of what came of an answer, also where it came to no clean end.
    pub fn of(answer: &Answer, carries_text: impl Fn(&str) -> bool) -> Self {
        answer
            .received()
            .map(|received| Self::of_stream(&Stream::read(received), carries_text))
            .unwrap_or_default()
    }

    /// Those of a stream.
    pub(crate) fn of_stream(stream: &Stream, carries_text: impl Fn(&str) -> bool) -> Self {
        let events = stream.events.iter().filter(|event| carries_text(&event.data));
        Self::at(events.map(|event| event.at))
    }

    /// Those of tokens that came at these times, counted from sending, in order.
    pub(crate) fn at(times: impl Iterator<Item = Duration>) -> Self {
        let times: Vec<Duration> = times.collect();
        Self {
            time_to_first_token: times.first().copied(),
            inter_token: times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect(),
        }
    }

    /// The times between tokens as the record keeps them; `None` where there are none.
    pub(crate) fn spread(&self) -> Option<Spread> {
        let mut sorted = self.inter_token.clone();
        sorted.sort_unstable();
        Some(Spread {
            count: sorted.len() as u64,
            median: milliseconds(*sorted.get(sorted.len() / 2)?),
            longest: milliseconds(*sorted.last()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::sse::Reader;

    #[test]
    fn only_events_with_text_count_and_each_at_the_time_of_its_last_byte() {
        let pieces = [
            (10, "data: \n\nda"),
            (20, "ta: a\n\n"),
            (50, "data: b\n\ndata: c\n\n"),
            (90, "data: \n\n"),
        ];
        let mut reader = Reader::default();
        for (at, piece) in pieces {
            reader.feed(piece.as_bytes(), Duration::from_millis(at));
        }
        let latencies = Latencies::of_stream(&reader.finish(), |data| !data.is_empty());
        let milliseconds = Duration::from_millis;
        assert_eq!(latencies.time_to_first_token, Some(milliseconds(20)));
        assert_eq!(latencies.inter_token, [milliseconds(30), milliseconds(0)]);
        let spread = latencies.spread().unwrap();
        assert_eq!((spread.count, spread.median, spread.longest), (2, 30, 30));
    }

    #[test]
    fn a_stream_without_text_has_no_first_token() {
        let mut reader = Reader::default();
        reader.feed(b"data: [DONE]\n\n", Duration::from_millis(1));
        assert_eq!(Latencies::of_stream(&reader.finish(), |_| false), Latencies::default());
        assert_eq!(Latencies::default().spread(), None);
    }
}
