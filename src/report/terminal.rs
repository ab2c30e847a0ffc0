//! The live report: each line when it is known, and what is waited for in between.
//!
//! On a terminal one row at the bottom says what is waited for, for how long, and what was last seen. In a log the
//! same is said at most every ten seconds, and only when nothing else was: a reader, or a CI system with an idle
//! limit, must be able to tell slow from stuck.

use std::{collections::BTreeMap, fmt::Write as _, io, time::Duration};

use crate::{
    record::{Change, Decision, DeviationKind, Event, Reporter, RunRecord, Stage},
    report::{
        Console, Look, Medium, ReportPaths, Verbosity,
        closing::{self, closing},
        load, page,
        paint::{Line, Tone},
    },
    verdict::{Finding, Weight},
};

/// Silence in a log after which what is waited for is said.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Frames of the spinner; one a tick.
const FRAMES: [&str; 8] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧"];

/// How the live report is printed.
#[derive(Debug, Clone)]
pub struct Live {
    /// Colours, glyphs, columns.
    pub look: Look,
    /// Terminal or log.
    pub medium: Medium,
    /// How much.
    pub verbosity: Verbosity,
    /// Where the reports are, for the last block.
    pub reports: ReportPaths,
}

/// The live report.
pub struct Terminal {
    console: Console,
    live: Live,
    /// Time since the process started.
    clock: Box<dyn Fn() -> Duration + Send>,
    record: RunRecord,
    stage: Option<Stage>,
    stage_since: Duration,
    heading: Option<Stage>,
    /// What was built in a row, not yet printed, and the ledger's number of the first.
    built: Option<(usize, Vec<String>)>,
    waiting: Option<Waiting>,
    waiting_since: BTreeMap<String, Duration>,
    printed_at: Duration,
    frame: usize,
}

struct Waiting {
    on: String,
    seen: String,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Terminal")
            .field("live", &self.live)
            .finish_non_exhaustive()
    }
}

impl Terminal {
    /// A live report on `console`. `clock` says how long the process has run.
    pub fn new(console: Console, live: Live, clock: Box<dyn Fn() -> Duration + Send>) -> Self {
        let now = clock();
        Self {
            console,
            live,
            clock,
            record: RunRecord::default(),
            stage: None,
            stage_since: now,
            heading: None,
            built: None,
            waiting: None,
            waiting_since: BTreeMap::new(),
            printed_at: now,
            frame: 0,
        }
    }

    fn quiet(&self) -> bool {
        self.live.verbosity == Verbosity::Quiet
    }

    /// Prints lines, with seconds in front where it is a log.
    fn print(&mut self, lines: &[Line]) -> io::Result<()> {
        let now = (self.clock)();
        let mut text = String::new();
        for line in lines {
            for row in self.live.look.paint(line).lines() {
                // A string takes everything.
                let _ = match self.live.medium {
                    Medium::Terminal => writeln!(text, "{row}"),
                    Medium::Log => writeln!(text, "{:>6.1} s  {row}", now.as_secs_f64()),
                };
            }
        }
        self.printed_at = now;
        self.console.print(&text)
    }

    /// Prints lines of a stage, under its heading.
    fn print_in(&mut self, stage: Stage, lines: &[Line]) -> io::Result<()> {
        self.print_built()?;
        self.print_under(Some(stage), lines)
    }

    fn print_under(&mut self, stage: Option<Stage>, lines: &[Line]) -> io::Result<()> {
        if let Some(stage) = stage.filter(|stage| self.heading != Some(*stage)) {
            self.heading = Some(stage);
            self.print(&[page::heading(stage, None)])?;
        }
        self.print(lines)
    }

    fn print_built(&mut self) -> io::Result<()> {
        let Some((first, subjects)) = self.built.take() else {
            return Ok(());
        };
        let line = match self.record.ledger.get(first - 1) {
            Some(entry) if subjects.len() == 1 => page::deviation(first, entry),
            _ => page::built(first, &subjects),
        };
        self.print_under(self.stage, &[line])
    }

    /// Whether it is one of the many checks of a scenario, which holds or does not apply: a note says how many there are.
    fn is_detail(&self, decision: &Decision) -> bool {
        decision.stage == Stage::Scenarios
            && decision.check.contains('/')
            && self.live.verbosity == Verbosity::Normal
            && matches!(decision.finding, Finding::Holds | Finding::Skipped { .. })
    }

