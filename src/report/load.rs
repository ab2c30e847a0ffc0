//! A load in figures, line by line, for the terminal and text reports.

use std::fmt::Write as _;

use crate::{
    record::{ConfiguredLatencies, Counted, LoadFigures, Objective, Quantiles, in_percent},
    report::{
        page::one_line,
        paint::{Line, Tone},
    },
};

/// Columns before the figures.
const DETAIL: usize = 6;
/// Columns of what a row of the table is about.
const WORD: usize = 22;
/// Columns of a time in it.
const TIME: usize = 11;
/// Pods, and kinds of wrong answers, that are named; the others are counted.
const NAMED: usize = 8;

/// The figures of a load, under a line that says what was asked.
pub(super) fn lines(figures: &LoadFigures) -> Vec<Line> {
    let plain = |text: String| Line::indented(DETAIL).hanging(2).with(Tone::Plain, text);
    let mut lines = vec![
        Line::indented(2)
            .hanging(2)
            .with(Tone::Bold, format!("load {}", one_line(&figures.of)))
            .with(Tone::Plain, format!(" · {}", one_line(&figures.asked))),
        plain(sent(figures)),
        plain(good(figures)),
    ];
    lines.extend(figures.objective.as_ref().map(|objective| plain(limits(objective))));
    let rows = [
        ("time to first token", figures.time_to_first_token),
        ("inter-token latency", figures.inter_token_latency),
        ("end to end", figures.end_to_end),
        ("sent late by", figures.late),
    ];
    let heads = ["p50", "p90", "p99", "max"]
        .map(|head| format!("{head:>TIME$}"))
        .concat();
    lines.push(
        Line::indented(DETAIL)
            .with(Tone::Dim, format!("{:WORD$}{heads}", ""))
            .unbroken(),
    );
    for (word, quantiles) in rows {
        lines.extend(quantiles.map(|quantiles| row(word, quantiles)));
    }
    lines.extend(figures.configured.as_ref().and_then(configured).map(plain));
    for (word, counted) in [("wrong", &figures.wrong), ("served by", &figures.pods)] {
        if !counted.is_empty() {
            lines.push(plain(format!("{word}: {}", named(counted))));
        }
    }
    lines
}

fn sent(figures: &LoadFigures) -> String {
    let mut text = format!(
        "{} requests sent in {}, {}",
        figures.sent,
        time(figures.took_ms.saturating_mul(1000)),
        rate(figures.sent_per_1000_s)
    );
    if let Some(asked) = figures.asked_per_1000_s {
        let _ = write!(text, " of {} asked", rate(asked));
    }
    if figures.sent < figures.due {
        let _ = write!(text, ", {} due and never sent", figures.due - figures.sent);
    }
    if figures.held_back > 0 {
        let _ = write!(text, ", {} held back", figures.held_back);
    }
    if figures.resent > 0 {
        let _ = write!(text, ", {} sent once more on a new connection", figures.resent);
    }
    format!("{text}; at most {} under way", figures.most_under_way)
}

fn good(figures: &LoadFigures) -> String {
    let goodput = format!(
        "goodput {}: {} of {} good ({})",
        rate(figures.good_per_1000_s),
        figures.good,
        figures.due,
        share(figures.good, figures.due)
    );
    let wrong = figures.due - figures.right.min(figures.due);
    match (wrong, figures.right - figures.good.min(figures.right)) {
        (0, 0) => goodput,
        (wrong, 0) => format!("{goodput}, {wrong} wrong or not there"),
        (0, slow) => format!("{goodput}, {slow} right and too slow"),
        (wrong, slow) => format!("{goodput}, {wrong} wrong or not there, {slow} right and too slow"),
    }
}

fn limits(objective: &Objective) -> String {
    let limits = [
        ("time to first token", objective.time_to_first_token_us),
        ("inter-token latency", objective.inter_token_latency_us),
        ("end to end", objective.end_to_end_us),
    ];
    let limits: Vec<String> = limits
        .into_iter()
        .filter_map(|(word, limit)| Some(format!("{word} {}", time(limit?))))
        .collect();
    let within = if limits.is_empty() {
        String::new()
    } else {
        format!(", within {}", limits.join(", "))
    };
    format!("asked: {} good{within}", share(objective.goodput_of_10000, 10_000))
}

fn row(word: &str, quantiles: Quantiles) -> Line {
    let Quantiles {
        count: _,
        p50_us,
        p90_us,
        p99_us,
        max_us,
    } = quantiles;
    let times = [p50_us, p90_us, p99_us, max_us]
        .map(|us| format!("{:>TIME$}", time(us)))
        .concat();
    Line::indented(DETAIL)
        .with(Tone::Dim, format!("{word:WORD$}"))
        .with(Tone::Plain, times)
        .unbroken()
}

fn configured(configured: &ConfiguredLatencies) -> Option<String> {
    let told = [
        ("time to first token", &configured.time_to_first_token),
        ("inter-token latency", &configured.inter_token_latency),
    ];
    let told: Vec<String> = told
        .into_iter()
        .filter_map(|(word, value)| Some(format!("{word} {}", value.as_ref()?)))
        .collect();
    (!told.is_empty()).then(|| format!("the model server's arguments ask for {}", told.join(", ")))
}

/// `a 12, b 9 and 2 more`.
fn named(counted: &[Counted]) -> String {
    let mut words: Vec<String> = counted
        .iter()
        .take(NAMED)
        .map(|Counted { what, count }| format!("{} ({count})", one_line(what)))
        .collect();
    if counted.len() > NAMED {
        words.push(format!("and {} more", counted.len() - NAMED));
    }
    words.join(", ")
}

/// Requests in a thousand seconds as those of a second, to a tenth.
fn rate(per_1000_s: u64) -> String {
    let tenths = (per_1000_s + 50) / 100;
    format!("{}.{}/s", tenths / 10, tenths % 10)
}

/// A part of a whole in hundredths of a percent, rounded down: only all of it is 100 %.
fn share(part: u64, whole: u64) -> String {
    let of_10000 = u128::from(part) * 10_000 / u128::from(whole.max(1));
    in_percent(u64::try_from(of_10000).unwrap_or(u64::MAX))
}

/// Microseconds as a person says them, to three or four digits.
fn time(us: u64) -> String {
    match us {
        0..1000 => format!("{us} µs"),
        1000..100_000 => format!("{}.{:02} ms", us / 1000, us % 1000 / 10),
        100_000..10_000_000 => format!("{} ms", us / 1000),
        _ => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0 µs")]
    #[case(999, "999 µs")]
    #[case(1005, "1.00 ms")]
    #[case(99_999, "99.99 ms")]
    #[case(100_000, "100 ms")]
    #[case(10_050_000, "10.0 s")]
    fn times_are_said_in_the_unit_that_fits(#[case] us: u64, #[case] said: &str) {
        assert_eq!(time(us), said);
    }

    #[rstest]
    #[case(600, 600, "100 %")]
    #[case(999_999, 1_000_000, "99.99 %")]
    #[case(1, 3, "33.33 %")]
    #[case(0, 0, "0 %")]
    fn a_share_is_never_said_to_be_more_than_it_is(#[case] part: u64, #[case] whole: u64, #[case] said: &str) {
        assert_eq!(share(part, whole), said);
    }

    #[rstest]
    #[case(20_000, "20.0/s")]
    #[case(16, "0.0/s")]
    #[case(1_666, "1.7/s")]
    fn rates_are_said_by_the_second(#[case] per_1000_s: u64, #[case] said: &str) {
        assert_eq!(rate(per_1000_s), said);
    }
}
