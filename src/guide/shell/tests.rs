//! Blocks read from text.

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::guide::{pages::Line, scan};

/// The commands of a block with this text, whose first line is line 1 of `g.md`.
pub(crate) fn read(text: &str) -> Vec<Command> {
    let fence = "~".repeat(9);
    let lines = [fence.as_str()].into_iter().chain(text.lines()).chain([fence.as_str()]);
    let line = |(number, text): (u32, &str)| Line {
        text: text.into(),
        file: "g.md".into(),
        number,
    };
    let lines: Vec<Line> = (0..).zip(lines).map(line).collect();
    let mut budget = Budget::default();
    let blocks = scan::scan(&lines).blocks;
    blocks.iter().flat_map(|block| commands(block, &mut budget)).collect()
}

fn seen(text: &str) -> Vec<(u32, String)> {
    let what = |command: &Command| match &command.body {
        Body::Pipeline(_) => command.raw.clone(),
        Body::Fails(_) => format!("! {}", command.raw),
        Body::Branches(_) => format!("if {}", command.raw),
        Body::NotUnderstood(_) => format!("? {}", command.raw),
    };
    read(text)
        .iter()
        .map(|command| (command.at.line, what(command)))
        .collect()
}

#[rstest]
#[case::one("a b", &[(1, "a b")])]
#[case::comments("# first\na b # why\n\n# last\nc", &[(2, "a b # why"), (5, "c")])]
#[case::continued("a \\\n  --b c \\\n  d\ne", &[(1, "a --b c d"), (4, "e")])]
#[case::joined("a && b; c", &[(1, "a"), (1, "b"), (1, "c")])]
#[case::quotes_over_lines("a '{\n  x\n}'\nb", &[(1, "a '{ x }'"), (4, "b")])]
#[case::substitution("A=$(b \\\n  | c)\nd", &[(1, "A=$(b | c)"), (3, "d")])]
#[case::here_document("cat <<'E' | a -f -\nx: ${Y}\nE\nb", &[(1, "cat <<'E' | a -f -"), (4, "b")])]
#[case::session("$ a b\nNAME  AGE\n$ c \\\n>   d\nout", &[(1, "a b"), (3, "c d")])]
#[case::alternative("a || b", &[(1, "a"), (1, "? b")])]
#[case::background("a &", &[(1, "? a")])]
#[case::a_loop("for i in 1 2; do\n  a\ndone\nb", &[(1, "? for i in 1 2; do a done"), (4, "b")])]
#[case::to_a_file("a > b", &[(1, "? a > b")])]
#[case::only_hidden("a > /dev/null 2>&1\nb 2>/dev/null", &[(1, "a > /dev/null 2>&1"), (2, "b 2>/dev/null")])]
#[case::a_choice("if [[ $A == b ]]; then\n  c\nelse\n  d\nfi\ne", &[(1, "if if [[ $A == b ]]; then c else d fi"), (6, "e")])]
#[case::another_condition("if kubectl get x; then\n  c\nfi", &[(1, "? if kubectl get x; then c fi")])]
#[case::an_error_hides_nothing("a\nexport P=<P> # why\nb \\\n  c", &[(1, "a"), (2, "? export P=<P> # why"), (3, "b c")])]
#[case::an_error_after_a_continued_line("a \\\n  b\nexport P=<P>", &[(1, "a b"), (3, "? export P=<P>")])]
#[case::never_closed("a\nb 'c\nd", &[(1, "a"), (2, "? b 'c"), (3, "d")])]
#[case::a_document_in_a_session("$ cat <<E | k -f -\nx: y\nE\n$ b\nout", &[(1, "cat <<E | k -f -"), (4, "b")])]
#[case::a_document_with_prompts("$ cat <<E\n> x\n> E\n$ b", &[(1, "cat <<E"), (4, "b")])]
#[case::quotes_in_a_session("$ a '{\n  x\n}'\nout\n$ b", &[(1, "a '{ x }'"), (5, "b")])]
#[case::blanks_behind_a_backslash("helm i \\ \n  --b c \\\n  d\ne", &[(1, "! helm i \\"), (4, "e")])]
#[case::blanks_behind_the_last_backslash("helm i c \\\t", &[(1, "! helm i c \\")])]
#[case::blanks_behind_the_backslash_of_a_comment("helm i\n# b \\ \nc", &[(1, "helm i"), (3, "c")])]
#[case::a_backslash_lost("helm i \\\n  --a b\n  --c d\n  --e f\ng", &[(1, "! helm i --a b"), (5, "g")])]
#[case::a_line_that_only_looks_like_a_flag("Usage: a\n  --b c", &[(1, "Usage: a"), (2, "--b c")])]
#[case::a_list_of_yaml("kubectl a\n- b: c", &[(1, "kubectl a"), (2, "- b: c")])]
#[case::a_flag_below_a_comment("helm i\n# --a\n--b c", &[(1, "helm i"), (3, "--b c")])]
#[case::a_document_that_never_ends("a\nb \\\n  - <<E\nx: y\n  E\nc", &[(1, "a"), (2, "! b \\")])]
#[case::a_document_whose_word_has_more("b <<'E'\nx\nE;\nc", &[(1, "! b <<'E'")])]
#[case::a_dash_of_print("kubectl a \u{2013}n b\necho \u{201c}c\u{201d}", &[(1, "! kubectl a \u{2013}n b"), (2, "echo \u{201c}c\u{201d}")])]
#[case::nothing("\n# only a comment\n", &[])]
fn commands_are_told_apart_and_know_their_lines(#[case] text: &str, #[case] wanted: &[(u32, &str)]) {
    let wanted: Vec<(u32, String)> = wanted.iter().map(|(line, raw)| (*line, (*raw).to_owned())).collect();
    assert_eq!(seen(text), wanted);
}

