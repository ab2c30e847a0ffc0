use proptest::prelude::*;
use rstest::rstest;

use super::{writings::WRITINGS, *};

/// Secrets with everything in them that somebody writes in another way.
const SECRETS: &[&str] = &[
    "hunter2hunter2",
    "it's\"a\\secret/%41&<b>",
    "päss wörd+geheim=",
    "!a!b!c!d!e!f!",
    "Tr0ub4dor&3",
];

fn knowing(secret: &str) -> Redactor {
    let redactor = Redactor::new();
    redactor.clone().learn(secret);
    redactor
}

#[test]
fn a_secret_is_gone_however_it_is_written() {
    for (name, write) in WRITINGS {
        for secret in SECRETS {
            let written = write(secret);
            let shown = knowing(secret).redact(&format!("before <{written}> after"));
            let rest = shown
                .strip_prefix("before <")
                .and_then(|rest| rest.strip_suffix("> after"));
            let rest = rest.unwrap_or_else(|| panic!("{name}: more than the secret is gone: {shown}"));
            // What frames it may stay, and the letters of base64 that hold what stands before it.
            let letters = rest.replace(PLACEHOLDER, "");
            let letters = letters.chars().filter(char::is_ascii_alphanumeric);
            let most = if name.contains("git") { 20 } else { 2 };
            assert!(
                rest.contains(PLACEHOLDER) && letters.count() <= most,
                "{name}: {written}: {shown}"
            );
        }
    }
}

#[test]
fn what_overlaps_goes_whole_and_what_is_short_stays() {
    let redactor = Redactor::new();
    for secret in ["secret", "secret-and-more", "and-more-still", "ab"] {
        redactor.learn(secret);
    }
    assert_eq!(redactor.redact("secret-and-more ab secret"), "[redacted] ab [redacted]");
    assert_eq!(redactor.redact("a secret-and-more-still b"), "a [redacted] b");
}

#[test]
fn a_secret_in_pieces_that_a_reader_puts_together_is_gone() {
    let redactor = knowing("hunter2hunter2");
    let event =
        |text: &str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let stream: String = ["my hun", "ter", "2hu", "nte", "r2!"].map(event).concat();
    let shown = redactor.redact(&stream);
    assert_eq!(shown.matches(PLACEHOLDER).count(), 5, "{shown}");
    assert!(
        shown.contains("\"my [redacted]\"") && shown.contains("\"[redacted]!\""),
        "{shown}"
    );
    let some = redactor.redact(&["2hu", "nte"].map(event).concat());
    assert!(!some.contains("2hu") && !some.contains("\"nte"), "{some}");
    let shown = redactor.redact("data: hunter2\ndata: hunter2\n");
    assert!(!shown.contains("hun"), "{shown}");
}

#[rstest]
#[case::in_the_middle("answered hunter2hu…", "answered [redacted]…")]
#[case::at_the_beginning("…ter2hunter2 was said", "…[redacted] was said")]
#[case::inside_of_what_spells_a_letter("%68%75%6e%74%65%7…", "[redacted]…")]
#[case::too_short_to_know("a hun…", "a hun…")]
fn a_piece_of_a_secret_beside_a_cut_is_gone(#[case] text: &str, #[case] shown: &str) {
    assert_eq!(knowing("hunter2hunter2").redact(text), shown);
}

#[test]
fn a_cut_leaves_a_mark_where_something_was_left_out() {
    assert_eq!(cut("äbc", 3), "äbc");
    assert_eq!(cut("äbc", 2), "äb…");
    let redactor = knowing("hunter2hunter2");
    for most in 8..24 {
        let shown = redactor.redact(&cut("said hunter2hunter2 again", most));
        let left = shown.strip_prefix("said ").unwrap().trim_end_matches(CUT);
        assert!(left.len() <= 3 || left.starts_with(PLACEHOLDER), "{most}: {shown}");
    }
}

#[rstest]
#[case::as_curl_writes_it("-H 'x-key: ab'", "-H 'x-key: [redacted]'")]
#[case::as_json("{\"X-Key\": \"ab\"}", "{\"X-Key\": \"[redacted]\"}")]
#[case::not_elsewhere("about ab", "about ab")]
fn a_short_value_of_a_header_is_gone_where_it_stands_after_its_name(#[case] text: &str, #[case] shown: &str) {
    let redactor = Redactor::new();
    redactor.learn_header("x-key", "ab");
    assert_eq!(redactor.redact(text), shown);
}

