//! Commands typed one after another.

use rstest::rstest;

use super::*;
use crate::{
    guide::read_commands,
    host::{Call, Host},
    release::MemoryTree,
};

/// A session as after `A=one; B='two words'; E=`, with one variable read at run time.
fn session() -> Session<'static> {
    let mut session = Session::new(&["TOKEN".to_owned()]);
    session.set("A", Template::text("one"));
    session.set("B", Template::text("two words"));
    session.set("E", Template::default());
    session.set("IP", Template(vec![Piece::Variable("IP".into())]));
    session
}

fn read(session: &mut Session<'_>, text: &str) -> Reading {
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

/// A checkout with a script and a few directories.
fn checkout() -> MemoryTree {
    let mut tree = MemoryTree::default();
    let script = "# versions\nexport ROOT=${ROOT:-$(realpath \"$(git rev-parse --show-toplevel 2>/dev/null)\" 2>/dev/null)}\n\
                  export VERSION=${VERSION:-v1.2.3}\nif [[ $VERSION == \"latest\" ]]; then\n  export URL=latest/download\nelse\n  \
                  export URL=download/${VERSION}\nfi\n: ${EXTRA:=more}\n";
    tree.insert("guides/env.sh".parse().unwrap(), script);
    tree.insert("guides/one/x.yaml".parse().unwrap(), "a: 1\n");
    tree.insert("charts/c/Chart.yaml".parse().unwrap(), "name: c\n");
    tree
}

/// What is left of a session in that checkout after some commands.
fn typed<'a>(tree: &'a MemoryTree, commands: &str) -> Session<'a> {
    let mut session = Session::new(&[]).in_checkout(tree, "o/product");
    for command in read_commands(commands) {
        session.read(&command);
    }
    session
}

#[test]
fn a_script_that_is_sourced_sets_what_bash_would_and_keeps_what_is_set() {
    let tree = checkout();
    let session = typed(&tree, "source guides/env.sh");
    assert_eq!(session.value_of("VERSION").as_deref(), Some("v1.2.3"));
    assert_eq!(session.value_of("URL").as_deref(), Some("download/v1.2.3"));
    let session = typed(&tree, "export VERSION=latest\n. ./guides/env.sh");
    assert_eq!(session.value_of("URL").as_deref(), Some("latest/download"));
    let path = session.path("/checkout/guides/one/x.yaml").unwrap();
    assert_eq!(path.as_str(), "guides/one/x.yaml");
    assert_eq!(session.value_of("ROOT").as_deref(), Some("/checkout"));
}

#[test]
fn the_commands_of_a_script_know_their_own_lines() {
    let tree = checkout();
    let mut session = Session::new(&[]).in_checkout(&tree, "o/product");
    let Reading::Sequence(commands) = session.read(&read_commands("source guides/env.sh")[0]) else {
        panic!("it is not read")
    };
    let places: Vec<(&str, u32)> = commands
        .iter()
        .map(|(one, _)| (one.at.file.as_str(), one.at.line))
        .collect();
    assert_eq!(places[..2], [("guides/env.sh", 2), ("guides/env.sh", 3)]);
    let Reading::Sequence(branch) = &commands[2].1 else {
        panic!("{:?}", commands[2])
    };
    assert_eq!(branch[0].0.at.line, 7);
}

#[rstest]
#[case::the_root("", "guides/one", Ok("guides/one"))]
#[case::a_directory("cd guides/one", "x.yaml", Ok("guides/one/x.yaml"))]
#[case::above_it("cd guides/one", "../env.sh", Ok("guides/env.sh"))]
#[case::back_at_the_root("cd guides/one\ncd ../..", "guides/env.sh", Ok("guides/env.sh"))]
#[case::where_the_reader_was("cd guides\ncd one\ncd -", "env.sh", Ok("guides/env.sh"))]
#[case::two_slashes("", "guides//one//x.yaml", Ok("guides/one/x.yaml"))]
#[case::the_root_by_git(
    "R=$(realpath $(git rev-parse --show-toplevel))\ncd guides/one\ncd ${R}/guides",
    "env.sh",
    Ok("guides/env.sh")
)]
#[case::a_clone(
    "git clone https://github.com/o/product.git && cd product",
    "guides/env.sh",
    Ok("guides/env.sh")
)]
#[case::a_clone_by_another_name(
    "git clone https://github.com/o/product mine\ncd mine/guides",
    "env.sh",
    Ok("guides/env.sh")
)]
#[case::another_project("git clone https://github.com/o/other && cd other", "guides/env.sh", Err(()))]
#[case::out_of_another_project(
    "git clone https://github.com/o/other && cd other\ncd -",
    "guides/env.sh",
    Ok("guides/env.sh")
)]
#[case::nowhere("cd /srv/data", "x", Err(()))]
#[case::out_of_the_tree("", "../x", Err(()))]
#[case::of_the_disk("", "/etc/passwd", Err(()))]
fn a_path_is_found_where_the_reader_stands(
    #[case] commands: &str,
    #[case] text: &str,
    #[case] wanted: Result<&str, ()>,
) {
    let tree = checkout();
    let found = typed(&tree, commands).path(text);
    assert_eq!(
        found.as_ref().map(RepoPath::as_str).map_err(|_| ()),
        wanted,
        "{found:?}"
    );
}

#[rstest]
#[case::not_there("source guides/none.sh")]
#[case::of_the_disk("source ~/.bashrc")]
#[case::an_open_condition("X=$(date)\nif [[ $X == a ]]; then Y=1; fi")]
#[case::a_pattern("X=abc\nif [[ $X == a* ]]; then Y=1; fi")]
fn what_is_not_known_of_a_script_or_a_branch_is_said(#[case] commands: &str) {
    let tree = checkout();
    let mut session = Session::new(&[]).in_checkout(&tree, "o/product");
    let readings: Vec<Reading> = read_commands(commands)
        .iter()
        .map(|command| session.read(command))
        .collect();
    assert!(
        matches!(readings.last(), Some(Reading::NotUnderstood(_))),
        "{readings:?}"
    );
    assert!(!session.is_set("Y"));
}

#[test]
fn scripts_that_source_each_other_come_to_an_end() {
    let mut tree = MemoryTree::default();
    tree.insert("a.sh".parse().unwrap(), "source b.sh\nA=1\n");
    tree.insert("b.sh".parse().unwrap(), "source a.sh\nsource a.sh\n");
    let mut session = Session::new(&[]).in_checkout(&tree, "o/product");
    session.read(&read_commands("source a.sh")[0]);
    assert!(session.is_set("A"));
}

#[test]
fn a_loop_that_is_not_read_still_sets_its_variable() {
    let mut session = session();
    session.read(&read_commands("for f in a b; do curl $f; done")[0]);
    assert!(session.is_set("f"));
}