#[rstest]
#[case::blanks("helm a\nhelm i \\ \n  --b c", 2, "blanks follow the backslash of line 2")]
#[case::lost(
    "helm i \\\n  --a b\n  --c d",
    2,
    "line 2 ends without a backslash, so bash takes `--c d`"
)]
#[case::indented(
    "a\nb <<E\nx\n  E",
    2,
    "the here-document of line 2 is never ended: line 4 has blanks before the word"
)]
#[case::indented_by_blanks("b <<-E\nx\n  E", 1, "`<<-` takes only tabs away")]
#[case::decorated("b <<E\nx\n\"E\"", 1, "line 3 has more than the word")]
#[case::missing("b <<E\nx", 1, "the here-document of line 1 is never ended")]
fn a_slip_of_the_pen_is_told_at_its_line(#[case] text: &str, #[case] line: u32, #[case] words: &str) {
    let commands = read(text);
    let Some(Body::Fails(slip)) = commands.last().map(|command| &command.body) else {
        panic!("{commands:?}")
    };
    let fault = slip.fault();
    assert_eq!(slip.line, line);
    assert!(fault.actual.contains(words), "{}", fault.actual);
}

#[test]
fn text_in_single_quotes_knows_its_line() {
    let commands = read("a \\\n  -d '{\n  \"m\": \"${M}\"\n}'");
    let Body::Pipeline(pipeline) = &commands[0].body else {
        panic!("{commands:?}")
    };
    let ShellPiece::SingleQuoted { text, line } = &pipeline.0[0].words[2].pieces[0] else {
        panic!("{pipeline:?}")
    };
    assert_eq!((text.as_str(), *line), ("{\n  \"m\": \"${M}\"\n}", 2));
}

#[test]
fn a_block_that_nobody_could_type_is_not_read() {
    for text in [
        "(".repeat(5_000),
        format!("a {}", "b ".repeat(40_000)),
        "$(".repeat(2_000),
    ] {
        assert!(
            read(&text)
                .iter()
                .all(|command| matches!(command.body, Body::NotUnderstood(_)))
        );
    }
}

