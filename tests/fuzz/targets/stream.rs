//! Any bytes as a stream of events: never a panic, and the same events however it is split.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use quickproof::probe::sse::Reader;

fuzz_target!(|bytes: &[u8]| {
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
});
