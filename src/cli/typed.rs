//! The command line as it was typed: what of it is a secret, and how it is shown.

use std::ffi::OsString;

use crate::{
    host::shell_quoted,
    redact::{PLACEHOLDER, Redactor, is_secret_name},
};

/// The option whose value is a header.
const HEADER: &str = "header";

/// The words of a command line without the program, each with the option that it is the value of.
fn words(typed: &[OsString]) -> Vec<(Option<String>, String)> {
    let mut words = Vec::new();
    let mut option: Option<String> = None;
    for word in typed.iter().skip(1).map(|word| word.to_string_lossy()) {
        match word.strip_prefix("--").map(|long| long.split_once('=')) {
            Some(Some((name, value))) => {
                words.push((Some(name.to_owned()), value.to_owned()));
                option = None;
            }
            Some(None) => option = word.strip_prefix("--").map(str::to_owned),
            None => words.push((option.take(), word.into_owned())),
        }
    }
    words
}

/// Learns the secrets of a command line before anything is done with it: values of headers, secrets of addresses, and what
/// stands for a name such as `token`.
pub(super) fn learn(typed: &[OsString], redactor: &Redactor) {
    for (option, value) in words(typed) {
        match option.as_deref() {
            Some(HEADER) => match value.split_once(':') {
                Some((name, value)) => redactor.learn_header(name.trim(), value),
                None => redactor.learn(&value),
            },
            Some(option) if is_secret_name(option) => redactor.learn(&value),
            _ => {}
        }
        if let Some((name, value)) = value.split_once('=')
            && is_secret_name(name)
        {
            redactor.learn(value);
        }
        redactor.learn_address(&value);
    }
}

/// Learns what may be the value of a header, of a command line that is refused: somebody may have left out `--header`.
pub(super) fn learn_misplaced(typed: &[OsString], redactor: &Redactor) {
    for (_, word) in words(typed) {
        let Some((name, value)) = word.split_once(':') else {
            continue;
        };
        let is_port = value.starts_with(|first: char| first.is_ascii_digit());
        if !is_port && !value.starts_with("//") {
            redactor.learn_header(name.trim(), value);
        }
    }
}

/// Words as a POSIX shell reads them back, without what headers hold. It is not redacted otherwise.
pub(super) fn command_line(typed: &[OsString]) -> String {
    let mut line = String::from("quickproof");
    let mut is_header = false;
    let hidden = |header: &str| match header.split_once(':') {
        Some((name, _)) => format!("{name}: {PLACEHOLDER}"),
        None => PLACEHOLDER.to_owned(),
    };
    let option = format!("--{HEADER}");
    let with_value = format!("{option}=");
    for word in typed.iter().skip(1) {
        let word = word.to_string_lossy();
        let shown = match word.strip_prefix(&with_value) {
            Some(header) => format!("{with_value}{}", hidden(header)),
            None if is_header => hidden(&word),
            None => word.to_string(),
        };
        is_header = !is_header && word == option;
        line.push(' ');
        line.push_str(&shell_quoted(&shown));
    }
    line
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn typed(words: &[&str]) -> Vec<OsString> {
        ["quickproof"].iter().chain(words).map(OsString::from).collect()
    }

    #[test]
    fn a_command_line_reads_back_in_a_shell() {
        let words = typed(&["verify", "--set", "a=b c", "it's", ""]);
        assert_eq!(command_line(&words), r"quickproof verify --set 'a=b c' 'it'\''s' ''");
    }

    #[rstest]
    #[case::apart(&["probe", "h", "--header", "x-key: it's"], "quickproof probe h --header 'x-key: [redacted]'")]
    #[case::together(&["probe", "h", "--header=x-key:ab"], "quickproof probe h '--header=x-key: [redacted]'")]
    #[case::no_header(&["probe", "--header", "SECRET", "h"], "quickproof probe --header '[redacted]' h")]
    #[case::twice(&["--header", "--header", "h"], "quickproof --header '[redacted]' h")]
    fn what_a_header_holds_is_not_in_it_however_short(#[case] words: &[&str], #[case] shown: &str) {
        assert_eq!(command_line(&typed(words)), shown);
    }

    #[rstest]
    #[case::header(&["probe", "h", "--header", "x-key: opensesame"])]
    #[case::header_together(&["probe", "h", "--header=x-key:opensesame"])]
    #[case::no_header(&["probe", "h", "--header", "opensesame"])]
    #[case::address(&["probe", "user:opensesame@host"])]
    #[case::address_of_an_option(&["probe", "--nothing=http://user:opensesame@host"])]
    #[case::query(&["probe", "host/v1?key=opensesame"])]
    #[case::setting(&["verify", "--set", "hub.token=opensesame"])]
    #[case::option(&["probe", "--api-key", "opensesame"])]
    fn secrets_of_a_command_line_are_known(#[case] words: &[&str]) {
        let redactor = Redactor::new();
        learn(&typed(words), &redactor);
        assert_eq!(redactor.redact("an opensesame"), "an [redacted]");
    }

    #[rstest]
    #[case(&["probe", "h", "x-key: opensesame"], "[redacted]")]
    #[case(&["probe", "h", "x-key:opensesame"], "[redacted]")]
    #[case(&["probe", "localhost:8000"], "opensesame")]
    fn a_header_without_its_option_is_known_where_the_command_line_is_refused(
        #[case] words: &[&str],
        #[case] shown: &str,
    ) {
        let redactor = Redactor::new();
        learn_misplaced(&typed(words), &redactor);
        assert_eq!(redactor.redact("opensesame"), shown);
        assert_eq!(redactor.redact("port 8000"), "port 8000");
    }
}
