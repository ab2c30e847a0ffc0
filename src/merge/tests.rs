use std::fs;

use rstest::rstest;

use super::*;
use crate::{
    record::{Event, Render as _, RunRecord},
    report::Json,
    verdict::{CauseCode, Outcome, Weight, add_up},
};

fn subject(variant: &str, provider: &str) -> Subject {
    Subject {
        repository: "o/r".into(),
        tag: Some("v1.5.0".into()),
        commit: Some("c0ffee".into()),
        variant: variant.into(),
        provider: provider.into(),
        phase: "before-publish".into(),
        extent: None,
    }
}

fn began(subject: Subject) -> Event {
    Event::Began {
        run: "7f3a".into(),
        version: "0.1.0".into(),
        at: jiff::Timestamp::UNIX_EPOCH,
        subject,
        command: "quickproof verify".into(),
    }
}

fn decided(finding: Finding) -> Event {
    Event::Decided {
        decision: Decision::new(Stage::Request, "request-status", "the request is answered", finding),
    }
}

fn ended() -> Event {
    Event::Ended {
        at: jiff::Timestamp::UNIX_EPOCH,
        took_ms: 1000,
    }
}

fn broken(code: CauseCode) -> Finding {
    Finding::broken("200", "404", code)
}

/// A run on istio with the simulator that came to this.
fn run_of(finding: Finding) -> Vec<Event> {
    vec![began(subject("sim", "istio")), decided(finding), ended()]
}

fn write(directory: &Path, events: &[Event]) {
    fs::create_dir_all(directory).unwrap();
    let mut record = Vec::new();
    Json.render(&RunRecord::from_events(events), &mut record).unwrap();
    fs::write(directory.join("record.json"), record).unwrap();
}

fn outcome(lanes: &Lanes) -> Outcome {
    let decisions = lanes.decisions();
    let names: BTreeSet<&str> = decisions.iter().map(|decision| decision.check.as_str()).collect();
    assert_eq!(names.len(), decisions.len(), "two lanes of one name: {names:?}");
    let parts: Vec<_> = decisions
        .iter()
        .map(|decision| (decision.check.as_str(), Weight::Gate, &decision.finding))
        .collect();
    add_up(names, &parts)
}

fn read(directory: &Path) -> Lanes {
    Lanes::read(&[directory.to_owned()], &[])
}

#[rstest]
#[case::a_pass(run_of(Finding::Holds), Outcome::Passed)]
#[case::a_failure(run_of(broken(CauseCode::ModelNotServed)), Outcome::Failed)]
#[case::an_error(run_of(broken(CauseCode::ApiServerAway)), Outcome::Errored)]
#[case::undecided(run_of(Finding::Undecided { why: "lost".into() }), Outcome::Inconclusive)]
#[case::nothing_but_skips(run_of(Finding::Skipped { why: "asked".into() }), Outcome::Inconclusive)]
#[case::killed(run_of(Finding::Holds)[..2].to_vec(), Outcome::Inconclusive)]
#[case::never_began(Vec::new(), Outcome::Inconclusive)]
#[case::a_failure_proven_before_a_kill(run_of(broken(CauseCode::ModelNotServed))[..2].to_vec(), Outcome::Failed)]
fn a_lane_is_what_its_run_came_to(#[case] events: Vec<Event>, #[case] expected: Outcome) {
    let base = tempfile::tempdir().unwrap();
    write(&base.path().join("node-1/7f3a"), &events);
    assert_eq!(outcome(&read(base.path())), expected);
    // Beside one that passed it decides alone.
    write(&base.path().join("node-2/8e85"), &run_of(Finding::Holds));
    assert_eq!(outcome(&read(base.path())), expected);
}

#[test]
fn an_interrupted_run_is_named_and_is_no_pass() {
    let base = tempfile::tempdir().unwrap();
    let mut events = run_of(Finding::Holds);
    let signal = "SIGTERM".to_owned();
    events.insert(2, Event::Interrupted { signal });
    write(&base.path().join("7f3a"), &events);
    let lanes = read(base.path());
    assert_eq!(outcome(&lanes), Outcome::Inconclusive);
    let decision = &lanes.decisions()[0];
    assert!(
        matches!(&decision.finding, Finding::Undecided { why } if why.contains("SIGTERM")),
        "{decision:?}"
    );
}

