//! What is read from others, spoilt at random: the readers that `make fuzz` gives an hour to get some thousand inputs here.

use std::{fs, path::Path};

use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use rstest::rstest;

#[path = "../fuzz/readers/all.rs"]
mod readers;

/// One thing that is done to a file.
#[derive(Debug, Clone)]
enum Spoiling {
    /// A byte becomes another.
    Byte(Index, u8),
    /// A piece is left out.
    Without(Index, usize),
    /// A piece comes again and again.
    Again(Index, usize, usize),
    /// A piece of another file, or a word that opens or closes something, comes in.
    Between(Index, Vec<u8>),
}

impl Spoiling {
    fn spoil(&self, bytes: &mut Vec<u8>) {
        let place = |at: &Index, length: usize| {
            let from = at.index(bytes.len() + 1);
            from..(from + length).min(bytes.len())
        };
        match self {
            Self::Byte(at, byte) => {
                let place = place(at, 1);
                bytes[place].fill(*byte);
            }
            Self::Without(at, length) => {
                let place = place(at, *length);
                bytes.drain(place);
            }
            Self::Again(at, length, times) => {
                let place = place(at, *length);
                let again = bytes[place.clone()].repeat(*times);
                bytes.splice(place, again);
            }
            Self::Between(at, piece) => {
                let at = place(at, 0);
                bytes.splice(at, piece.iter().copied());
            }
        }
    }
}

/// The files below a directory whose names end so.
fn files(directory: &str, endings: &[&str], found: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_str().unwrap();
        if path.is_dir() {
            files(name, endings, found);
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(fs::read(&path).unwrap());
        }
    }
}

/// Files of the kind that a reader reads.
fn samples(reader: &str) -> Vec<Vec<u8>> {
    let (directories, endings): (&[&str], &[&str]) = match reader {
        "inventory" => (&["tests/data/inventories"], &[".json"]),
        "journal" => (&["tests/data/runs"], &[".jsonl"]),
        "yaml" | "tree" => (&["tests/data/trees", "manifests"], &[".yaml"]),
        _ => (&["tests/data/trees", "manifests/answers"], &[".md", ".txt", ".yaml"]),
    };
    let mut found = Vec::new();
    for directory in directories {
        files(directory, endings, &mut found);
    }
    // As long as a fuzzer makes them: what a long file adds is time.
    for file in &mut found {
        file.truncate(8192);
    }
    found
}

/// The words of a grammar that open and close something, as the fuzzer has them.
fn words() -> Vec<Vec<u8>> {
    let dictionary = include_str!("../fuzz/shell.dict");
    let quoted = dictionary.lines().filter(|line| line.starts_with('"'));
    let words: Vec<Vec<u8>> = quoted
        .map(|line| {
            line[1..line.len() - 1]
                .replace("\\x0a", "\n")
                .replace("\\\"", "\"")
                .replace("\\\\", "\\")
                .into()
        })
        .collect();
    assert!(words.len() > 20);
    words
}

fn spoilt(samples: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    assert!(!samples.is_empty());
    let sample = prop::sample::select(samples);
    let piece = (sample.clone(), any::<Index>(), 1..200_usize).prop_map(|(mut file, at, length)| {
        let from = at.index(file.len() + 1);
        file.drain(..from);
        file.truncate(length);
        file
    });
    let between = prop_oneof![
        prop::sample::select(words()),
        piece,
        any::<Vec<u8>>(),
        any::<String>().prop_map(String::into_bytes),
    ];
    let spoiling = prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Spoiling::Byte(at, byte)),
        (any::<Index>(), 1..200_usize).prop_map(|(at, length)| Spoiling::Without(at, length)),
        (any::<Index>(), 1..80_usize, 2..40_usize).prop_map(|(at, length, times)| Spoiling::Again(at, length, times)),
        (any::<Index>(), between).prop_map(|(at, piece)| Spoiling::Between(at, piece)),
    ];
    (sample, prop::collection::vec(spoiling, 0..8)).prop_map(|(mut bytes, spoilings)| {
        for spoiling in spoilings {
            spoiling.spoil(&mut bytes);
        }
        bytes
    })
}

// Each takes some seconds.
#[rstest]
#[case::guide("guide", 200)]
#[case::inventory("inventory", 4000)]
#[case::journal("journal", 400)]
#[case::shell("shell", 400)]
#[case::stream("stream", 4000)]
#[case::tree("tree", 200)]
#[case::writers("writers", 200)]
#[case::yaml("yaml", 1000)]
fn a_reader_of_what_others_write_never_panics(#[case] name: &str, #[case] cases: u32) {
    let (_, read) = readers::READERS.iter().find(|(reader, _)| *reader == name).unwrap();
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    };
    TestRunner::new(config)
        .run(&spoilt(samples(name)), |bytes| {
            read(&bytes);
            Ok(())
        })
        .unwrap();
}

#[test]
fn every_reader_is_spoilt_here() {
    let cases = include_str!("hostile.rs");
    for (name, _) in readers::READERS {
        assert!(cases.contains(&format!("#[case::{name}(")), "{name} has no case");
    }
}