    /// Whether the last decision is a skip of the same stage and for the same reason as the one before it: where that was
    /// shown the reason has been told, and one line of it is enough.
    fn is_skipped_as_the_one_before(&self) -> bool {
        let [.., before, last] = self.record.decisions.as_slice() else {
            return false;
        };
        matches!(last.finding, Finding::Skipped { .. })
            && before.finding == last.finding
            && before.stage == last.stage
            && !self.is_detail(before)
    }

    fn enter(&mut self, stage: Stage) {
        if self.stage != Some(stage) {
            self.stage = Some(stage);
            self.stage_since = (self.clock)();
            self.waiting = None;
            self.waiting_since.clear();
        }
    }

    fn deviated(&mut self) -> io::Result<()> {
        let number = self.record.ledger.len();
        let Some(entry) = self.record.ledger.last().filter(|_| !self.quiet()) else {
            return Ok(());
        };
        if entry.kind == DeviationKind::Built {
            let subject = entry.subject.clone();
            self.built.get_or_insert((number, Vec::new())).1.push(subject);
            return Ok(());
        }
        let line = page::deviation(number, entry);
        self.print_built()?;
        self.print_under(self.stage, &[line])
    }

    /// What the row at the bottom, or a heartbeat, says.
    fn pulse(&self) -> Option<Line> {
        let now = (self.clock)();
        let stage = self.stage?;
        let line = Line::indented(0);
        let Some(waiting) = &self.waiting else {
            let seconds = now.saturating_sub(self.stage_since).as_secs();
            return Some(line.with(Tone::Dim, format!("{}: {seconds} s", stage.word())));
        };
        let since = self.waiting_since.get(&waiting.on).copied().unwrap_or(now);
        let seconds = now.saturating_sub(since).as_secs();
        let line = line
            .with(Tone::Plain, &waiting.on)
            .with(Tone::Dim, format!(": waiting {seconds} s"));
        if waiting.seen.is_empty() {
            return Some(line);
        }
        Some(line.with(Tone::Plain, format!(" · {}", waiting.seen)))
    }

    fn draw_row(&mut self) -> io::Result<()> {
        let Some(pulse) = self.pulse() else {
            return Ok(());
        };
        let spinner = Line::indented(0).with(Tone::Dim, format!("{} ", FRAMES[self.frame % FRAMES.len()]));
        let row = self.live.look.paint_row(&spinner.followed_by(pulse));
        self.console.draw_row(&row)
    }
}

