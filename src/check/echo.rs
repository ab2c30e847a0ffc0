//! The answer of a server that echoes what it was asked.

use url::Url;

use super::wire::Violation;
use crate::{
    probe::{Answer, Echo},
    verdict::CauseCode,
};

/// What is wrong with an answer that must be the echo of its request.
pub(super) fn faults(answer: &Answer) -> Vec<Violation> {
    let wrong = |what: String| Violation {
        check: "echo",
        what,
        cause: CauseCode::AnswerMalformed,
    };
    let Some(echo) = Echo::of(answer) else {
        return vec![wrong(format!("it is no echo that names its pod: {}", answer.brief()))];
    };
    let url = Url::parse(&answer.request.url).ok();
    let asked = url.map_or_else(String::new, |url| {
        url[url::Position::BeforePath..url::Position::AfterQuery].to_owned()
    });
    let of_path =
        (echo.path != asked).then(|| format!("it echoes the path `{}`, and `{asked}` was asked for", echo.path));
    let method = &answer.request.method;
    let of_method =
        (echo.method != *method).then(|| format!("it echoes the method {}, and {method} was asked", echo.method));
    [of_path, of_method].into_iter().flatten().map(wrong).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{check::diagnosis::tests::answer, probe::echoed};

    #[rstest]
    #[case::an_echo(echoed("pod-a"), None)]
    #[case::of_another_request(echoed("pod-a").replace("completions", "chat"), Some("`/v1/chat`, and `/v1/completions` was asked for"))]
    #[case::of_another_method(echoed("pod-a").replace("POST", "GET"), Some("the method GET, and POST"))]
    #[case::of_nobody(echoed(""), Some("no echo that names its pod"))]
    #[case::a_completion(r#"{"object": "text_completion"}"#.to_owned(), Some("no echo"))]
    fn an_echo_is_that_of_its_request(#[case] body: String, #[case] fault: Option<&str>) {
        let faults = faults(&answer(200, true, &body));
        match fault {
            None => assert_eq!(faults, []),
            Some(fault) => assert!(faults[0].what.contains(fault), "{faults:?}"),
        }
    }
}
