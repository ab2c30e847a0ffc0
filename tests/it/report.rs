//! Every report format over two recorded runs, which hold every kind of event, finding and deviation between them: a release
//! whose own request fails, kept; and the embedded quickstart, interrupted while its model servers were scaled away, with an
//! object that could not be removed.

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

fn recorded(run: &str) -> Vec<Event> {
    let file = format!("tests/data/runs/{run}.jsonl");
    Journal::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
        .unwrap()
        .events
}

fn failed() -> Vec<Event> {
    recorded("failed")
}

fn interrupted() -> Vec<Event> {
    recorded("interrupted")
}

fn both() -> [Vec<Event>; 2] {
    [failed(), interrupted()]
}

fn rendered(render: &dyn Render, events: &[Event]) -> String {
    let mut bytes = Vec::new();
    render.render(&RunRecord::from_events(events), &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The failed run with a gate that holds in place of every other finding, and nothing kept: it passes.
fn mended() -> Vec<Event> {
    failed()
        .into_iter()
        .filter(|event| !matches!(event, Event::Kept { .. }))
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
    let mut terminal = Terminal::new(
        Console::new(paper.clone(), quickproof::redact::Redactor::new()),
        live,
        clock,
    );
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
    insta::assert_snapshot!("text_of_the_failed_run", rendered(&Text, &failed()));
    insta::assert_snapshot!("text_of_the_interrupted_run", rendered(&Text, &interrupted()));
}

#[test]
fn the_json_report() {
    insta::assert_snapshot!("json_of_the_failed_run", rendered(&Json, &failed()));
    insta::assert_snapshot!("json_of_the_interrupted_run", rendered(&Json, &interrupted()));
}

#[test]
fn the_junit_report() {
    insta::assert_snapshot!("junit_of_the_failed_run", rendered(&Junit, &failed()));
    insta::assert_snapshot!("junit_of_the_interrupted_run", rendered(&Junit, &interrupted()));
}

#[test]
fn the_live_report_on_a_terminal() {
    insta::assert_snapshot!("live_failed_run", live(&failed(), wide(), Medium::Terminal));
    insta::assert_snapshot!("live_interrupted_run", live(&interrupted(), wide(), Medium::Terminal));
}

#[test]
fn the_live_report_in_a_log_without_utf8() {
    let look = Look {
        glyphs: Glyphs::Ascii,
        columns: || None,
        ..wide()
    };
    let text = live(&failed(), look, Medium::Log);
    assert!(text.is_ascii());
    insta::assert_snapshot!("log_of_the_failed_run", text);
    let text = live(&interrupted(), look, Medium::Log);
    assert!(text.is_ascii());
}

#[test]
fn the_live_report_of_a_run_that_passes() {
    let text = live(&mended(), wide(), Medium::Terminal);
    insta::assert_snapshot!(text.split_once("\n\n").unwrap().1);
}

#[test]
fn the_recorded_runs_hold_every_stage_and_every_kind_of_event_finding_and_deviation() {
    let text = serde_json::to_value(both().concat()).unwrap();
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
               release images cluster deployment conditions request proof scenarios cleanup";
    assert_eq!(words, all.split_whitespace().collect());
}

/// The names that a recorded run expects to be decided, but for those of scenarios.
fn expected_steps(run: &[Event]) -> BTreeSet<String> {
    let of_steps = |check: &String| check.contains(':');
    let of_event = |event: &Event| match event {
        Event::Expected { checks } => checks.iter().filter(|check| of_steps(check)).cloned().collect(),
        _ => Vec::new(),
    };
    run.iter().flat_map(of_event).collect()
}

/// The names of the steps that decide, as `quickproof plan` gives them.
fn planned_steps(arguments: &[&str]) -> BTreeSet<String> {
    let plan = assert_cmd::Command::cargo_bin("quickproof")
        .unwrap()
        .args(["plan", "-o", "json"])
        .args(arguments)
        .output()
        .unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    let decided_elsewhere = ["request", "set", "left out"].map(serde_json::Value::from);
    let deciding = |step: &&serde_json::Value| step["decides"] == true && !decided_elsewhere.contains(&step["action"]);
    let steps = plan["steps"].as_array().unwrap().iter().filter(deciding);
    steps.map(|step| step["check"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_interrupted_run_expects_the_steps_of_todays_plan() {
    assert_eq!(
        expected_steps(&interrupted()),
        planned_steps(&[]),
        "record the run anew"
    );
}

#[test]
fn the_failed_run_expects_the_steps_of_todays_plan() {
    let Some(tree) = crate::upstream::tree(crate::upstream::GIE, "v1.5.0") else {
        return;
    };
    let arguments = ["--tree", tree.to_str().unwrap(), "--release", "v1.5.0"];
    assert_eq!(
        expected_steps(&failed()),
        planned_steps(&arguments),
        "record the run anew"
    );
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
    for run in both() {
        // What is waited for changes no outcome, and is most of a recording.
        for lost in (0..run.len()).filter(|at| !matches!(run[*at], Event::Waiting { .. })) {
            let mut events = run.clone();
            events.remove(lost);
            let record = RunRecord::from_events(&events);
            let junit = rendered(&Junit, &events);
            let red = junit.contains("<failure ") || junit.contains("<error ");
            assert_eq!(red, record.outcome() != Outcome::Passed, "without event {lost}");
        }
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
    for (format, run) in FORMATS.iter().flat_map(|format| both().map(|run| (format, run))) {
        let text = rendered(format.render, &run);
        let control = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{}", format.name);
    }
}

/// A cell of a table over many runs has room for 140 bytes of message and body: the first half and the last.
/// Source: `TestGrid`, `metadata/junit/junit.go`.
#[test]
fn a_cell_of_a_table_over_many_runs_shows_the_cause_and_the_place() {
    let junit = rendered(&Junit, &failed());
    let document = roxmltree::Document::parse(&junit).unwrap();
    let failures: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("failure"))
        .collect();
    assert!(!failures.is_empty());
    for failure in failures {
        let text = format!("{}\n{}", failure.attribute("message").unwrap(), failure.text().unwrap());
        let bytes = text.trim_end().as_bytes();
        let (first, last) = (&bytes[..70], &bytes[bytes.len() - 70..]);
        let (first, last) = (String::from_utf8_lossy(first), String::from_utf8_lossy(last));
        let of_the_case = |name: &str| {
            let mut properties = failure.parent().unwrap().descendants();
            let found = properties.find(|node| node.attribute("name") == Some(name));
            found.and_then(|node| node.attribute("value")).map(str::to_owned)
        };
        if let Some(place) = of_the_case("from") {
            assert!(last.ends_with(&format!("at {place}")), "{last}");
        }
        assert!(
            !first.starts_with(char::is_whitespace) && !first.contains("expected:"),
            "{first}"
        );
    }
}