/// What a directory without a verdict is said to be.
fn said_of(directory: &Path) -> String {
    let lanes = read(directory);
    assert_ne!(outcome(&lanes), Outcome::Passed);
    let decisions = lanes.decisions();
    let undecided = decisions.iter().find_map(|decision| match &decision.finding {
        Finding::Undecided { why } => Some(format!("{}: {why}", decision.sentence)),
        _ => None,
    });
    undecided.unwrap()
}

#[test]
fn a_directory_without_a_verdict_is_named_whatever_the_others_came_to() {
    let base = tempfile::tempdir().unwrap();
    write(&base.path().join("good/7f3a"), &run_of(Finding::Holds));
    let bad = base.path().join("bad");
    fs::create_dir(&bad).unwrap();
    let said = said_of(base.path());
    assert!(
        said.contains("bad has no verdict") && said.contains("no run's directory"),
        "{said}"
    );

    let record = bad.join("record.json");
    for text in ["", "{", "[]", "{\"record_version\": 1}"] {
        fs::write(&record, text).unwrap();
        assert!(said_of(base.path()).contains("cannot be read"), "{text}");
    }
    write(&bad, &run_of(Finding::Holds));
    let whole = fs::read_to_string(&record).unwrap();
    fs::write(&record, &whole[..whole.len() / 2]).unwrap();
    assert!(said_of(base.path()).contains("cannot be read"));
    fs::write(&record, whole.replace("\"record_version\": 1", "\"record_version\": 9")).unwrap();
    assert!(said_of(base.path()).contains("version 9"));

    // Links of a run that goes on, whose states were not copied with them.
    fs::remove_file(&record).unwrap();
    std::os::unix::fs::symlink(".reports/now/record.json", &record).unwrap();
    assert!(said_of(base.path()).contains("cannot be read"));
    fs::remove_file(&record).unwrap();
    fs::write(bad.join("journal.jsonl"), "").unwrap();
    let said = said_of(base.path());
    assert!(
        said.contains("cannot be read") && said.contains("quickproof report"),
        "{said}"
    );

    let nowhere = base.path().join("nowhere");
    assert!(said_of(&nowhere).contains("no run's directory"));
}

#[test]
fn a_record_that_was_made_green_by_hand_is_no_pass() {
    let base = tempfile::tempdir().unwrap();
    write(base.path(), &run_of(broken(CauseCode::ModelNotServed)));
    let record = base.path().join("record.json");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(
        &record,
        text.replace("\"outcome\": \"failed\"", "\"outcome\": \"passed\""),
    )
    .unwrap();
    let said = said_of(base.path());
    assert!(said.contains("says passed and adds up to failed"), "{said}");
}

#[test]
fn one_lane_on_many_machines_is_as_many_rows_and_each_decides() {
    let base = tempfile::tempdir().unwrap();
    for machine in ["node-1", "node-2", "node-3"] {
        write(&base.path().join(machine).join("7f3a"), &run_of(Finding::Holds));
    }
    let name_of = |lanes: &Lanes| -> Vec<String> { lanes.decisions().into_iter().map(|one| one.check).collect() };
    let expected = [
        "lane:istio/sim@node-1",
        "lane:istio/sim@node-2",
        "lane:istio/sim@node-3",
    ];
    assert_eq!(name_of(&read(base.path())), expected);
    // Two tries on one machine are told apart by their own directories, and the red one decides.
    write(
        &base.path().join("node-3/8e85"),
        &run_of(broken(CauseCode::ModelNotServed)),
    );
    let lanes = read(base.path());
    assert_eq!(outcome(&lanes), Outcome::Failed);
    assert!(
        name_of(&lanes).iter().any(|name| name.ends_with("node-3/8e85")),
        "{:?}",
        name_of(&lanes)
    );
    // What is named twice is there once.
    let twice = [
        base.path().to_owned(),
        base.path().join("node-1"),
        base.path().join("node-1/7f3a"),
    ];
    assert_eq!(Lanes::read(&twice, &[]).decisions().len(), 4);
}

