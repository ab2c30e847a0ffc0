//! Every report format over one recorded run that contains every outcome, finding and kind of deviation.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use quickproof::{
    record::{Event, Journal, Render, Reporter, RunRecord},
    report::{Colours, Console, FORMATS, Glyphs, Json, Junit, Live, Look, Medium, Terminal, Text, Verbosity},
    verdict::{Finding, Outcome, Weight},
};

fn events() -> Vec<Event> {
    Journal::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/run.jsonl")).unwrap()
}

fn rendered(render: &dyn Render, events: &[Event]) -> String {
    let mut bytes = Vec::new();
    render.render(&RunRecord::from_events(events), &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The run with every finding of `replaced` kind turned into one that holds, and nothing left behind: it passes.
fn mended() -> Vec<Event> {
    events()
        .into_iter()
        .filter(|event| {
            !matches!(
                event,
                Event::Interrupted { .. } | Event::LeftBehind { .. } | Event::Kept { .. }
            )
        })
        .filter(|event| !matches!(event, Event::Expected { checks } if checks == &["picker-build"]))
        .map(|event| match event {
            Event::Decided { mut decision } if decision.weight == Weight::Gate => {
                decision.finding = Finding::Holds;
                decision.exchange = None;
                Event::Decided { decision }
            }
            other => other,
        })
        .collect()
}

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn live(events: &[Event], look: Look, medium: Medium) -> String {
    let paper = Paper::default();
    let live = Live {
        look,
        medium,
        verbosity: Verbosity::Normal,
        reports: ["7f3a/report.txt", "7f3a/record.json", "junit.xml"]
            .map(Into::into)
            .to_vec(),
    };
    // A second passes with each look at the clock.
    let seconds = Mutex::new(0);
    let clock = Box::new(move || {
        let mut seconds = seconds.lock().unwrap();
        *seconds += 1;
        Duration::from_secs(*seconds)
    });
    let mut terminal = Terminal::new(Console::new(paper.clone()), live, clock);
    for event in events {
        terminal.on_event(event).unwrap();
    }
    terminal.on_close().unwrap();
    String::from_utf8(paper.0.lock().unwrap().clone()).unwrap()
}

fn wide() -> Look {
    Look {
        colours: Colours::Off,
        glyphs: Glyphs::Unicode,
        columns: || Some(100),
    }
}

#[test]
fn the_text_report() {
    insta::assert_snapshot!(rendered(&Text, &events()));
}

#[test]
fn the_json_report() {
    insta::assert_snapshot!(rendered(&Json, &events()));
}

#[test]
fn the_junit_report() {
    insta::assert_snapshot!(rendered(&Junit, &events()));
}

#[test]
fn the_live_report_on_a_terminal() {
    insta::assert_snapshot!(live(&events(), wide(), Medium::Terminal));
}

#[test]
fn the_live_report_in_a_log_without_utf8() {
    let look = Look {
        glyphs: Glyphs::Ascii,
        columns: || None,
        ..wide()
    };
    let text = live(&events(), look, Medium::Log);
    assert!(text.is_ascii());
    insta::assert_snapshot!(text);
}

#[test]
fn the_live_report_of_a_run_that_passes() {
    let text = live(&mended(), wide(), Medium::Terminal);
    insta::assert_snapshot!(text.split_once("cleanup\n").unwrap().1);
}

#[test]
fn the_recorded_run_holds_every_kind_of_event_finding_and_deviation() {
    let text = serde_json::to_value(events()).unwrap();
    let mut words = BTreeSet::new();
    for event in text.as_array().unwrap() {
        words.insert(event["event"].as_str().unwrap());
        words.extend(event["deviation"]["kind"].as_str());
        words.extend(event["decision"]["finding"]["finding"].as_str());
        words.extend(event["decision"]["weight"].as_str());
        words.extend(event["stage"].as_str());
    }
    let all = "began expected deviated entered noted waiting decided loaded spent interrupted left-behind kept ended \
               substituted added overridden left-out built holds broken undecided skipped gate advisory \
               release preflight images cluster deployment conditions request proof scenarios cleanup";
    assert_eq!(words, all.split_whitespace().collect());
}

#[test]
fn a_report_of_a_run_cut_anywhere_parses_and_never_says_passed() {
    let events = mended();
    assert_eq!(RunRecord::from_events(&events).outcome(), Outcome::Passed);
    for cut in 0..events.len() {
        let so_far = &events[..cut];
        let json: serde_json::Value = serde_json::from_str(&rendered(&Json, so_far)).unwrap();
        assert_ne!(json["outcome"], "passed");
        assert_eq!(json["exit_code"], serde_json::Value::Null);
        let junit = rendered(&Junit, so_far);
        assert!(junit.trim_end().ends_with("</testsuites>"));
        assert!(junit.contains("the run did not end"));
        assert!(!rendered(&Text, so_far).contains("PASSED"));
    }
}

#[test]
fn junit_has_a_failure_or_an_error_whenever_the_run_is_no_pass() {
    for lost in 0..events().len() {
        let mut events = events();
        events.remove(lost);
        let record = RunRecord::from_events(&events);
        let junit = rendered(&Junit, &events);
        let red = junit.contains("<failure ") || junit.contains("<error ");
        assert_eq!(red, record.outcome() != Outcome::Passed, "without event {lost}");
    }
    assert!(!rendered(&Junit, &mended()).contains("<failure ") && !rendered(&Junit, &mended()).contains("<error "));
}

#[test]
fn a_run_of_nothing_but_skips_is_red_in_junit() {
    let events: Vec<Event> = mended()
        .into_iter()
        .map(|event| match event {
            Event::Decided { mut decision } => {
                decision.finding = Finding::Skipped { why: "asked".into() };
                Event::Decided { decision }
            }
            other => other,
        })
        .collect();
    assert_eq!(RunRecord::from_events(&events).outcome(), Outcome::Inconclusive);
    assert!(rendered(&Junit, &events).contains("nothing was proven"));
}

#[test]
fn no_report_holds_a_control_character() {
    for format in FORMATS {
        let text = rendered(format.render, &events());
        let control = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{}", format.name);
    }
}
