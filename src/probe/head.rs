//! What came, where the HTTP client takes none of it: another protocol, or a head that it refuses.

use super::Received;

/// What speaks at a port, where it is not what the address says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// No TLS, where the address says `https`.
    Plain,
    /// TLS, where the address says `http`.
    Tls,
    /// HTTP/2 and no HTTP/1.1, without TLS.
    Http2,
}

impl Spoken {
    /// What is there in place of what was asked for, and the way out.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Plain => "the port does not speak TLS: the address must begin with `http://`",
            Self::Tls => "the port speaks TLS: the address must begin with `https://`",
            Self::Http2 => "the port speaks HTTP/2 without TLS and no HTTP/1.1, which is what is asked there",
        }
    }
}

/// What a server speaks that says this to a request in HTTP/1.1; `None` where that cannot be told.
///
/// Sources: RFC 8446, sections 5.1 and 6 (a TLS alert); RFC 9113, sections 3.4, 4.1 and 6.5 (a server begins with SETTINGS).
pub(super) fn spoken(bytes: &[u8]) -> Option<Spoken> {
    match bytes {
        [21, 3, _, 0, 2, ..] => Some(Spoken::Tls),
        [_, _, _, 4, 0, 0, 0, 0, 0, ..] => Some(Spoken::Http2),
        _ => None,
    }
}

/// The head of a response in HTTP/1, read as it stands, where all of it is there.
pub(super) fn head(bytes: &[u8]) -> Option<Received> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = text.split("\r\n");
    let (version, rest) = lines.next()?.split_once(' ')?;
    let status = rest.get(..3)?.parse().ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let is_http = ["HTTP/1.0", "HTTP/1.1"].contains(&version);
    is_http.then(|| Received {
        version: version.to_owned(),
        status,
        headers: lines.filter_map(header).collect(),
        ..Received::default()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::{super::texts, *};

    #[rstest]
    #[case::an_alert(&[21, 3, 1, 0, 2, 2, 70], Some(Spoken::Tls))]
    #[case::settings(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 5], Some(Spoken::Http2))]
    #[case::http(b"HTTP/1.1 200 OK", None)]
    #[case::another(b"SSH-2.0-x\r\n", None)]
    #[case::nothing(b"", None)]
    fn what_a_server_speaks_is_told_by_its_first_bytes(#[case] bytes: &[u8], #[case] speaks: Option<Spoken>) {
        assert_eq!(spoken(bytes), speaks);
    }

    #[test]
    fn a_head_is_read_as_it_stands() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\ncontent-length:4\r\nnonsense\r\n\r\nabc";
        let head = head(bytes).unwrap();
        assert_eq!(
            (head.version.as_str(), head.status, head.body_bytes),
            ("HTTP/1.1", 200, 0)
        );
        assert_eq!(texts(&head.headers), [("content-length", "3"), ("content-length", "4")]);
    }

    #[rstest]
    #[case::not_all_of_it(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n")]
    #[case::no_status(b"HTTP/1.1 OK\r\n\r\n")]
    #[case::no_http(b"ICY 200 OK\r\n\r\n")]
    fn what_is_no_head_is_none(#[case] bytes: &[u8]) {
        assert!(head(bytes).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = (spoken(&bytes), head(&[b"HTTP/1.1 ".as_slice(), &bytes, b"\r\n\r\n"].concat()));
        }
    }
}
