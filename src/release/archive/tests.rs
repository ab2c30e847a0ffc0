use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use rstest::rstest;
use tar::{Builder, Header};

use super::*;

const SMALL: Limits = Limits {
    bytes: 64 << 10,
    entries: 20,
    file_bytes: 8 << 10,
};

/// A header whose name is written as it is: the library refuses to write names that climb.
fn header(name: &str, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    header
}

fn zip(bytes: &[u8]) -> Vec<u8> {
    let mut zip = GzEncoder::new(Vec::new(), Compression::fast());
    zip.write_all(bytes).unwrap();
    zip.finish().unwrap()
}

/// A compressed archive of headers and contents.
fn archive(entries: &[(Header, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (header, content) in entries {
        builder.append(header, *content).unwrap();
    }
    zip(&builder.into_inner().unwrap())
}

fn file(name: &str, content: &'static [u8]) -> (Header, &'static [u8]) {
    (header(name, EntryType::Regular, content.len() as u64), content)
}

fn link(name: &str, target: &str) -> (Header, &'static [u8]) {
    let mut header = header(name, EntryType::Symlink, 0);
    header.set_link_name_literal(target).unwrap();
    header.set_cksum();
    (header, b"")
}

fn names(unpacked: &Unpacked, directory: &str) -> Vec<String> {
    let listed = unpacked.tree.list(&directory.parse().unwrap());
    listed
        .map(|paths| paths.iter().map(ToString::to_string).collect())
        .unwrap_or_default()
}

fn read(unpacked: &Unpacked, path: &str) -> Option<Vec<u8>> {
    unpacked.tree.read(&path.parse().unwrap()).ok()
}

#[test]
fn files_lose_their_top_directory_and_the_commit_is_read() {
    let comment = b"52 comment=0123456789abcdef0123456789abcdef01234567\n";
    let bytes = archive(&[
        (header("pax_global_header", EntryType::XGlobalHeader, 52), comment),
        (header("x-1/", EntryType::Directory, 0), b""),
        file("x-1/a/b.yaml", b"b"),
        file("x-1/c", b""),
    ]);
    let unpacked = unpack(bytes.as_slice(), &SMALL).unwrap();
    assert_eq!(
        unpacked.commit.as_deref(),
        Some("0123456789abcdef0123456789abcdef01234567")
    );
    assert_eq!(read(&unpacked, "a/b.yaml").as_deref(), Some(b"b".as_slice()));
    assert_eq!(read(&unpacked, "c").as_deref(), Some(b"".as_slice()));
    assert_eq!(unpacked.left_out, 0);
}

#[test]
fn names_from_extended_headers_are_read() {
    let long = format!("x/{}", "d/".repeat(80));
    let record = format!(" path={long}one\n");
    let length = record.len() + 3;
    let record = format!("{length}{record}");
    let gnu = format!("{long}two\0");
    let bytes = archive(&[
        (
            header("x/h", EntryType::XHeader, record.len() as u64),
            record.as_bytes(),
        ),
        file("x/short", b"1"),
        (
            header("././@LongLink", EntryType::GNULongName, gnu.len() as u64),
            gnu.as_bytes(),
        ),
        file("x/short", b"2"),
    ]);
    let unpacked = unpack(bytes.as_slice(), &SMALL).unwrap();
    let below = "d/".repeat(80);
    assert_eq!(names(&unpacked, "d"), [format!("{below}one"), format!("{below}two")]);
}

#[test]
fn links_inside_become_copies_and_all_others_are_left_out() {
    let bytes = archive(&[
        file("x/a/file", b"f"),
        link("x/a/same", "file"),
        link("x/up", "a/same"),
        link("x/a/down", "../up"),
        link("x/out", "../../etc/passwd"),
        link("x/absolute", "/etc/passwd"),
        link("x/directory", "a"),
        link("x/loop", "pool"),
        link("x/pool", "loop"),
    ]);
    let unpacked = unpack(bytes.as_slice(), &SMALL).unwrap();
    for name in ["a/same", "up", "a/down"] {
        assert_eq!(read(&unpacked, name).as_deref(), Some(b"f".as_slice()), "{name}");
    }
    assert_eq!(names(&unpacked, "a").len(), 3);
    assert_eq!(unpacked.left_out, 5);
}

#[rstest]
#[case::climbing(file("x/../../etc/passwd", b""))]
#[case::climbing_at_once(file("../x", b""))]
#[case::absolute(file("/etc/passwd", b""))]
#[case::beside(file("y/a", b""))]
#[case::twice(file("x/first", b"again"))]
#[case::a_link_in_place_of_a_file(link("x/first", "a"))]
#[case::a_hard_link((header("x/a", EntryType::Link, 0), b"".as_slice()))]
#[case::a_device((header("x/a", EntryType::Char, 0), b"".as_slice()))]
#[case::a_pipe((header("x/a", EntryType::Fifo, 0), b"".as_slice()))]
#[case::a_sparse_file((header("x/a", EntryType::GNUSparse, 0), b"".as_slice()))]
fn what_git_never_writes_is_refused_as_a_whole(#[case] entry: (Header, &[u8])) {
    let bytes = archive(&[file("x/first", b""), entry]);
    let refused = unpack(bytes.as_slice(), &SMALL).unwrap_err();
    assert!(matches!(refused, ArchiveError::Hostile { .. }), "{refused}");
}

#[test]
fn a_size_that_is_given_twice_is_refused() {
    let record = b"12 size=999\n";
    let bytes = archive(&[(header("x/h", EntryType::XHeader, 12), record), file("x/a", b"")]);
    let refused = unpack(bytes.as_slice(), &SMALL).unwrap_err();
    assert!(matches!(refused, ArchiveError::Hostile { .. }), "{refused}");
}

#[test]
fn a_bomb_stops_at_the_limit() {
    // A thousandth of what it inflates to.
    let bytes = zip(&vec![0; 4 << 20]);
    assert!(bytes.len() < 64 << 10);
    let refused = unpack(bytes.as_slice(), &SMALL).unwrap_err();
    assert!(matches!(refused, ArchiveError::TooManyBytes { .. }), "{refused}");
}

#[test]
fn files_that_are_small_alone_and_large_together_stop_at_the_limit() {
    let content = vec![b'a'; 8 << 10];
    let headers: Vec<Header> = (0..9)
        .map(|n| header(&format!("x/{n}"), EntryType::Regular, 8 << 10))
        .collect();
    let entries: Vec<(Header, &[u8])> = headers.into_iter().map(|header| (header, content.as_slice())).collect();
    let refused = unpack(archive(&entries).as_slice(), &SMALL).unwrap_err();
    assert!(matches!(refused, ArchiveError::TooManyBytes { .. }), "{refused}");
    // So do the copies that links make.
    let linked: Vec<_> = (0..9).map(|n| link(&format!("x/l{n}"), "0")).collect();
    let entries: Vec<_> = entries.into_iter().take(1).chain(linked).collect();
    let refused = unpack(archive(&entries).as_slice(), &SMALL).unwrap_err();
    assert!(matches!(refused, ArchiveError::TooManyBytes { .. }), "{refused}");
}

#[rstest]
#[case::a_file(EntryType::Regular, 9 << 10)]
#[case::a_header(EntryType::XHeader, 1 << 40)]
#[case::a_name(EntryType::GNULongName, 1 << 30)]
#[case::a_comment(EntryType::XGlobalHeader, 1 << 30)]
fn a_size_beyond_reason_is_refused_before_it_is_read(#[case] kind: EntryType, #[case] size: u64) {
    let bytes = zip(header("x/a", kind, size).as_bytes());
    let refused = unpack(bytes.as_slice(), &SMALL).unwrap_err();
    assert!(matches!(refused, ArchiveError::EntryTooLarge { .. }), "{refused}");
}

#[test]
fn too_many_entries_are_refused() {
    let headers = (0..21).map(|n| file(&format!("x/{n}"), b""));
    let refused = unpack(archive(&headers.collect::<Vec<_>>()).as_slice(), &SMALL).unwrap_err();
    assert!(matches!(refused, ArchiveError::TooManyEntries { .. }), "{refused}");
}

#[test]
fn an_archive_that_is_cut_off_anywhere_is_damaged() {
    let whole = archive(&[file("x/a", b"some content"), file("x/b", b"more content")]);
    for end in 0..whole.len() {
        let refused = unpack(&whole[..end], &SMALL).unwrap_err();
        assert!(matches!(refused, ArchiveError::Damaged(_)), "{end}: {refused}");
    }
    let mut changed = whole.clone();
    let at = changed.len() - 6;
    changed[at] ^= 1;
    assert!(unpack(changed.as_slice(), &SMALL).is_err(), "the checksum is compared");
    assert!(unpack(whole.as_slice(), &SMALL).is_ok());
}

#[test]
fn a_name_that_is_no_path_is_left_out() {
    let bytes = archive(&[file("x/a\\b", b""), file("x/c", b"")]);
    let unpacked = unpack(bytes.as_slice(), &SMALL).unwrap();
    assert_eq!(unpacked.left_out, 1);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = unpack(bytes.as_slice(), &SMALL);
        let _ = unpack(zip(&bytes).as_slice(), &SMALL);
        let _ = records(&bytes);
    }

    #[test]
    fn no_change_of_a_header_makes_it_panic(at in 0_usize..1536, byte in any::<u8>()) {
        let mut builder = Builder::new(Vec::new());
        let (first, content) = file("x/a", b"content");
        builder.append(&first, content).unwrap();
        builder.append(&link("x/b", "a").0, io::empty()).unwrap();
        let mut bytes = builder.into_inner().unwrap();
        bytes[at] = byte;
        // With its checksum put right, so that what stands in the header is looked at.
        for start in [0, 1024] {
            let mut header = Header::new_ustar();
            header.as_mut_bytes().copy_from_slice(&bytes[start..start + 512]);
            header.set_cksum();
            bytes[start..start + 512].copy_from_slice(header.as_bytes());
        }
        let _ = unpack(zip(&bytes).as_slice(), &SMALL);
    }
}
