//! `quickproof explain`: what a cause or a rule of lint means, who is to blame, and what to do. Offline.

use std::fmt::{self, Write};

use clap::Args;

use crate::{
    cli::{Output, Usage},
    lint::{self, Change, Rule},
    verdict::{Blame, CauseCode, ExitCode},
};

/// Say what a cause or a rule of lint means, and what to do next.
///
/// Reports name a cause by a stable code, and `lint` a rule. Without one, all causes are listed; `lint --rules` lists the
/// rules.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  quickproof explain\n  quickproof explain pod-image-not-found\n  quickproof explain image-tag-floating"
)]
pub(crate) struct ExplainArguments {
    /// The code of a cause or of a rule, as reports and `lint` print it
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

/// How alike (from 0 to 1) a code must be to what was typed to be offered instead.
const ALIKE: f64 = 0.8;

/// Prints one cause or rule, or the table of all causes.
///
/// # Errors
/// There is no such code.
pub(crate) fn run(arguments: &ExplainArguments, out: &mut Output) -> anyhow::Result<ExitCode> {
    match &arguments.code {
        None => out.say(fmt::from_fn(|words| list(words))),
        // What a run blames and what lint finds may bear one name: then both are meant.
        Some(typed) => match (code(typed).parse::<CauseCode>(), lint::rule(&code(typed))) {
            (Ok(cause), rule) => {
                out.say(fmt::from_fn(|words| explain(cause, words)));
                if let Some(rule) = rule {
                    out.say(fmt::from_fn(|words| explain_rule(rule, words)));
                }
            }
            (Err(_), Some(rule)) => out.say(fmt::from_fn(|words| explain_rule(rule, words))),
            (Err(message), None) => return Err(Usage::new(anyhow::anyhow!(with_suggestions(typed, message))).into()),
        },
    }
    Ok(ExitCode::Passed)
}

fn list(out: &mut dyn Write) -> fmt::Result {
    let width = |text: &dyn Fn(CauseCode) -> usize| CauseCode::ALL.iter().copied().map(text).max().unwrap_or(0);
    let codes = width(&|cause| cause.code().len());
    let blames = width(&|cause| blame(cause).len());
    for cause in CauseCode::ALL.iter().copied() {
        writeln!(
            out,
            "{:codes$}  {:blames$}  {}",
            cause.code(),
            blame(cause),
            cause.sentence()
        )?;
    }
    Ok(())
}

fn explain(cause: CauseCode, out: &mut dyn Write) -> fmt::Result {
    let consequence = if cause.blame().is_product() {
        "part of what is tested: the run fails, exit code 1"
    } else {
        "not part of what is tested: the run errs, exit code 3, and says nothing about the release"
    };
    writeln!(out, "{cause}")?;
    writeln!(out, "  means  {}", cause.sentence())?;
    writeln!(out, "  blame  {} ({consequence})", blame(cause))?;
    writeln!(out, "  next   {}", cause.next_step())
}

/// A rule: what it is about, and its examples as changes to a release that is well.
fn explain_rule(rule: &Rule, out: &mut dyn Write) -> fmt::Result {
    writeln!(out, "{} (a rule of lint)", rule.code)?;
    writeln!(out, "  means     {}", rule.about)?;
    writeln!(out, "  severity  {}, at most", rule.severity.word())?;
    let examples = rule.examples().unwrap_or_default();
    for (word, changes) in [("bad", examples.bad), ("good", examples.good)] {
        for change in &changes {
            example(word, change, out)?;
        }
    }
    Ok(())
}

fn example(word: &str, Change { path, text }: &Change, out: &mut dyn Write) -> fmt::Result {
    writeln!(out, "  {word:<8}  {path}")?;
    // A patch is shown as the lines that it leaves.
    let lines = text.strip_prefix("@@\n").map_or_else(
        || text.lines().collect::<Vec<_>>(),
        |patch| {
            let left = patch.lines().filter(|line| !line.starts_with('-'));
            left.map(|line| line.get(1..).unwrap_or_default()).collect()
        },
    );
    lines.iter().try_for_each(|line| writeln!(out, "              {line}"))
}

/// What was typed, as codes are written.
fn code(typed: &str) -> String {
    typed.trim().to_ascii_lowercase()
}

fn blame(cause: CauseCode) -> &'static str {
    match cause.blame() {
        Blame::Guide => "guide",
        Blame::Manifest => "manifest",
        Blame::Chart => "chart",
        Blame::Image => "image",
        Blame::ModelServer => "model server",
        Blame::EndpointPicker => "endpoint picker",
        Blame::Gateway => "gateway",
        Blame::Cluster => "cluster",
        Blame::Host => "host",
        Blame::CommandLine => "command line",
        Blame::Harness => "quickproof",
    }
}

fn with_suggestions(typed: &str, message: String) -> String {
    let rules = lint::known_rules().map(|rule| rule.code);
    let mut alike: Vec<(f64, &str)> = CauseCode::ALL
        .iter()
        .map(|cause| cause.code())
        .chain(rules)
        .map(|code| (likeness(typed, code), code))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    alike.sort_by(|one, other| other.0.total_cmp(&one.0));
    let codes: Vec<String> = alike.iter().take(3).map(|(_, code)| format!("`{code}`")).collect();
    if codes.is_empty() {
        return message;
    }
    format!("{message}; did you mean {}?", codes.join(" or "))
}

fn likeness(typed: &str, code: &str) -> f64 {
    // A part of a code is what one remembers of it.
    if typed.len() >= 3 && code.contains(typed) {
        return 1.0;
    }
    strsim::jaro_winkler(typed, code)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{cli::output::tests::written, redact::Redactor};

    fn explained(code: Option<&str>) -> anyhow::Result<String> {
        let arguments = ExplainArguments {
            code: code.map(str::to_owned),
        };
        let mut ended = Ok(ExitCode::Passed);
        let text = written(Redactor::new(), |out| ended = run(&arguments, out));
        ended.map(|_| text)
    }

    #[test]
    fn every_cause_can_be_explained_and_stands_in_the_list() {
        let list = explained(None).unwrap();
        for cause in CauseCode::ALL {
            let text = explained(Some(cause.code())).unwrap();
            assert!(
                text.contains(cause.sentence()) && text.contains(cause.next_step()),
                "{text}"
            );
            assert!(list.contains(cause.code()), "{cause}");
        }
    }

    #[test]
    fn every_rule_can_be_explained_with_its_examples() {
        for rule in lint::known_rules() {
            let text = explained(Some(rule.code)).unwrap();
            assert!(
                text.contains(rule.about) && text.contains(rule.severity.word()),
                "{text}"
            );
            assert_eq!(text.contains("  bad  "), rule.examples().is_some(), "{text}");
        }
    }

    #[rstest]
    #[case::a_slip("pod-image-notfound", "`pod-image-not-found`")]
    #[case::a_part("picker-bypassed", "`endpoint-picker-bypassed`")]
    fn a_code_nearly_right_is_offered(#[case] typed: &str, #[case] offered: &str) {
        let error = explained(Some(typed)).unwrap_err();
        assert!(error.is::<Usage>());
        assert!(error.to_string().contains(offered), "{error}");
    }

    #[test]
    fn a_code_of_nothing_is_answered_with_where_to_look() {
        let error = explained(Some("zzz")).unwrap_err().to_string();
        assert!(
            error.contains("quickproof explain") && !error.contains("did you mean"),
            "{error}"
        );
    }
}
