//! Commands typed one after another.

use rstest::rstest;

use super::*;
use crate::{
    guide::read_commands,
    host::{Call, Host},
};

/// A session as after `A=one; B='two words'; E=`, with one variable read at run time.
fn session() -> Session {
    let mut session = Session::new(&["TOKEN".to_owned()]);
    session.set("A", Template::text("one"));
    session.set("B", Template::text("two words"));
    session.set("E", Template::default());
    session.set("IP", Template(vec![Piece::Variable("IP".into())]));
    session
}

fn read(session: &mut Session, text: &str) -> Reading {
    session.read(&read_commands(text)[0])
}

/// The first program that a session reads in a text.
fn program(text: &str) -> Program {
    match read(&mut session(), text) {
        Reading::Programs(mut programs) => programs.remove(0),
        other => panic!("{other:?}"),
    }
}

/// The arguments of a program that is given one word.
fn words(written: &str) -> Result<Vec<String>, String> {
    let program = program(&format!("p {written}"));
    program.words[1..].iter().map(Argument::text).collect()
}

const WORDS: &[(&str, &[&str])] = &[
    ("a", &["a"]),
    ("$A", &["one"]),
    ("${A}", &["one"]),
    ("'$A'", &["$A"]),
    ("\"$A\"", &["one"]),
    ("\\$A", &["$A"]),
    ("$B", &["two", "words"]),
    ("\"$B\"", &["two words"]),
    ("x${B}y", &["xtwo", "wordsy"]),
    ("$E", &[]),
    ("\"$E\"", &[""]),
    ("''", &[""]),
    ("$E$E", &[]),
    ("a$E", &["a"]),
    ("$NONE", &[]),
    ("\"$NONE\"", &[""]),
    ("a${NONE}b", &["ab"]),
    ("'{\"m\": \"'\"${A}\"'\"}'", &["{\"m\": \"one\"}"]),
    ("--set=a.b=$A,c='d e'", &["--set=a.b=one,c=d e"]),
    ("a\\ b", &["a b"]),
    ("\"a\\\"b\\$\\n\"", &["a\"b$\\n"]),
    ("https://x/${A}/y?z=1", &["https://x/one/y?z=1"]),
    ("$'a\\tb'", &["a\tb"]),
    ("é$A", &["éone"]),
];

#[test]
fn words_come_out_as_bash_reads_them() {
    for (written, wanted) in WORDS {
        let wanted: Vec<String> = wanted.iter().map(|text| (*text).to_owned()).collect();
        // ANSI-C quotes are the one kind of quotes that is refused instead.
        if written.starts_with("$'") {
            assert!(words(written).is_err(), "{written}");
        } else {
            assert_eq!(words(written), Ok(wanted), "{written}");
        }
    }
}

#[tokio::test]
async fn the_table_above_is_what_bash_says() {
    let host = Host::real();
    for (written, wanted) in WORDS {
        let script = format!("A=one; B='two words'; E=; set -- {written}; printf '%s\\n' $# \"$@\"");
        let said = host.run_ok(&Call::new("bash").args(["-c", &script])).await.unwrap();
        let lines: Vec<String> = [wanted.len().to_string()]
            .into_iter()
            .chain(wanted.iter().map(|text| (*text).to_owned()))
            .collect();
        let said = String::from_utf8(said.stdout).unwrap();
        let said = said.strip_suffix('\n').unwrap();
        // `printf` prints one empty line for no arguments at all.
        let said = if wanted.is_empty() { said.trim_end() } else { said };
        assert_eq!(said, lines.join("\n"), "{written}");
    }
}

#[rstest]
#[case("$(a)")]
#[case("x$(a)y")]
#[case("$((1+1))")]
#[case("~/x")]
#[case("{a,b}")]
#[case("${A%x}")]
#[case("$HOME/x")]
fn what_only_a_running_shell_knows_is_not_guessed(#[case] written: &str) {
    let program = program(&format!("p {written}"));
    assert!(program.is_clear().is_err());
    assert_eq!(program.words[1].known(), None);
    assert!(program.unset.is_empty());
}

#[test]
fn what_is_known_only_at_run_time_stays_open_and_what_nobody_sets_is_told() {
    let program = program("p $IP:80 $TOKEN a$NONE x");
    let open = |name: &str| Piece::Variable(name.into());
    let passed: Vec<Template> = program.words[1..].iter().map(|word| word.passed().unwrap()).collect();
    assert_eq!(passed[0].0, [open("IP"), Piece::Text(":80".into())]);
    assert_eq!(passed[1].0, [open("TOKEN")]);
    assert_eq!(passed[2], Template::text("a"));
    assert_eq!(passed[3], Template::text("x"));
    assert!(program.words[1].text().is_err());
    // bash passes on less than was meant, and nobody knows what was meant.
    assert_eq!(program.words[3].known(), None);
    assert_eq!(program.words[3].shown(), "a${NONE}");
    let unset = Named {
        name: "NONE".into(),
        line: 1,
    };
    assert_eq!(program.unset, [unset]);
}

