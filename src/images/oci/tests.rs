use super::*;
use crate::host::Host;

fn store(directory: &Path) -> Store {
    Store::of(&Host::with_variables([("XDG_CACHE_HOME", directory.to_str().unwrap())]))
}

fn layer(names: &[&str]) -> Layer {
    let mut layer = Layer::default();
    for name in names {
        layer.file(name, Content::Bytes(name.as_bytes().to_vec()), 0o755);
    }
    layer.directory("/tmp", 0o1777);
    layer.link("/bin/b", "a");
    layer
}

#[test]
fn the_same_files_give_the_same_digests_in_whatever_order_they_come() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let one = layer(&["/bin/a", "/etc/x/y"]).pack(&store).unwrap();
    let two = layer(&["/etc/x/y", "/bin/a"]).pack(&store).unwrap();
    assert_eq!(one, two);
    let run = RunConfig {
        ports: vec![1, 2, 3, 4, 5, 6],
        env: [("B".to_owned(), "1".to_owned()), ("A".to_owned(), "2".to_owned())].into(),
        ..RunConfig::default()
    };
    let first = assemble(&store, &run, vec![one]).unwrap();
    for _ in 0..8 {
        assert_eq!(assemble(&store, &run, vec![two.clone()]).unwrap(), first);
    }
}

#[test]
fn digests_are_those_of_what_lies_in_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let packed = layer(&["/bin/a"]).pack(&store).unwrap();
    let image = assemble(&store, &RunConfig::default(), vec![packed.clone()]).unwrap();
    for digest in [&packed.digest, &image.digest, &image.config.0] {
        assert_eq!(
            &crate::images::store::sha256(&std::fs::read(store.blob(digest)).unwrap()),
            digest
        );
    }
    let tar = zstd::decode_all(File::open(store.blob(&packed.digest)).unwrap()).unwrap();
    assert_eq!(crate::images::store::sha256(&tar), packed.diff_id);
    let configuration: serde_json::Value =
        serde_json::from_slice(&std::fs::read(store.blob(&image.config.0)).unwrap()).unwrap();
    assert_eq!(configuration["rootfs"]["diff_ids"][0], packed.diff_id);
}

#[test]
fn an_archive_of_images_names_each_and_holds_each_blob_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let packed = layer(&["/bin/a"]).pack(&store).unwrap();
    let image = assemble(&store, &RunConfig::default(), vec![packed]).unwrap();
    let out = directory.path().join("out.tar");
    let images = [("a.io/x:1".to_owned(), image.clone()), ("a.io/y:1".to_owned(), image)];
    write_archive(&store, &images, &out).unwrap();
    let mut archive = tar::Archive::new(File::open(&out).unwrap());
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        names
            .iter()
            .filter(|name| name.starts_with("blobs/sha256/") && name.len() > 14)
            .count(),
        3
    );
    assert!(names.contains(&"manifest.json".to_owned()) && names.contains(&"index.json".to_owned()));
}
