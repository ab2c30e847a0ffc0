//! Durations as Go's programs take them.

use std::time::Duration;

/// The letters of Go's units: `ns`, `us` (also with either micro sign), `ms`, `s`, `m`, `h`.
const UNITS: &str = "nuµμmsh";

/// Reads a duration as Go writes it: `300ms`, `90s`, `1m30s`, `1.5h`. Larger units stand before smaller ones, and there is
/// no sign.
///
/// # Errors
/// It is none; the message says what is expected.
///
/// ```
/// use std::time::Duration;
///
/// use quickproof::guide::duration;
///
/// assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
/// assert!(duration("5").is_err(), "a number alone has no unit");
/// ```
pub fn duration(text: &str) -> Result<Duration, String> {
    let is_go = text
        .chars()
        .all(|sign| sign.is_ascii_digit() || sign == '.' || UNITS.contains(sign));
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let parsed = is_go.then(|| text.parse::<jiff::SignedDuration>().ok()).flatten();
    parsed
        .and_then(|parsed| Duration::try_from(parsed).ok())
        .ok_or_else(|| "expected a duration such as `90s`, `10m` or `1h30m`".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("90s", Some(90_000))]
    #[case("1m30s", Some(90_000))]
    #[case("2h", Some(7_200_000))]
    #[case("300ms", Some(300))]
    #[case("1.5h", Some(5_400_000))]
    #[case("0", Some(0))]
    #[case("0s", Some(0))]
    #[case("", None)]
    #[case("5", None)]
    #[case("5d", None)]
    #[case("5 m", None)]
    #[case("5 minutes", None)]
    #[case("PT5M", None)]
    #[case("-1s", None)]
    #[case("99999999999999999999s", None)]
    #[case("9999999999999999999h", None)]
    fn durations_are_read_as_go_writes_them(#[case] text: &str, #[case] milliseconds: Option<u128>) {
        assert_eq!(duration(text).ok().map(|read| read.as_millis()), milliseconds);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_duration_panic(text in "[0-9smhé.µ-]{0,24}") {
            let _ = duration(&text);
        }
    }
}
