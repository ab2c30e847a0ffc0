//! The JUnit report, as CI systems read it.
//!
//! A `failure` is the product's, an `error` everything else: infrastructure, a run that did not end, a check that was
//! never decided. JUnit knows no warnings: an advisory finding is `skipped` with its message, so that it is seen and
//! decides nothing. Whatever is not a pass has at least one `failure` or `error`.
//!
//! `TestGrid` and Prow's lens read it by rules of their own. A row is named by suite and case, so both are the same in every
//! run; a cell shows the two ends of message and body; properties that are numbers become graphs; a case that is there twice,
//! once red and once green, is flaky. Sources: `TestGrid`, `pkg/updater/gcs.go`, `metadata/junit/junit.go`; Prow,
//! `pkg/spyglass/lenses/junit/lens.go`.

use std::{fmt::Write as _, io::Write, time::Duration};

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use crate::{
    record::{Decision, LoadFigures, Quantiles, Render, RootCause, RunRecord, Stage},
    redact::{printable, printable_lines},
    report::page,
    verdict::{ExitCode, Fault, Finding, Outcome, Weight},
};

/// Renders `junit_quickproof.xml`: a suite for the run itself (its properties are the subject and the ledger), and one
/// for each stage.
#[derive(Debug, Clone, Copy)]
pub struct Junit;

impl Render for Junit {
    fn render(&self, record: &RunRecord, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut report = Report::new("quickproof");
        if let Some(ms) = record.took_ms {
            report.set_time(Duration::from_millis(ms));
        }
        let mut stages: Vec<Stage> = record.decisions.iter().map(|decision| decision.stage).collect();
        stages.sort_unstable();
        stages.dedup();
        let suites: Vec<TestSuite> = stages.into_iter().map(|stage| stage_suite(record, stage)).collect();
        report.add_test_suite(run_suite(record, &suites));
        report.add_test_suites(suites);
        report.serialize(out)?;
        Ok(())
    }
}

/// The suite of the run itself, beside those of its stages.
fn run_suite(record: &RunRecord, stages: &[TestSuite]) -> TestSuite {
    let told = stages.iter().any(|suite| suite.failures + suite.errors > 0);
    let mut suite = TestSuite::new("run");
    for (name, value) in properties(record) {
        suite.add_property(Property::new(name, printable(&value)));
    }
    let ended = match (&record.interrupted, record.ended) {
        (Some(signal), _) => error("interrupted", &format!("{signal} ended the run before it was decided")),
        (None, None) => error("run-not-ended", "the run did not end"),
        (None, Some(_)) => TestCaseStatus::success(),
    };
    suite.add_test_case(case("run", "the run ended", ended));
    for check in record.never_decided() {
        let status = error("never-decided", "expected, and never decided");
        suite.add_test_case(case("run", check, status));
    }
    if !record.left_behind.is_empty() {
        let status = error("left-behind", &record.left_behind.join(", "));
        suite.add_test_case(case("run", "nothing is left behind", status));
    }
    // What the cases do not tell, such as that nothing but skips was found, the outcome must.
    let outcome = record.outcome();
    if outcome != Outcome::Passed && !told && suite.errors == 0 {
        let status = error("not-passed", &format!("{}: nothing was proven", outcome.word()));
        suite.add_test_case(case("run", "something was proven", status));
    }
    suite
}

fn properties(record: &RunRecord) -> Vec<(String, String)> {
    let mut properties = vec![
        ("outcome".to_owned(), record.outcome().word().to_lowercase()),
        ("quickproof".to_owned(), record.quickproof.clone()),
        ("run".to_owned(), record.run.clone()),
        ("command".to_owned(), record.command.clone()),
    ];
    if record.ended.is_some() {
        let code: ExitCode = record.exit_code();
        properties.push(("exit_code".to_owned(), code.number().to_string()));
    }
    if let Some(began) = record.began {
        properties.push(("began".to_owned(), began.to_string()));
    }
    if let Some(subject) = &record.subject {
        let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        properties.extend([
            ("subject".to_owned(), subject.sentence()),
            ("repository".to_owned(), subject.repository.clone()),
            ("tag".to_owned(), or_none(&subject.tag)),
            ("commit".to_owned(), or_none(&subject.commit)),
            ("variant".to_owned(), subject.variant.clone()),
            ("provider".to_owned(), subject.provider.clone()),
            ("phase".to_owned(), subject.phase.clone()),
        ]);
    }
    for (index, entry) in record.ledger.iter().enumerate() {
        let from = entry.from.as_ref().map_or(String::new(), |from| format!(" ({from})"));
        properties.push((
            format!("ledger.{}", index + 1),
            format!(
                "{}: {}: {}; why: {}{from}",
                entry.kind.word(),
                entry.subject,
                entry.what,
                entry.why
            ),
        ));
    }
    properties
}

