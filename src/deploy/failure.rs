//! What a step that failed says, by what failed: the API server, a wait, a program, a variable.

use std::time::Duration;

use crate::{
    cluster::{resources::Trouble, watching::WaitError},
    host::HostError,
    verdict::{Cause, CauseCode, Fault},
};

/// The failure that an API server's trouble is. `at` says what was being done or where the object stands.
pub(super) fn refused(trouble: Trouble, expected: impl Into<String>, at: &str) -> Fault {
    let expected = expected.into();
    match trouble {
        Trouble::Refused { code, .. } => {
            let cause = match code {
                401 | 403 => CauseCode::ObjectForbidden,
                409 => CauseCode::ObjectConflict,
                _ => CauseCode::ObjectRefused,
            };
            // What it says is what shows it; the place alone would be told as the root cause.
            Fault::shown(expected, Cause::new(cause).because(format!("{trouble} ({at})")))
        }
        Trouble::Away { cause, what, .. } => Fault {
            expected,
            actual: "the API server does not answer".into(),
            cause: Cause::new(cause).because(what).because(at),
        },
    }
}

/// The failure that a wait's end is; `never` says what the reason for "never" means.
pub(super) fn wait_failed<N>(error: WaitError<N>, expected: String, never: impl FnOnce(N) -> Cause) -> Fault {
    match error {
        WaitError::Never(reason) => {
            let cause = never(reason);
            Fault::new(
                expected,
                cause
                    .evidence
                    .first()
                    .cloned()
                    .unwrap_or_else(|| "it will never be so".into()),
                cause,
            )
        }
        WaitError::TimedOut { after_ms, seen } => Fault {
            expected,
            actual: format!(
                "not so after {:.0} s: {seen}",
                Duration::from_millis(after_ms).as_secs_f64()
            ),
            cause: Cause::new(CauseCode::StepTimedOut).because(seen),
        },
        WaitError::ApiServerAway { trouble } => Fault {
            expected,
            actual: "the API server does not answer".into(),
            cause: trouble.cause(),
        },
    }
}

/// The failure that a program of this machine is.
pub(super) fn tool_failed(error: &HostError, expected: String) -> Fault {
    let mut actual = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        actual = format!("{actual}: {source}");
    }
    Fault::new(expected, actual, Cause::new(CauseCode::HostToolFailed))
}

/// The failure that a variable without a value is.
pub(super) fn unset(variable: &str) -> Fault {
    Fault::new(
        format!("the variable {variable} has a value"),
        format!("no step before this one sets {variable}"),
        CauseCode::ShellVariableUnset,
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(403, CauseCode::ObjectForbidden)]
    #[case(404, CauseCode::ObjectRefused)]
    #[case(409, CauseCode::ObjectConflict)]
    #[case(422, CauseCode::ObjectRefused)]
    #[case(400, CauseCode::ObjectRefused)]
    fn refusals_are_told_apart_by_code(#[case] code: u16, #[case] cause: CauseCode) {
        let trouble = Trouble::Refused {
            code,
            message: "m".into(),
        };
        let fault = refused(trouble, String::new(), "f.yaml:1");
        assert_eq!(fault.cause.code, cause);
        let said = format!("the API server answers {code}: m (f.yaml:1)");
        assert_eq!(fault.cause.evidence, [said], "what is wrong, and not only where");
    }
}
