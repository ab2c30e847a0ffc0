//! The command `ls-refs` of Git's protocol, version 2 (gitprotocol-v2(5)).

use super::pkt_line::{Packet, line, packets};
use crate::redact::cut;
use crate::release::git::Reference;

/// Asks for tags, with the commits of annotated ones, and for branches.
pub(super) fn question() -> Vec<u8> {
    let agent = concat!("agent=quickproof/", env!("CARGO_PKG_VERSION"));
    let command = [line("command=ls-refs"), line(agent)].concat();
    let arguments = ["peel", "ref-prefix refs/tags/", "ref-prefix refs/heads/"];
    format!("{command}0001{}0000", arguments.map(line).concat()).into_bytes()
}

/// Looks whether a server offers version 2.
pub(super) fn check_offer(bytes: &[u8]) -> Result<(), String> {
    let packets = packets(bytes).map_err(|error| error.to_string())?;
    let offers = packets.contains(&Packet::Data(b"version 2\n"));
    offers.then_some(()).ok_or_else(|| "it offers another".into())
}

/// Reads the answer: lines of `OBJECT NAME[ peeled:OBJECT]`.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Reference>, String> {
    let mut references = Vec::new();
    let mut ended = false;
    for packet in packets(bytes).map_err(|error| error.to_string())? {
        match packet {
            Packet::Data(line) => references.push(reference(line)?),
            Packet::Flush => {
                ended = true;
                break;
            }
            Packet::Delimiter | Packet::End => {}
        }
    }
    // Without its end the list may lack anything.
    if ended {
        Ok(references)
    } else {
        Err("its answer is cut off".into())
    }
}

fn reference(line: &[u8]) -> Result<Reference, String> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches('\n');
    let mut words = text.split(' ');
    let (Some(object), Some(name)) = (words.next().filter(|word| is_object(word)), words.next()) else {
        return Err(format!("it lists `{}`", cut(text, 80)));
    };
    let peeled = words.find_map(|word| word.strip_prefix("peeled:").filter(|word| is_object(word)));
    Ok(Reference {
        name: name.to_owned(),
        object: object.to_owned(),
        peeled: peeled.map(str::to_owned),
    })
}

/// Whether a word is the name of an object, by SHA-1 or SHA-256.
pub(super) fn is_object(word: &str) -> bool {
    matches!(word.len(), 40 | 64) && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    #[test]
    fn light_and_annotated_tags_are_told_apart() {
        let lines = [
            format!("{ONE} refs/heads/main symref-target:x"),
            format!("{TWO} refs/tags/v1.0.0 peeled:{ONE}"),
            format!("{ONE} refs/tags/v1.1.0"),
        ];
        let answer = format!("{}0000", lines.map(|text| line(&text)).concat());
        let found = read(answer.as_bytes()).unwrap();
        let seen: Vec<_> = found
            .iter()
            .map(|found| (found.tag(), found.commit(), found.peeled.is_some()))
            .collect();
        assert_eq!(
            seen,
            [
                (None, ONE, false),
                (Some("v1.0.0"), ONE, true),
                (Some("v1.1.0"), ONE, false)
            ]
        );
    }

    #[rstest]
    #[case::cut_off(line(&format!("{ONE} refs/tags/v1.0.0")))]
    #[case::an_error(format!("{}0000", line("ERR access denied")))]
    #[case::a_page("<html>".to_owned())]
    #[case::nothing(String::new())]
    fn what_is_no_list_is_refused(#[case] answer: String) {
        assert!(read(answer.as_bytes()).is_err());
    }

    #[test]
    fn an_older_protocol_is_no_offer() {
        let offer = |version: &str| format!("{}0000{}0000", line("# service=git-upload-pack"), line(version));
        assert!(check_offer(offer("version 2").as_bytes()).is_ok());
        assert!(check_offer(offer(&format!("{ONE} HEAD")).as_bytes()).is_err());
        assert!(check_offer(b"<html>").is_err());
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(text in "([0-9a-f]{40} refs/tags/v[0-9]|[ -~]{0,60})\\PC{0,5}") {
            let _ = read(line(&text).as_bytes());
        }
    }
}
