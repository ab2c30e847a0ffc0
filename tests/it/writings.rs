//! The ways in which others write a secret that they repeat.

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// A way of writing, by its name.
type Writing = (&'static str, fn(&str) -> String);

/// All of them.
pub(crate) const WRITINGS: &[Writing] = &[
    ("as it is", str::to_owned),
    ("in base64", |secret| base64(secret, "")),
    ("in base64 behind one letter", |secret| base64(secret, ":")),
    ("in base64 behind two letters", |secret| base64(secret, "u:")),
    ("in base64 as git sends it", |secret| base64(secret, "x-access-token:")),
    ("in base64 for addresses", |secret| {
        base64(secret, "u:").replace('+', "-").replace('/', "_")
    }),
    ("in base64 broken into lines", |secret| broken(&base64(secret, ""))),
    ("in percent codes", |secret| {
        each_byte(secret, |byte| format!("%{byte:02X}"))
    }),
    ("in percent codes of small letters", |secret| {
        each_byte(secret, |byte| format!("%{byte:02x}"))
    }),
    ("as a form sends it", |secret| {
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect()
    }),
    ("in hexadecimal digits", |secret| {
        each_byte(secret, |byte| format!("{byte:02x}"))
    }),
    ("in hexadecimal digits apart", |secret| {
        each_byte(secret, |byte| format!("{byte:02X}:"))
    }),
    ("in JSON", json),
    ("in JSON in JSON", |secret| json(&json(secret))),
    ("in JSON in codes", |secret| {
        let codes = secret.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
        codes.collect::<Vec<_>>().concat()
    }),
    ("in JSON of PHP", |secret| json(secret).replace('/', "\\/")),
    ("as Rust prints it", |secret| format!("{secret:?}")),
    ("in HTML", |secret| {
        let escaped = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        escaped.replace('"', "&quot;").replace('\'', "&#39;")
    }),
    ("in HTML in codes", |secret| {
        let codes = secret.chars().map(|letter| format!("&#x{:X};", u32::from(letter)));
        codes.collect::<Vec<_>>().concat()
    }),
    ("in a shell's quotes", quoted),
    ("in a shell's quotes in JSON", |secret| json(&quoted(secret))),
    ("in large letters", str::to_ascii_uppercase),
    ("in small letters", str::to_ascii_lowercase),
];

fn base64(secret: &str, before: &str) -> String {
    BASE64_STANDARD.encode(format!("{before}{secret}"))
}

fn broken(text: &str) -> String {
    let lines = text.as_bytes().chunks(5).map(String::from_utf8_lossy);
    lines.map(|line| format!("{line}\r\n")).collect::<Vec<_>>().concat()
}

fn each_byte(secret: &str, write: fn(u8) -> String) -> String {
    secret.bytes().map(write).collect()
}

fn json(secret: &str) -> String {
    serde_json::to_string(secret).unwrap()
}

fn quoted(secret: &str) -> String {
    format!("'{}'", secret.replace('\'', r"'\''"))
}
