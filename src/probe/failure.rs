//! From an error of the HTTP client to why there is no whole answer, by the errors' types.

use std::{error::Error, io};

use hyper_util::client::legacy::Error as ClientError;

use rustls::{CertificateError, InvalidMessage};

use super::{Unanswered, head::Spoken};
use crate::host::{in_words, is_exhausted};

/// Why sending a request failed.
pub(super) fn unsent(error: &ClientError) -> Unanswered {
    let words = in_words(error);
    if links(error).any(is_of_this_machine) {
        return Unanswered::HostExhausted(words);
    }
    if let Some(tls) = links(error).find_map(|link| link.downcast_ref::<rustls::Error>()) {
        return of_tls(tls, words);
    }
    if error.is_connect() {
        return Unanswered::NotConnected(words);
    }
    links(error).find_map(kind).unwrap_or(Unanswered::CutOff)(words)
}

/// Why no secured connection came to be.
fn of_tls(error: &rustls::Error, words: String) -> Unanswered {
    match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Unanswered::OtherProtocol(Spoken::Plain, words)
        }
        rustls::Error::InvalidCertificate(why) => Unanswered::Untrusted(match why {
            CertificateError::UnknownIssuer | CertificateError::Other(_) => {
                format!("it is signed by itself, or by nobody whom this machine trusts ({error})")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("it is for another name ({error})")
            }
            _ => error.to_string(),
        }),
        _ => Unanswered::NotConnected(words),
    }
}

/// The error in words.
pub(super) fn words(error: &ClientError) -> String {
    in_words(error)
}

/// Why reading an answer failed.
pub(super) fn unread(error: &hyper::Error) -> Unanswered {
    links(error).find_map(kind).unwrap_or(Unanswered::CutOff)(in_words(error))
}

/// Whether the connection, which stood, was gone; of HTTP/2 also where the server says that it has not looked at the
/// request (RFC 9113, section 8.7).
pub(super) fn is_of_a_connection_that_went(error: &ClientError) -> bool {
    !error.is_connect() && links(error).any(went)
}

fn went(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    let is_gone = |error: &io::Error| {
        let kinds = [
            ConnectionReset,
            ConnectionAborted,
            BrokenPipe,
            NotConnected,
            UnexpectedEof,
        ];
        kinds.contains(&error.kind())
    };
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return error.is_incomplete_message() || error.is_closed() || error.is_canceled();
    }
    if let Some(error) = error.downcast_ref::<h2::Error>() {
        return error.get_io().is_some_and(is_gone)
            || error.is_remote()
                && match error.reason() {
                    Some(h2::Reason::REFUSED_STREAM) => true,
                    Some(h2::Reason::NO_ERROR) => error.is_go_away(),
                    _ => false,
                };
    }
    error.downcast_ref::<io::Error>().is_some_and(is_gone)
}

/// Whether the operating system has nothing left for another connection.
fn is_of_this_machine(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref().is_some_and(is_exhausted)
}

type Kind = fn(String) -> Unanswered;

/// What one link of a chain of errors says; `None` where a further link must say it.
fn kind(error: &(dyn Error + 'static)) -> Option<Kind> {
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return of_http(error);
    }
    if let Some(error) = error.downcast_ref::<h2::Error>() {
        return of_stream(error);
    }
    error.downcast_ref::<io::Error>().map(of_connection)
}

fn of_http(error: &hyper::Error) -> Option<Kind> {
    if error.is_incomplete_message() {
        Some(Unanswered::CutOff)
    } else if error.is_parse() {
        Some(Unanswered::Malformed)
    } else if error.is_user() {
        Some(Unanswered::NotSent)
    } else {
        None
    }
}

fn of_stream(error: &h2::Error) -> Option<Kind> {
    if let Some(error) = error.get_io() {
        Some(of_connection(error))
    } else if error.is_remote() {
        Some(Unanswered::Reset)
    } else if error.is_library() {
        Some(Unanswered::Malformed)
    } else {
        None
    }
}

/// The kinds are those that the kernel gives a connection, and those that hyper gives a body: an unexpected end, and
/// invalid input or data where the chunks' framing is broken.
fn of_connection(error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Unanswered::Reset,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Unanswered::Malformed,
        _ => Unanswered::CutOff,
    }
}

/// An error and what it comes from. Of an error of input and output that holds another, `source` skips that one.
fn links<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match held {
            Some(held) => Some(held as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::too_many_open_files(24, true)]
    #[case::no_port_left(99, true)]
    #[case::refused(111, false)]
    fn what_this_machine_lacks_is_told_from_what_the_other_refuses(#[case] number: i32, #[case] own: bool) {
        let error = io::Error::from_raw_os_error(number);
        assert_eq!(is_of_this_machine(&error), own, "{error}");
    }
}
