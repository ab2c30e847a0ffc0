//! What came of the seeds, a row each.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::{Expected, Grace, Seed};
use crate::{record::milliseconds, verdict::Outcome};

/// What came of one seed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) name: String,
    /// The part of the product that it is about.
    pub(crate) class: String,
    /// The defect that it stands for.
    pub(crate) stands_for: String,
    /// The release that was shipped with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shipped: Option<String>,
    /// What must come of it.
    pub(crate) expected: String,
    /// What came of it.
    pub(crate) got: String,
    /// What of it is not as it must be; empty where all is.
    pub(crate) misses: Vec<String>,
    /// Why it was not carried out, where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) not_run: Option<String>,
    /// Whether it is given time because it may heal by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grace: Option<Grace>,
    /// Milliseconds from the first sign in the API to the run's decision, where the seed names a sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sign_to_call_ms: Option<u64>,
    /// How many requests the API server got, where they were counted: of the run and of the programs that it calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) requests: Option<u64>,
    /// Milliseconds it took in all.
    pub(crate) took_ms: u64,
    /// Where its run's reports are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reports: Option<String>,
}

/// What came of all seeds.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Results {
    /// quickproof's version.
    pub(crate) version: &'static str,
    /// Whether only what needs no cluster was carried out.
    pub(crate) quick: bool,
    /// A row for each seed.
    pub(crate) rows: Vec<Row>,
}

/// What a row came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// To what it must.
    AsExpected,
    /// To something else.
    Missed,
    /// It was not carried out.
    NotRun,
}

impl Row {
    /// A row of a seed, of which nothing is known yet.
    pub(super) fn of(seed: &Seed) -> Self {
        Self {
            name: seed.name.clone(),
            class: word(&seed.class),
            stands_for: seed.stands_for.clone(),
            shipped: seed.shipped.clone(),
            expected: String::new(),
            got: String::new(),
            misses: Vec::new(),
            not_run: None,
            grace: None,
            sign_to_call_ms: None,
            requests: None,
            took_ms: 0,
            reports: None,
        }
    }

    /// Whether it was called later after its first sign than it may be.
    pub(crate) fn is_late(&self) -> bool {
        let bound = self.grace.map(|grace| milliseconds(grace.bound()));
        bound
            .zip(self.sign_to_call_ms)
            .is_some_and(|(bound, took)| took > bound)
    }

    /// What it came to.
    pub(crate) fn came(&self) -> Came {
        match (&self.not_run, self.misses.is_empty()) {
            (Some(_), _) => Came::NotRun,
            (None, true) => Came::AsExpected,
            (None, false) => Came::Missed,
        }
    }
}

impl Results {
    /// Whether each row that was carried out is as it must be, and at least one was.
    pub(crate) fn are_as_expected(&self) -> bool {
        self.count(Came::Missed) == 0 && self.count(Came::AsExpected) > 0
    }

    /// How many came to this.
    pub(crate) fn count(&self, came: Came) -> usize {
        self.rows.iter().filter(|row| row.came() == came).count()
    }

    /// The last line.
    pub(crate) fn sentence(&self) -> String {
        let mut sentence = format!(
            "{} as expected, {} missed, {} not run",
            self.count(Came::AsExpected),
            self.count(Came::Missed),
            self.count(Came::NotRun)
        );
        for (grace, words) in [
            (Grace::None, "without grace"),
            (Grace::Window, "with a window of grace"),
        ] {
            let mut times: Vec<u64> = self
                .rows
                .iter()
                .filter(|row| row.grace == Some(grace))
                .filter_map(|row| row.sign_to_call_ms)
                .collect();
            times.sort_unstable();
            // The smallest that at least 95 % are not above.
            if let Some(p95) = times.get((times.len() * 95).div_ceil(100).saturating_sub(1)) {
                let _ = write!(sentence, "; {words} p95 {} from sign to call", seconds(*p95));
            }
        }
        if let Some(requests) = self.rows.iter().find_map(|row| row.requests) {
            let _ = write!(sentence, "; a run asks the API server {requests} times");
        }
        sentence
    }

    /// A table in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut table =
            String::from("| fault | stands for | expected | got | sign to call | took |\n|---|---|---|---|--:|--:|\n");
        for row in &self.rows {
            let got = match row.came() {
                Came::AsExpected => "as expected".to_owned(),
                Came::Missed => format!("**missed**: {}", row.got),
                Came::NotRun => format!("not run: {}", row.not_run.as_deref().unwrap_or_default()),
            };
            let cells = [
                format!("`{}`", row.name),
                match &row.shipped {
                    Some(shipped) => format!("{} (shipped: {shipped})", row.stands_for),
                    None => row.stands_for.clone(),
                },
                row.expected.clone(),
                got,
                row.sign_to_call_ms.map(seconds).unwrap_or_default(),
                seconds(row.took_ms),
            ];
            let cells = cells.map(|cell| cell.replace('|', "\\|").replace('\n', " "));
            let _ = writeln!(table, "| {} |", cells.join(" | "));
        }
        table + &format!("\n{}.\n", self.sentence())
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.or_passes {
            write!(formatter, "{} or ", word(&Outcome::Passed))?;
        }
        formatter.write_str(&word(&self.outcome))?;
        if let Some(cause) = self.cause {
            write!(formatter, " {}", word(&cause))?;
        }
        if let Some(blame) = self.blame {
            write!(formatter, " ({})", word(&blame))?;
        }
        Ok(())
    }
}

/// The word of an enum of words, as it stands in files and reports.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// Milliseconds in seconds.
pub(crate) fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::Library;

    fn row(time: Option<u64>) -> Row {
        let seed = Library::shipped().unwrap().seeds.remove(0);
        Row {
            grace: Some(Grace::None),
            sign_to_call_ms: time,
            ..Row::of(&seed)
        }
    }

    #[test]
    fn nothing_carried_out_is_no_success() {
        let mut results = Results::default();
        assert!(!results.are_as_expected());
        let mut left_out = row(None);
        left_out.not_run = Some("no tree".to_owned());
        results.rows.push(left_out);
        assert!(!results.are_as_expected());
        results.rows.push(row(None));
        assert!(results.are_as_expected());
        let mut missed = row(None);
        missed.misses.push("it passed".to_owned());
        results.rows.push(missed);
        assert!(!results.are_as_expected());
        assert_eq!(results.sentence(), "1 as expected, 1 missed, 1 not run");
    }

    #[test]
    fn the_time_that_most_stay_under_is_told() {
        let rows = (1..=20).map(|number| row(Some(number * 100))).collect();
        let results = Results {
            rows,
            ..Results::default()
        };
        assert!(
            results
                .sentence()
                .ends_with("without grace p95 1.9 s from sign to call")
        );
        assert_eq!(results.markdown().lines().count(), 24);
    }
}