#[test]
fn errors_without_end_are_read_up_to_a_limit_and_the_rest_is_one_command() {
    let text = "'\n)\n".repeat(10_000);
    let commands = read(&text);
    assert!(commands.len() < 2_000, "{}", commands.len());
    let Some(Body::NotUnderstood(why)) = commands.last().map(|command| &command.body) else {
        panic!("the rest is understood");
    };
    assert!(why.contains("is not read"), "{why}");
}

#[test]
fn a_block_with_much_that_opens_is_read_command_by_command() {
    let wanted: Vec<(u32, String)> = (0..70).map(|row| (row * 2 + 1, "a ${X} b".to_owned())).collect();
    assert_eq!(seen(&"a ${X} \\\n  b\n".repeat(70)), wanted);
}

#[rstest]
#[case::groups("( ", " )")]
#[case::closed_in_quotes("(echo ')';", " )")]
#[case::closed_behind_a_comment("# '\n(echo ')';", " )")]
#[case::braces("{ ", "; }")]
#[case::conditions("if a; then ", "; fi")]
#[case::conditions_only("if ", "")]
#[case::torn_words("i\\\nf ", "")]
#[case::loops("while a; do ", "; done")]
#[case::counted_loops("for i in a; do ", "; done")]
#[case::cases("case a in b) ", " ;; esac")]
#[case::functions("f() { ", "; }")]
#[case::coprocesses("coproc ", "")]
#[case::negations("[[ a && ", "]]")]
#[case::substitutions("$(echo ", ")")]
#[case::quoted_substitutions("\"$(echo ", ")\"")]
#[case::defaults("${a:-", "}")]
#[case::old_substitutions("`echo ", "`")]
fn no_nesting_exhausts_the_stack_of_a_thread(#[case] opens: &str, #[case] closes: &str) {
    for depth in [30, 59, 500] {
        let text = format!("echo {}x{}", opens.repeat(depth), closes.repeat(depth));
        let own = text.strip_prefix("echo ").unwrap_or_default().to_owned();
        for text in [text, own] {
            assert!(!read(&text).is_empty());
        }
    }
}

