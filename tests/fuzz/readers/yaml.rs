//! Any bytes as a manifest: objects or an error, never a panic, and every object has what an object must have.

use quickproof::manifest;

pub(super) fn read(bytes: &[u8]) {
    // Of YAML a carriage return by itself ends a line, too: at most so many.
    let ends = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    let lines = u32::try_from(ends + 1).expect("a number of lines");
    if let Ok(text) = std::str::from_utf8(bytes) {
        for pointer in ["", "/metadata/name", "/items/0/spec/a~1b"] {
            let place = manifest::locate(text, pointer);
            assert!(place.is_none_or(|place| (1..=lines).contains(&place.line) && place.column >= 1));
        }
    }
    for object in manifest::read("fuzz.yaml", bytes).unwrap_or_default() {
        assert!(!object.api_version().is_empty() && !object.kind().is_empty() && !object.name().is_empty());
        assert!((1..=lines).contains(&object.line));
        object.images();
    }
    let _ = manifest::document::<serde_json::Value>("fuzz.yaml", bytes);
}