#[test]
fn of_a_header_each_word_but_the_scheme_is_a_secret() {
    let redactor = Redactor::new();
    redactor.learn_header("authorization", "Bearer sesame-open");
    assert_eq!(
        redactor.redact("got sesame-open; Bearer of news"),
        "got [redacted]; Bearer of news"
    );
}

#[rstest]
#[case::without_a_scheme("user:PASSWORD@host:80", "PASSWORD")]
#[case::with_one("http://user:PASSWORD@host", "PASSWORD")]
#[case::a_quote("user:PASS'WORD@host", "PASS'WORD")]
#[case::no_password("https://SECRETTOKEN@host", "SECRETTOKEN")]
#[case::percent("http://u:PASS%2FWORD@host", "PASS/WORD")]
#[case::parameter("https://host/v1?key=SECRETKEY&b=c", "SECRETKEY")]
#[case::pair("u:pw@host", "u:pw@")]
fn secrets_of_addresses_are_learned(#[case] address: &str, #[case] secret: &str) {
    let redactor = Redactor::new();
    redactor.learn_address(address);
    for text in [secret.to_owned(), address.to_owned()] {
        let shown = redactor.redact(&format!("at {text} it"));
        assert!(shown.contains(PLACEHOLDER) && !shown.contains(secret), "{shown}");
    }
}

#[rstest]
#[case::a_digest("example.com/image:v1.2.3@sha256:0123456789")]
#[case::no_userinfo("localhost:8000/v1?model=something")]
fn what_is_no_secret_of_an_address_stays(#[case] address: &str) {
    let redactor = Redactor::new();
    redactor.learn_address(address);
    assert_eq!(redactor.redact(address), address);
}

#[test]
fn lines_of_a_key_are_secrets_each() {
    let redactor =
        knowing("-----BEGIN KEY-----\nabcdefghijklmnopqrstuvwxyz\n0123456789abcdefghijklmnop\n-----END KEY-----\n");
    assert_eq!(redactor.redact("x 0123456789abcdefghijklmnop y"), "x [redacted] y");
    assert_eq!(redactor.redact("-----END KEY-----"), "-----END KEY-----");
}

#[test]
fn texts_and_names_of_json_lose_their_secrets_and_stay_json() {
    let value = serde_json::json!({"hunter2hunter2": ["a hunter2hunter2", 1, null]});
    let shown = knowing("hunter2hunter2").json(value);
    assert_eq!(shown, serde_json::json!({"[redacted]": ["a [redacted]", 1, null]}));
}

#[test]
fn a_secret_on_the_edge_of_what_is_looked_at_at_once_is_gone() {
    let redactor = knowing("hunter2hunter2");
    for before in WINDOW - 20..WINDOW + 4 {
        let shown = redactor.redact(&format!("{}hunter2hunter2", "-".repeat(before)));
        assert_eq!(shown.len(), before + PLACEHOLDER.len());
    }
}

proptest! {
    #[test]
    fn redaction_neither_panics_nor_leaks_a_learned_value(text in ".{0,200}", secret in "[a-z]{6,12}") {
        let redacted = knowing(&secret).redact(&format!("{text}{secret}{text}"));
        prop_assert!(!redacted.contains(&secret) || PLACEHOLDER.contains(&secret));
    }

    #[test]
    fn a_secret_of_any_letters_is_gone_as_it_is_and_in_json(secret in "\\PC{6,20}", before in ".{0,20}") {
        let secret = secret.trim();
        prop_assume!(secret.len() >= SHORTEST && !PLACEHOLDER.contains(secret));
        let redactor = knowing(secret);
        for written in [secret.to_owned(), serde_json::to_string(secret).unwrap()] {
            let shown = redactor.redact(&format!("{before} {written} after"));
            prop_assert!(shown.contains(PLACEHOLDER) && !shown.contains(written.trim_matches('"')), "{}", shown);
        }
    }
}