#[rstest]
#[case::here_documents(&format!("a{}\n{}", " <<E".repeat(5_000), "E\n".repeat(5_000)))]
#[case::here_document_of_many_pieces(&format!("a <<E\n{}E\n", "$a`b`\n".repeat(1_000)))]
#[case::quotes(&format!("a {}", "\"b\"".repeat(3_000)))]
#[case::never_closed(&"a 'b\n".repeat(2_000))]
#[case::groups_never_closed(&"( ".repeat(40))]
#[case::groups_never_closed_over_lines(&"(\n".repeat(40))]
#[case::groups_after_escaped_signs(&"\\$( $$( ".repeat(20))]
#[case::pipes(&format!("a{}", "|a".repeat(6_000)))]
#[case::cases(&format!("{}{}", "case a in a) ".repeat(24), "esac ".repeat(24)))]
#[case::cases_over_lines(&format!("{}{}", "case a in\na)\n".repeat(24), ";;\nesac\n".repeat(24)))]
#[case::cases_never_closed(&"case a in a) ".repeat(10))]
#[case::cases_one_after_another(&"case a in a) b ;; esac\n".repeat(2_000))]
#[case::cases_and_groups(&"case a in (a) ( ".repeat(5))]
#[case::cases_in_substitutions(&"echo $(case a in a) ".repeat(10))]
#[case::many_texts_of_many_cases(&format!("{}\n", "case a in a) ".repeat(10)).repeat(300))]
#[case::many_texts_of_many_groups(&"( ( ( ( ( ( ( ( ( (\n".repeat(300))]
fn no_block_takes_long(#[case] text: &str) {
    let begun = std::time::Instant::now();
    assert!(!read(text).is_empty());
    // A build without optimization on a loaded machine needs two seconds; what was mended took minutes.
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn pieces_of_a_word_know_their_lines() {
    let commands = read("a \"x\n${B}\ny\"'z\nz'\n");
    let Body::Pipeline(pipeline) = &commands[0].body else {
        panic!("{commands:?}")
    };
    let lines = pipeline.0[0].words[1].pieces.iter().filter_map(|piece| match piece {
        ShellPiece::SingleQuoted { line, .. } => Some(*line),
        _ => None,
    });
    assert_eq!(lines.collect::<Vec<_>>(), [3]);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_every_command_has_a_line(text in "[ab=$(){}<>|&;'\"`#\\\\\n E-]{0,80}") {
        let count = u32::try_from(text.lines().count()).unwrap();
        for command in read(&text) {
            prop_assert!((1..=count).contains(&command.at.line));
        }
    }

    #[test]
    fn no_words_of_a_guide_make_it_panic(
        words in proptest::collection::vec("(kubectl|curl|-f|<<EOF|EOF|\\$\\{X\\}|\\$\\(a|\\)|'|\"|\\||\n|\\\\\n|é)", 0..20)
    ) {
        read(&words.join(" "));
    }
}

#[rstest]
#[case::open("a $(b <<EOF ${X}\nEOF\n")]
#[case::in_backquotes("a `b <<EOF ${X}\nEOF\n")]
#[case::closed("a $(b <<EOF\nx\nEOF\n)")]
fn a_document_in_a_substitution_is_refused_and_panics_nowhere(#[case] text: &str) {
    let read = read(text);
    assert!(matches!(&read[0].body, Body::NotUnderstood(_)), "{read:?}");
}

/// Each made the parser panic, or would in a place that is parsed later.
#[rstest]
#[case::before_a_redirection("echo 66666666666666666666666<a")]
#[case::before_a_redirection_that_is_continued("echo 6666666666\\\n66666666666>a")]
#[case::behind_a_tilde("cd ~+99999999999999999999999")]
#[case::in_a_range("echo {1..99999999999999999999999}")]
#[case::in_a_document("cat <<E\n~99999999999999999999999 9999999999999999<\nE")]
fn a_number_larger_than_a_shell_takes_is_refused_and_panics_nowhere(#[case] text: &str) {
    let read = read(text);
    assert!(
        matches!(&read[0].body, Body::NotUnderstood(why) if why.contains("a number")),
        "{read:?}"
    );
}

#[test]
fn a_long_number_that_is_only_text_is_kept() {
    let read = read("curl -d '{\"seed\": 12345678901234567890}' http://a:80/v1");
    assert!(matches!(read[0].body, Body::Pipeline(_)), "{read:?}");
}

/// Everything that opens something in bash's grammar, what closes it, and so on in pairs.
#[test]
fn no_nesting_of_any_two_constructs_takes_long_and_what_is_too_deep_is_said_with_its_line() {
    const CONSTRUCTS: [(&str, &str); 16] = [
        ("case a in a) ", ";; esac "),
        ("case a in (a) ", "esac "),
        ("if a; then ", "; fi "),
        ("if a; then b; elif ", "; then c; fi "),
        ("while a; do ", "; done "),
        ("for a in b; do ", "; done "),
        ("select a in b; do ", "; done "),
        ("{ ", "; } "),
        ("( ", ") "),
        ("(( ", ")) "),
        ("[[ ( ", ") ]] "),
        ("$( ", ") "),
        ("\"$( ", ")\" "),
        ("<( ", ") "),
        ("f() { ", "; } "),
        ("! time coproc ", ""),
    ];
    let begun = std::time::Instant::now();
    for one in CONSTRUCTS {
        for other in CONSTRUCTS {
            for depth in [4, 40] {
                let opens = format!("{}{}", one.0, other.0).repeat(depth);
                let closes = format!("{}{}", other.1, one.1).repeat(depth);
                for text in [opens.clone(), format!("{opens}x{closes}")] {
                    let commands = read(&format!("echo before\n{text}"));
                    let (first, last) = (&commands[0], commands.last().unwrap());
                    assert_eq!(last.at.line, first.at.line + 1, "{text}");
                    assert!(depth == 4 || matches!(last.body, Body::NotUnderstood(_)), "{text}");
                }
            }
        }
    }
    // A build without optimization on a loaded machine.
    assert!(
        begun.elapsed() < std::time::Duration::from_mins(1),
        "{:?}",
        begun.elapsed()
    );
}
