//! Each reader of what others write, and the writers of what others say, over any bytes: an error or what was read, never a
//! panic. A fuzzer runs them (`make fuzz`), and the tests do for a moment (`tests/it/hostile.rs`).

mod guide;
mod inventory;
mod journal;
mod shell;
mod stream;
mod tree;
mod writers;
mod yaml;

/// A reader by its name.
pub(super) type Reader = (&'static str, fn(&[u8]));

/// All of them.
pub(super) const READERS: [Reader; 8] = [
    ("guide", guide::read),
    ("inventory", inventory::read),
    ("journal", journal::read),
    ("shell", shell::read),
    ("stream", stream::read),
    ("tree", tree::read),
    ("writers", writers::read),
    ("yaml", yaml::read),
];
