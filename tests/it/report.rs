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

use crate::prow::highlighted;
use quickproof::{
    record::{Event, Journal, Render, Reporter, RunRecord},
    report::{Colours, Console, FORMATS, Glyphs, Json, Junit, Live, Look, Medium, Metadata, Terminal, Text, Verbosity},
    verdict::{Finding, Outcome, Weight},
};

fn recorded(run: &str) -> Vec<Event> {
    let file = format!("tests/data/runs/{run}.jsonl");
    Journal::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
        .unwrap()
        .events
}

pub(crate) fn failed() -> Vec<Event> {
    recorded("failed")
}

pub(crate) fn interrupted() -> Vec<Event> {
    recorded("interrupted")
}

/// What the runs of three machines came to, added up.
fn merged() -> Vec<Event> {
    recorded("merged")
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
pub(crate) fn mended() -> Vec<Event> {
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
    insta::assert_snapshot!("text_of_the_merged_runs", rendered(&Text, &merged()));
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
    insta::assert_snapshot!("junit_of_the_merged_runs", rendered(&Junit, &merged()));
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
    let text = serde_json::to_value([both().concat(), merged()].concat()).unwrap();
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
               release images cluster deployment conditions request proof scenarios lanes cleanup";
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

/// The properties of the case of a check that are numbers, which `TestGrid` draws as graphs.
fn metrics(document: &roxmltree::Document<'_>, check: &str) -> Vec<(String, f64)> {
    let mut cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
    let case = cases.find(|case| case.attribute("name") == Some(check)).unwrap();
    let properties = case.descendants().filter(|node| node.has_tag_name("property"));
    properties
        .filter_map(|node| {
            let number = node.attribute("value")?.parse().ok()?;
            Some((node.attribute("name")?.to_owned(), number))
        })
        .collect()
}

#[test]
fn times_and_the_figures_of_a_load_are_numbers_in_junit() {
    let junit = rendered(&Junit, &interrupted());
    let document = roxmltree::Document::parse(&junit).unwrap();
    let of_load = metrics(&document, "smoke-load/answer-came");
    let names: Vec<&str> = of_load.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "seconds",
        "ttft_p99_ms",
        "itl_p99_ms",
        "e2e_p99_ms",
        "sent_per_second",
        "good_per_second",
    ];
    assert_eq!(names, expected);
    assert!(of_load.iter().all(|(_, value)| *value > 0.0), "{of_load:?}");
    let of_step = metrics(&document, "smoke-load/answer-ended");
    assert!(matches!(&of_step[..], [(name, _)] if name == "seconds"), "{of_step:?}");
}

#[test]
fn a_check_that_was_tried_again_and_holds_is_there_red_and_green_under_one_name() {
    let mut events = mended();
    let holds = |event: &Event| matches!(event, Event::Decided { decision } if decision.check == "request-status" && decision.finding == Finding::Holds);
    let at = events.iter().position(holds).unwrap();
    let wrong = failed()
        .into_iter()
        .find(|event| matches!(event, Event::Decided { decision } if decision.check == "request-status"));
    events.insert(at, wrong.unwrap());
    assert_eq!(RunRecord::from_events(&events).outcome(), Outcome::Passed);
    let junit = rendered(&Junit, &events);
    let document = roxmltree::Document::parse(&junit).unwrap();
    let key = |case: &roxmltree::Node<'_, '_>| {
        let suite = case.parent().and_then(|suite| suite.attribute("name"));
        (suite.map(str::to_owned), case.attribute("classname").map(str::to_owned))
    };
    let cases: Vec<_> = document
        .descendants()
        .filter(|node| node.attribute("name") == Some("request-status"))
        .collect();
    let red = |case: &roxmltree::Node<'_, '_>| case.children().any(|child| child.has_tag_name("failure"));
    assert_eq!(cases.iter().map(red).collect::<Vec<_>>(), [true, false]);
    assert_eq!(key(&cases[0]), key(&cases[1]));
}

#[test]
fn every_row_of_a_table_over_many_runs_has_a_name_of_its_own() {
    for run in both() {
        let junit = rendered(&Junit, &run);
        let document = roxmltree::Document::parse(&junit).unwrap();
        let mut rows = BTreeSet::new();
        for case in document.descendants().filter(|node| node.has_tag_name("testcase")) {
            let suite = case.parent().unwrap().attribute("name").unwrap();
            let name = case.attribute("name").unwrap();
            assert_eq!(
                case.attribute("classname"),
                Some(format!("quickproof.{suite}").as_str())
            );
            assert!(rows.insert((suite, name)), "{suite}.{name} is there twice");
            let place = case.descendants().find(|node| node.attribute("name") == Some("from"));
            let place = place.and_then(|node| node.attribute("value")).unwrap_or("no place");
            assert!(!name.contains(place), "{name} changes with the lines above it");
        }
    }
}

#[test]
fn what_a_run_came_to_is_strings_and_nothing_else() {
    for (events, outcome, code, category) in [
        (mended(), "passed", "0", ""),
        (failed(), "failed", "1", "release"),
        (interrupted(), "inconclusive", "130", "interrupted"),
        (Vec::new(), "inconclusive", "", "undecided"),
    ] {
        let metadata = rendered(&Metadata, &events);
        let metadata: std::collections::BTreeMap<String, String> = serde_json::from_str(&metadata).unwrap();
        let said = ["outcome", "exit-code", "failure-category"].map(|field| metadata[field].as_str());
        assert_eq!(said, [outcome, code, category]);
    }
}

#[test]
fn a_log_has_what_viewers_of_logs_look_for_where_it_is_no_pass() {
    let look = Look {
        columns: || None,
        ..wide()
    };
    assert_eq!(highlighted(&live(&mended(), look, Medium::Log)), [""; 0]);
    assert_eq!(highlighted(&rendered(&Text, &mended())), [""; 0]);
    for run in [failed(), interrupted(), failed()[..20].to_vec()] {
        assert!(!highlighted(&live(&run, look, Medium::Log)).is_empty());
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
