//! From an error of the HTTP client to why there is no whole answer, by the errors' types.

use std::{error::Error, io};

use super::Unanswered;
use crate::host::{in_words, is_exhausted};

/// Why sending a request, or reading its answer, failed.
pub(super) fn unanswered(error: &reqwest::Error) -> Unanswered {
    let words = in_words(error);
    if error.is_builder() {
        return Unanswered::NotSent(words);
    }
    if links(error).any(is_of_this_machine) {
        return Unanswered::HostExhausted(words);
    }
    if error.is_connect() {
        return Unanswered::NotConnected(words);
    }
    links(error).find_map(kind).unwrap_or(Unanswered::CutOff)(words)
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

fn links<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
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