#[test]
fn a_lane_that_was_wanted_and_not_run_is_no_pass() {
    let base = tempfile::tempdir().unwrap();
    write(&base.path().join("7f3a"), &run_of(Finding::Holds));
    let wanted = |variant: &str, tag: &str| WantedLane {
        tag: Some(tag.into()),
        variant: variant.into(),
        provider: "istio".into(),
        why_not: None,
    };
    let directories = [base.path().to_owned()];
    let lanes = Lanes::read(&directories, &[wanted("sim", "v1.5.0")]);
    assert_eq!(outcome(&lanes), Outcome::Passed);
    for missing in [wanted("gpu", "v1.5.0"), wanted("sim", "v1.4.0")] {
        let lanes = Lanes::read(&directories, &[wanted("sim", "v1.5.0"), missing]);
        assert_eq!(outcome(&lanes), Outcome::Inconclusive);
        assert_eq!(lanes.notes()[0], "1 of 2 lanes passed");
    }
}

#[test]
fn lanes_of_two_commits_decide_nothing_and_of_two_tags_are_named_by_them() {
    let base = tempfile::tempdir().unwrap();
    write(&base.path().join("a"), &run_of(Finding::Holds));
    let with = |change: fn(&mut Subject)| {
        let mut subject = subject("sim", "none");
        change(&mut subject);
        vec![began(subject), decided(Finding::Holds), ended()]
    };
    write(
        &base.path().join("b"),
        &with(|subject| subject.commit = Some("beef".into())),
    );
    let lanes = read(base.path());
    // Though every lane passed.
    assert_eq!(outcome(&lanes), Outcome::Inconclusive);
    let last = lanes.decisions().pop().unwrap();
    assert_eq!(last.check, "lanes-of-one-commit:v1.5.0");
    write(
        &base.path().join("b"),
        &with(|subject| subject.tag = Some("v1.4.0".into())),
    );
    let names: Vec<String> = read(base.path()).decisions().into_iter().map(|one| one.check).collect();
    assert_eq!(names, ["lane:v1.5.0/istio/sim", "lane:v1.4.0/none/sim"]);
}

#[test]
fn what_any_run_left_behind_and_deviated_in_is_told_once() {
    let base = tempfile::tempdir().unwrap();
    for directory in ["a", "b"] {
        let mut events = run_of(Finding::Holds);
        let deviation = Deviation {
            kind: crate::record::DeviationKind::Added,
            subject: "x".into(),
            what: "it is added".into(),
            why: "it must".into(),
            from: None,
        };
        events.insert(1, Event::Deviated { deviation });
        events.insert(
            1,
            Event::LeftBehind {
                what: vec!["cluster x".into()],
            },
        );
        write(&base.path().join(directory), &events);
    }
    let lanes = read(base.path());
    assert_eq!(lanes.ledger().len(), 1);
    assert_eq!(lanes.left_behind().len(), 2);
}

/// Another layout has the same variant on the same provider, and it ran: the one that could not be planned did not.
#[test]
fn a_lane_that_was_not_run_is_missed_though_one_of_its_name_ran() {
    let base = tempfile::tempdir().unwrap();
    write(base.path(), &run_of(Finding::Holds));
    let ran = Lanes::read(&[base.path().to_owned()], &[]);
    let subject = ran.ran[0].subject.clone().unwrap();
    let wanted = |why_not: Option<&str>| WantedLane {
        tag: subject.tag.clone(),
        variant: subject.variant.clone(),
        provider: subject.provider.clone(),
        why_not: why_not.map(str::to_owned),
    };
    let read = |wanted| Lanes::read(&[base.path().to_owned()], &[wanted]).decisions();
    assert_eq!(read(wanted(None)).len(), 1);
    let decided = read(wanted(Some("it offers no such tab")));
    assert_eq!(decided.len(), 2);
    assert_ne!(decided[0].check, decided[1].check);
    assert!(matches!(&decided[1].finding, Finding::Undecided { why } if why.contains("no such tab")));
}
