//! The reader that `FUZZ_READER` names, under a fuzzer.
#![no_main]

#[path = "readers/all.rs"]
mod readers;

use std::{env, sync::LazyLock};

use libfuzzer_sys::fuzz_target;

static READ: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let asked = env::var("FUZZ_READER").unwrap_or_default();
    let reader = readers::READERS.iter().find(|(name, _)| *name == asked);
    let names = readers::READERS.map(|(name, _)| name).join(", ");
    reader.unwrap_or_else(|| panic!("FUZZ_READER is `{asked}`, and must be one of {names}")).1
});

fuzz_target!(|bytes: &[u8]| READ(bytes));