impl Reporter for Terminal {
    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        let change = self.record.fold(event);
        match event {
            Event::Began { version, subject, .. } if !self.quiet() => {
                self.print(&[page::header(version, subject)])?;
                if self.live.medium == Medium::Terminal {
                    self.console.print("\n")?;
                }
            }
            Event::Entered { stage } => {
                self.print_built()?;
                self.enter(*stage);
            }
            Event::Deviated { .. } if change == Change::Telling => self.deviated()?,
            Event::Noted { stage, sentence } if !self.quiet() => self.print_in(*stage, &[page::note(sentence)])?,
            Event::Waiting { stage, on, seen } => {
                self.enter(*stage);
                let now = (self.clock)();
                self.waiting_since.entry(on.clone()).or_insert(now);
                self.waiting = Some(Waiting {
                    on: page::one_line(on),
                    seen: page::one_line(seen),
                });
            }
            Event::Decided { decision } => {
                self.waiting = None;
                let tells = decision.weight == Weight::Gate && decision.finding.is_wrong();
                let left_out = self.quiet() || self.is_skipped_as_the_one_before() || self.is_detail(decision);
                if tells || !left_out {
                    let ledger = &self.record.ledger;
                    let lines = if page::is_told(decision, &self.record.decisions) {
                        page::decision_again(decision, ledger)
                    } else {
                        page::decision(decision, ledger, self.live.verbosity)
                    };
                    self.print_in(decision.stage, &lines)?;
                }
            }
            Event::Loaded { figures } if !self.quiet() => self.print_in(Stage::Scenarios, &load::lines(figures))?,
            Event::Interrupted { signal } => {
                let line = Line::indented(0).with(
                    Tone::Warn,
                    format!("{signal}: what was made is being taken away; reports are written"),
                );
                self.print_built()?;
                self.print(&[line])?;
            }
            Event::LeftBehind { what } => {
                let line = Line::indented(2)
                    .with(Tone::Bad, "× ")
                    .with(Tone::Plain, format!("could not be removed: {}", what.join(", ")));
                self.print_in(Stage::Cleanup, &[line])?;
            }
            _ => {}
        }
        Ok(())
    }

    fn on_tick(&mut self) -> io::Result<()> {
        if self.quiet() {
            return Ok(());
        }
        match self.live.medium {
            Medium::Terminal => {
                self.frame = self.frame.wrapping_add(1);
                self.draw_row()
            }
            Medium::Log if (self.clock)().saturating_sub(self.printed_at) >= HEARTBEAT => match self.pulse() {
                Some(pulse) => self.print(&[Line::indented(2).with(Tone::Dim, "… ").followed_by(pulse)]),
                None => Ok(()),
            },
            Medium::Log => Ok(()),
        }
    }

    fn on_close(&mut self) -> io::Result<()> {
        self.print_built()?;
        let mut text = String::from("\n");
        for line in closing(&self.record, &self.live.reports) {
            text.push_str(&self.live.look.paint(&line));
            text.push('\n');
        }
        if self.live.medium == Medium::Log {
            text.push_str(&closing::for_log_readers(&self.record));
        }
        self.console.print(&text)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use super::*;
    use crate::{
        record::Deviation,
        redact::Redactor,
        report::{
            Colours, Glyphs,
            console::{CLEAR_ROW, tests::Paper},
        },
        verdict::{Cause, CauseCode},
    };

    /// A live report with a clock that the test moves, in seconds.
    fn terminal(medium: Medium, verbosity: Verbosity) -> (Terminal, Paper, Arc<AtomicU64>) {
        let (paper, seconds) = (Paper::default(), Arc::new(AtomicU64::new(0)));
        let clock = Arc::clone(&seconds);
        let live = Live {
            look: Look {
                colours: Colours::Off,
                glyphs: Glyphs::Unicode,
                columns: || Some(60),
            },
            medium,
            verbosity,
            reports: Vec::new(),
        };
        let clock = Box::new(move || Duration::from_secs(clock.load(Ordering::Relaxed)));
        (
            Terminal::new(Console::new(paper.clone(), Redactor::new()), live, clock),
            paper,
            seconds,
        )
    }

    fn waiting(seen: &str) -> Event {
        Event::Waiting {
            stage: Stage::Conditions,
            on: "HTTPRoute r".into(),
            seen: seen.into(),
        }
    }

    fn decided(finding: Finding) -> Event {
        Event::Decided {
            decision: Decision::new(Stage::Conditions, "c", "HTTPRoute r is accepted", finding),
        }
    }

    #[test]
    fn the_row_says_what_how_long_and_what_was_last_seen_and_goes_before_a_line() {
        let (mut terminal, paper, clock) = terminal(Medium::Terminal, Verbosity::Normal);
        terminal.on_event(&waiting("Accepted=Unknown")).unwrap();
        clock.store(4, Ordering::Relaxed);
        terminal.on_event(&waiting("ResolvedRefs=False")).unwrap();
        terminal.on_tick().unwrap();
        let row = "HTTPRoute r: waiting 4 s · ResolvedRefs=False";
        assert!(paper.text().ends_with(row), "{:?}", paper.text());
        terminal.on_event(&decided(Finding::Holds)).unwrap();
        assert!(
            paper
                .text()
                .ends_with(&format!("{row}{CLEAR_ROW}conditions\n  √ HTTPRoute r is accepted\n")),
            "{:?}",
            paper.text()
        );
    }

    #[test]
    fn the_many_checks_of_a_scenario_are_shown_where_they_do_not_hold() {
        for (verbosity, shown) in [(Verbosity::Normal, false), (Verbosity::Verbose, true)] {
            let (mut terminal, paper, _) = terminal(Medium::Terminal, verbosity);
            for (check, finding) in [
                ("chat/json", Finding::Holds),
                ("chat/answer-status", Finding::Undecided { why: "x".into() }),
                ("chat/answer-usage", Finding::Skipped { why: "y".into() }),
                ("embeddings", Finding::Skipped { why: "y".into() }),
            ] {
                let decision = Decision::new(Stage::Scenarios, check, format!("it is {check}"), finding);
                terminal.on_event(&Event::Decided { decision }).unwrap();
            }
            let text = paper.text();
            assert_eq!(text.contains("it is chat/json"), shown, "{text}");
            assert!(text.contains("it is chat/answer-status"), "{text}");
            // A reason is told once, by the first that is shown.
            assert_eq!(text.matches("skipped: y").count(), 1, "{text}");
            assert_eq!(text.contains("it is embeddings"), !shown, "{text}");
        }
    }

    #[test]
    fn a_cause_that_several_scenarios_show_is_told_once() {
        let (mut terminal, paper, _) = terminal(Medium::Terminal, Verbosity::Normal);
        for (check, code, actual) in [
            ("chat/content-type", CauseCode::AnswerMalformed, "text/html"),
            (
                "refusals/unknown-model/content-type",
                CauseCode::AnswerMalformed,
                "text/plain",
            ),
            ("models/content-type", CauseCode::AnswerHeadersWrong, "nothing"),
        ] {
            let finding = Finding::broken("json", actual, code);
            let decision = Decision::new(Stage::Scenarios, check, format!("it is {check}"), finding);
            terminal.on_event(&Event::Decided { decision }).unwrap();
        }
        let shown = paper.text().len();
        let unfolded = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let told = unfolded(&paper.text());
        assert_eq!(
            told.matches(CauseCode::AnswerMalformed.next_step()).count(),
            1,
            "{told}"
        );
        assert_eq!(told.matches("as above").count(), 1, "{told}");
        for said in [
            "text/html",
            "text/plain",
            "nothing",
            CauseCode::AnswerHeadersWrong.next_step(),
        ] {
            assert!(told.contains(said), "{said}: {told}");
        }
        terminal.on_close().unwrap();
        let closing = unfolded(&paper.text().split_off(shown));
        assert!(
            closing.contains("it is chat/content-type (and the same in 1 more steps)"),
            "{closing}"
        );
        assert!(
            !closing.contains("refusals/unknown-model") && closing.contains("models/content-type"),
            "{closing}"
        );
    }

    #[test]
    fn a_log_says_what_is_waited_for_only_after_ten_silent_seconds() {
        let (mut terminal, paper, clock) = terminal(Medium::Log, Verbosity::Normal);
        terminal.on_event(&waiting("")).unwrap();
        for second in 0..25 {
            clock.store(second, Ordering::Relaxed);
            terminal.on_tick().unwrap();
        }
        let text = paper.text();
        assert_eq!(
            text,
            "  10.0 s    … HTTPRoute r: waiting 10 s\n  20.0 s    … HTTPRoute r: waiting 20 s\n"
        );
    }

    #[test]
    fn a_log_holds_no_control_character_whatever_a_pod_says() {
        let (mut terminal, paper, _) = terminal(Medium::Log, Verbosity::Verbose);
        let hostile = "\u{1b}]0;owned\u{7}\u{1b}[31m\r\u{9b}2J";
        terminal.on_event(&waiting(hostile)).unwrap();
        terminal
            .on_event(&decided(Finding::broken(
                hostile,
                hostile,
                Cause::new(CauseCode::PodCrash).because(hostile),
            )))
            .unwrap();
        terminal.on_close().unwrap();
        assert!(!paper.text().chars().any(|c| c.is_control() && c != '\n'));
    }

    #[test]
    fn what_is_built_in_a_row_is_one_line_with_their_numbers() {
        let (mut terminal, paper, _) = terminal(Medium::Log, Verbosity::Normal);
        for subject in ["a:1", "b:1"] {
            let deviation = Deviation {
                kind: DeviationKind::Built,
                subject: subject.into(),
                what: "built".into(),
                why: "no registry answers".into(),
                from: None,
            };
            terminal.on_event(&Event::Deviated { deviation }).unwrap();
        }
        terminal.on_event(&decided(Finding::Holds)).unwrap();
        let text = paper.text();
        assert!(
            text.contains("ledger 1-2 · built · 2 are built from packages"),
            "{text}"
        );
        assert!(text.contains("a:1, b:1"), "{text}");
    }

    #[test]
    fn quiet_prints_what_does_not_hold_and_the_last_block() {
        let (mut terminal, paper, clock) = terminal(Medium::Log, Verbosity::Quiet);
        terminal.on_event(&decided(Finding::Holds)).unwrap();
        terminal.on_event(&waiting("")).unwrap();
        clock.store(60, Ordering::Relaxed);
        terminal.on_tick().unwrap();
        assert_eq!(paper.text(), "");
        terminal
            .on_event(&decided(Finding::Undecided { why: "lost".into() }))
            .unwrap();
        terminal.on_close().unwrap();
        assert!(paper.text().contains("undecided: lost") && paper.text().contains("INCONCLUSIVE"));
    }
}
