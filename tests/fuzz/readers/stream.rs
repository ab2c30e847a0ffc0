//! Any bytes as a stream of events: never a panic, and the same events however it is split.

use std::time::Duration;

use quickproof::probe::sse::Reader;

pub(super) fn read(bytes: &[u8]) {
    // The first byte says how long the pieces are.
    let Some((&length, bytes)) = bytes.split_first() else {
        return;
    };
    let mut whole = Reader::default();
    whole.feed(bytes, Duration::ZERO);
    let mut split = Reader::default();
    for piece in bytes.chunks(usize::from(length).max(1)) {
        split.feed(piece, Duration::ZERO);
    }
    assert_eq!(whole.finish(), split.finish());
}