#[rstest]
#[case("X=b", &["X"])]
#[case("X=b Y=$X", &["X", "Y"])]
#[case("export X=b Y", &["X"])]
#[case("export X=$(a)", &["X"])]
#[case("X=a$(b)c", &["X"])]
#[case("X=~/a", &["X"])]
#[case("X=b p", &[])]
#[case("export \"X\"=b", &[])]
fn what_a_command_sets_is_set_from_there_on(#[case] text: &str, #[case] set: &[&str]) {
    let mut session = session();
    read(&mut session, text);
    for name in ["X", "Y"] {
        assert_eq!(session.is_set(name), set.contains(&name), "{name}");
    }
}

#[test]
fn a_value_is_that_of_the_moment() {
    let mut session = session();
    read(&mut session, "X=$A Y=\"$X-$IP\"");
    assert_eq!(session.value_of("X").as_deref(), Some("one"));
    assert_eq!(session.value_of("Y"), None);
    let Reading::Programs(programs) = read(&mut session, "p $Y") else {
        panic!()
    };
    assert_eq!(programs[0].words[1].shown(), "one-${IP}");
}

#[test]
fn a_pinned_variable_keeps_its_value() {
    let mut session = session();
    session.pin("X", Template::text("mine"));
    assert!(!session.is_set("X"));
    let Reading::Assignments(assignments) = read(&mut session, "X=theirs Y=$X") else {
        panic!()
    };
    assert!(assignments[0].value.is("theirs"));
    assert_eq!(session.value_of("Y").as_deref(), Some("mine"));
}

#[test]
fn programs_inside_a_value_run_before_the_one_they_stand_in() {
    let reading = read(&mut session(), "echo $(kubectl get $NONE) | /bin/grep \"$(a $(b))\"");
    let names: Vec<&str> = reading.programs().iter().map(|program| program.name.as_str()).collect();
    assert_eq!(names, ["kubectl", "echo", "b", "a", "grep"]);
    assert_eq!(reading.unset().len(), 1);
    let Reading::Assignments(assignments) = read(&mut session(), "X=\"$(kubectl get a | jq b)\"") else {
        panic!()
    };
    assert_eq!(assignments[0].output_of.as_deref(), Some("kubectl get a | jq b"));
    assert_eq!(assignments[0].inside.len(), 2);
}

#[test]
fn a_variable_that_doubles_itself_is_refused_and_not_followed() {
    let mut session = session();
    let mut refused = None;
    for _ in 0..100 {
        let Reading::Assignments(assignments) = read(&mut session, "A=\"$A$A\"") else {
            panic!()
        };
        refused = refused.or(assignments[0].value.passed().err());
        assert!(session.value_of("A").is_none_or(|value| value.len() <= MOST_REPLACED));
        if refused.is_some() {
            break;
        }
    }
    assert!(refused.is_some_and(|why| why.contains("too long")));
    let Reading::Programs(programs) = read(&mut session, "p $A") else {
        panic!()
    };
    assert_eq!(programs[0].words[1].shown(), "${A}");
}

#[test]
fn a_value_that_splits_into_very_many_arguments_is_refused() {
    let mut session = session();
    session.set("MANY", Template::text("a ".repeat(20_000)));
    let Reading::Programs(programs) = read(&mut session, "p \"$MANY\" $MANY") else {
        panic!()
    };
    assert_eq!(programs[0].words.len(), 3);
    assert!(programs[0].words[1].known().is_some() && programs[0].words[2].passed().is_err());
}

#[rstest]
#[case("c -d '{\n\"m\": \"${A}\"}'", &[("A", 2)])]
#[case("c -d '$A $IP'", &[("A", 1), ("IP", 1)])]
#[case("c -d '$A\n${A}'", &[("A", 1), ("A", 2)])]
#[case("c -d '{\"m\": \"'\"${A}\"'\"}'", &[])]
#[case("c -d '${NONE} $5 $ ${A ${B:-c} $_g$ $H-i'", &[("NONE", 1), ("_g", 1), ("H", 1)])]
#[case("c -d \"${A}\"", &[])]
#[case("c <<'END'\n$A\nEND", &[("A", 2)])]
fn names_in_single_quotes_are_found_with_their_lines(#[case] text: &str, #[case] wanted: &[(&str, u32)]) {
    let found = program(text).single_quoted;
    let found: Vec<(&str, u32)> = found.iter().map(|named| (named.name.as_str(), named.line)).collect();
    assert_eq!(found, wanted);
}

#[test]
fn an_unquoted_value_is_told_apart_as_a_program_would_see_it() {
    let mut session = session();
    read(&mut session, "FLAGS='-n mine --output yaml'");
    let Reading::Programs(programs) = read(&mut session, "kubectl get $FLAGS gateway a $E") else {
        panic!()
    };
    let arguments = programs[0].arguments().unwrap();
    assert!(arguments.last("-n").unwrap().is("mine"));
    assert_eq!(arguments.positional.len(), 3);
}