fn stage_suite(record: &RunRecord, stage: Stage) -> TestSuite {
    let mut suite = TestSuite::new(stage.word());
    let root = record.root_cause();
    if let Some((_, ms)) = record.spent.iter().find(|(spent, _)| *spent == stage) {
        suite.set_time(Duration::from_millis(*ms));
    }
    for decision in record.decisions.iter().filter(|decision| decision.stage == stage) {
        // Each try under the same name: what was wrong first, and then the one that counts.
        let earlier = record.retried.iter().filter(|one| one.check == decision.check);
        for tried in earlier.chain([decision]) {
            suite.add_test_case(decided(record, tried, root.as_ref()));
        }
    }
    suite
}

/// The case of a decision.
fn decided(record: &RunRecord, decision: &Decision, root: Option<&RootCause<'_>>) -> TestCase {
    let mut case = case(decision.stage.word(), &decision.check, status(decision, root));
    case.add_property(Property::new("sentence", printable(&decision.sentence)));
    if let Some(from) = &decision.from {
        case.add_property(Property::new("from", printable(&from.to_string())));
    }
    if let Some(ms) = decision.took_ms {
        case.set_time(Duration::from_millis(ms));
        case.add_property(Property::new("seconds", decimal(ms, 3)));
    }
    // Beside the first of its checks: whatever a load is asked, that one there is.
    let first = |load: &&LoadFigures| {
        let mut checks = record.decisions.iter().map(|one| one.check.as_str());
        checks.find(|check| load.is_judged_by(check)) == Some(&decision.check)
    };
    let load = record.loads.iter().find(first);
    for (name, value) in load.map(figures).unwrap_or_default() {
        case.add_property(Property::new(name, value));
    }
    case
}

/// The figures of a load by which one run is compared with the next, as numbers.
fn figures(load: &LoadFigures) -> Vec<(&'static str, String)> {
    let p99 = |quantiles: Option<Quantiles>| Some(decimal(quantiles?.p99_us, 3));
    let times = [
        ("ttft_p99_ms", p99(load.time_to_first_token)),
        ("itl_p99_ms", p99(load.inter_token_latency)),
        ("e2e_p99_ms", p99(load.end_to_end)),
    ];
    let rates = [
        ("sent_per_second", decimal(load.sent_per_1000_s, 3)),
        ("good_per_second", decimal(load.good_per_1000_s, 3)),
    ];
    let times = times.into_iter().filter_map(|(name, value)| Some((name, value?)));
    times.chain(rates).collect()
}

/// A whole number with its last `places` digits behind the point.
fn decimal(number: u64, places: u32) -> String {
    let unit = 10_u64.pow(places);
    let width = places as usize;
    format!("{}.{:0width$}", number / unit, number % unit)
}

/// How a decision stands; its message is the root cause, where it is that, and names it where it follows from it.
fn status(decision: &Decision, root: Option<&RootCause<'_>>) -> TestCaseStatus {
    let advisory = decision.weight == Weight::Advisory;
    match &decision.finding {
        Finding::Holds => TestCaseStatus::success(),
        Finding::Broken(Fault {
            expected,
            actual,
            cause,
        }) => {
            let mut status = if advisory {
                TestCaseStatus::skipped()
            } else if cause.blame().is_product() {
                TestCaseStatus::non_success(NonSuccessKind::Failure)
            } else {
                TestCaseStatus::non_success(NonSuccessKind::Error)
            };
            let degraded = if advisory { "degraded: " } else { "" };
            status.set_type(cause.code.code());
            let said = match root {
                Some(root) if root.check == decision.check => root.sentence(),
                Some(root) if root.because_of_it.contains(&decision.check.as_str()) => {
                    format!("because of {}: {}", root.check, decision.sentence)
                }
                _ => decision.sentence.clone(),
            };
            status.set_message(printable(&page::one_line(&format!("{degraded}{said}"))));
            let mut text = format!("expected: {expected}\nactual: {actual}\n");
            for line in &cause.evidence {
                text.push_str(line);
                text.push('\n');
            }
            let _ = writeln!(text, "next: {}\nblame: {:?}", cause.code.next_step(), cause.blame());
            if let Some(exchange) = &decision.exchange {
                let _ = writeln!(
                    text,
                    "{}\n{}\n{}",
                    exchange.curl,
                    page::answered(exchange),
                    exchange.body
                );
            }
            // Of a long text a table over many runs shows the two ends.
            if let Some(from) = &decision.from {
                let _ = writeln!(text, "at {from}");
            }
            status.set_description(printable_lines(&text));
            status
        }
        Finding::Undecided { why } if advisory => skipped(&format!("undecided: {why}")),
        Finding::Undecided { why } => error("undecided", why),
        Finding::Skipped { why } if why.trim().is_empty() && !advisory => {
            error("skipped-without-reason", "skipped without a reason")
        }
        Finding::Skipped { why } => skipped(why),
    }
}

fn case(class: &str, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(printable(name), status);
    case.set_classname(format!("quickproof.{class}"));
    case
}

fn error(kind: &str, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type(kind).set_message(printable(&page::one_line(message)));
    status
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(printable(&page::one_line(why)));
    status
}
