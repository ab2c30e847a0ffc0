use std::collections::BTreeMap;

use rstest::rstest;

use super::*;

fn layer(names: &[&str]) -> Layer {
    let mut layer = Layer::default();
    for name in names {
        layer.file(name, Content::Bytes(name.as_bytes().to_vec()), 0o755);
    }
    layer.directory("/tmp", 0o1777);
    layer.link("/bin/b", "a");
    layer
}

fn read(bytes: &[u8]) -> BTreeMap<String, (u32, u64, String)> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let (mode, time) = (entry.header().mode().unwrap(), entry.header().mtime().unwrap());
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (name, (mode, time, text))
    });
    entries.collect()
}

#[test]
fn a_layer_has_its_parents_its_modes_and_no_times() {
    let tar = layer(&["/etc/x/y"]).write(Vec::new()).unwrap();
    let entries = read(&tar);
    assert_eq!(entries["etc/x"].0, 0o755);
    assert_eq!(entries["tmp"].0, 0o1777);
    assert_eq!(entries["etc/x/y"], (0o755, 0, "/etc/x/y".to_owned()));
    assert!(entries.values().all(|(_, time, _)| *time == 0));
}

#[test]
fn an_archive_keeps_owners_and_hard_links_and_leaves_out_what_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_uid(7);
    header.set_gid(0);
    header.set_mode(0o4755);
    header.set_size(2);
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_data(&mut header.clone(), "./z/original", &b"hi"[..])
        .unwrap();
    tar.append_data(&mut header.clone(), "./var/log/lastlog", &b"no"[..])
        .unwrap();
    header.set_entry_type(tar::EntryType::Link);
    header.set_size(0);
    tar.append_link(&mut header, "./a/again", "./z/original").unwrap();
    let path = directory.path().join("x.tar");
    std::fs::write(&path, tar.into_inner().unwrap()).unwrap();

    let mut layer = Layer::default();
    layer.archive(&path, &["var/log/*".to_owned()]).unwrap();
    let written = layer.write(Vec::new()).unwrap();
    let mut archive = tar::Archive::new(written.as_slice());
    let entries: Vec<_> = archive.entries().unwrap().map(Result::unwrap).collect();
    let names: Vec<_> = entries.iter().map(|entry| entry.path().unwrap().into_owned()).collect();
    assert_eq!(names, [Path::new("z/original"), Path::new("a/again")]);
    assert_eq!(
        (entries[0].header().uid().unwrap(), entries[0].header().mode().unwrap()),
        (7, 0o4755)
    );
    assert_eq!(entries[1].link_name().unwrap().unwrap(), Path::new("z/original"));
}

#[rstest]
#[case("dev/*", "dev/null", true)]
#[case("dev/*", "dev", false)]
#[case("usr/share/doc/*", "usr/share/doc/x/y", true)]
#[case("lib/*/libc.so.*", "lib/x86_64-linux-gnu/libc.so.6", true)]
#[case("lib/*/libc.so.*", "lib/libc.so.6", false)]
#[case("usr/bin/ctr", "usr/bin/ctr2", false)]
#[case("a*b*c", "axxbyyc", true)]
fn a_star_stands_for_text_within_one_path_part(#[case] pattern: &str, #[case] path: &str, #[case] fits: bool) {
    assert_eq!(matches(pattern, path), fits);
}
