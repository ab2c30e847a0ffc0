//! Every writer over whatever others say: what it writes is whole, reads back, and steers nobody.

use std::{io, time::Duration};

use proptest::prelude::*;

use super::{
    Colours, Console, FORMATS, Format, Glyphs, Live, Look, Medium, Terminal, Verbosity, console::tests::Paper,
};
use crate::{
    record::{Decision, Deviation, DeviationKind, Event, Exchange, Provenance, Reporter as _, RunRecord, Stage},
    redact::{Redactor, printable, steers_a_reader},
    verdict::{Cause, CauseCode, Finding},
};

/// A run in which somebody else has a word wherever one may have it.
fn events(said: &str) -> Vec<Event> {
    let said = said.to_owned();
    let from = Some(Provenance {
        file: said.clone(),
        line: 1,
        section: said.clone(),
    });
    let decision = |check: String, finding: Finding| Event::Decided {
        decision: Decision::new(Stage::Request, check, said.clone(), finding),
    };
    let mut exchanged = Decision::new(
        Stage::Request,
        said.clone(),
        said.clone(),
        Finding::broken(
            said.clone(),
            said.clone(),
            Cause::new(CauseCode::ModelNotServed).because(said.clone()),
        ),
    );
    exchanged.from.clone_from(&from);
    exchanged.exchange = Some(Box::new(Exchange {
        curl: said.clone(),
        attempt: 1,
        status: Some(500),
        headers: vec![(said.clone(), said.clone())],
        body: said.clone(),
        whole_body: None,
        head_ms: None,
        time_to_first_token_ms: None,
        inter_token_ms: None,
        took_ms: 1,
        failure: Some(said.clone()),
    }));
    vec![
        Event::Expected {
            checks: vec![said.clone()],
        },
        Event::Entered { stage: Stage::Request },
        Event::Noted {
            stage: Stage::Request,
            sentence: said.clone(),
        },
        Event::Deviated {
            deviation: Deviation {
                kind: DeviationKind::Substituted,
                subject: said.clone(),
                what: said.clone(),
                why: said.clone(),
                from,
            },
        },
        Event::Waiting {
            stage: Stage::Request,
            on: said.clone(),
            seen: said.clone(),
        },
        Event::Decided { decision: exchanged },
        decision(format!("2 {said}"), Finding::Undecided { why: said.clone() }),
        decision(format!("3 {said}"), Finding::Skipped { why: said.clone() }),
        Event::LeftBehind {
            what: vec![said.clone()],
        },
        Event::Kept { how: vec![said] },
    ]
}

fn written(format: &Format, said: &str) -> String {
    let mut record = RunRecord::default();
    for event in events(said) {
        record.fold(&event);
    }
    let mut bytes = Vec::new();
    format.render.render(&record, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn format(name: &str) -> &'static Format {
    FORMATS.iter().find(|format| format.name == name).unwrap()
}

/// Whatever a person, a model server or an API server can say; what they would say to steer comes often.
fn anything() -> impl Strategy<Value = String> {
    let steering = prop::sample::select(vec![
        "\n",
        "\r\n",
        "\t",
        "::error::x",
        "##[error]",
        "\u{1b}[2J",
        "\u{7}",
        "\u{9b}",
        "\u{202e}",
        "\u{fffe}",
        "\u{ffff}",
        "]]>",
        "<a href='x'>",
        "&amp;",
        "\"",
        "\\",
        "|",
        " ",
        "\u{0}",
        "\u{1f600}",
    ]);
    let piece = prop_oneof![
        steering.prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
        "[a-z ]{1,9}"
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_format_steers_nobody(said in anything()) {
        for format in FORMATS {
            let text = written(format, &said);
            prop_assert!(!steers_a_reader(&text), "{}: {}", format.name, text);
        }
    }

    #[test]
    fn junit_is_xml_that_says_what_was_said(said in anything()) {
        let text = written(format("junit"), &said);
        let document = roxmltree::Document::parse(&text);
        prop_assert!(document.is_ok(), "{:?}: {}", document.err(), text);
        let document = document.unwrap();
        let is_case = |node: &roxmltree::Node<'_, '_>| node.attribute("name") == Some(printable(&said).as_str());
        prop_assert!(document.descendants().any(|node| node.has_tag_name("testcase") && is_case(&node)), "{}", text);
    }

    #[test]
    fn the_record_reads_back_as_it_was_said(said in anything()) {
        let record: serde_json::Value = serde_json::from_str(&written(format("json"), &said)).unwrap();
        prop_assert_eq!(&record["decisions"][0]["sentence"], said.as_str());
        prop_assert_eq!(&record["decisions"][0]["exchange"]["body"], said.as_str());
        prop_assert_eq!(&record["ledger"][0]["why"], said.as_str());
    }

    #[test]
    fn a_log_and_a_terminal_are_steered_by_nobody_else(said in anything(), columns in 0_usize..3) {
        for medium in [Medium::Log, Medium::Terminal] {
            let paper = Paper::default();
            let look = Look {
                colours: Colours::Off,
                glyphs: Glyphs::Unicode,
                columns: [|| None, || Some(44), || Some(80)][columns],
            };
            let live = Live { look, medium, verbosity: Verbosity::Verbose, reports: Vec::new() };
            let console = Console::new(paper.clone(), Redactor::new());
            let mut terminal = Terminal::new(console, live, Box::new(|| Duration::ZERO));
            let told: io::Result<()> = events(&said).iter().try_for_each(|event| terminal.on_event(event));
            told.unwrap();
            // What clears the last row is ours.
            let text = paper.text().replace("\r\u{1b}[2K", "");
            prop_assert!(!steers_a_reader(&text), "{}", text);
        }
    }
}
