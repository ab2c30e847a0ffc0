//! Commands as bash and the programs read them: variables, quotes, flags, names.

use super::{
    Diagnostic, Examined, Family, Findings, Place, Rule, Severity,
    caret::caret,
    reader::{Reader, ReaderCommand, Use},
};
use crate::{
    guide::{Argument, Body, Named, Program, Role, Slip, SlipKind},
    plan,
    verdict::Fault,
};

mod arguments;
mod rules;

use rules::{
    COMMAND_UNKNOWN, CONTINUATION_BROKEN, DOCUMENT_OPEN, FILE_NOT_DOWNLOADED, FLAG_REMOVED, FLAGS_IN_VARIABLE,
    PLACEHOLDER, VARIABLE_PROTECTED, VARIABLE_SET_LATER, VARIABLE_UNSET,
};

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "shell",
    rules: rules::ALL,
    look,
};

fn look(examined: &Examined<'_>, findings: &mut Findings) {
    for reader in examined.readers() {
        variables(examined, findings, reader);
        for command in &reader.commands {
            flags(examined, findings, reader, command);
            unknown(examined, findings, reader, command);
            unpacked(examined, findings, reader, command);
            if let Some(found) = split(examined, findings, &command.program) {
                found.only_for(&reader.offer);
            }
        }
        lines(examined, findings, reader);
    }
    for command in examined.pages.iter().flat_map(|page| &page.commands) {
        split(examined, findings, &command.program);
    }
    arguments::look(examined, findings);
}

/// A variable outside quotes that holds a flag with its value; `None` where a program has none.
fn split<'f>(examined: &Examined<'_>, findings: &'f mut Findings, program: &Program) -> Option<&'f mut Diagnostic> {
    let Named { name, line } = program.split.first()?;
    let place = caret(examined, &program.at.file, *line, &format!("${{{name}}}"));
    let message = format!("`{name}` holds a flag with its value, and stands here without quotes");
    let found = findings.add(&FLAGS_IN_VARIABLE, place, message);
    found
        .because("bash makes several arguments of it, and zsh gives it to the program as one")
        .way_out("let the variable hold the value alone, and write the flag before it");
    Some(found)
}

/// How bad a finding in a section is at most.
fn at_most(role: Role) -> Severity {
    match role {
        Role::Cleanup | Role::Prerequisite => Severity::Degraded,
        _ => Severity::Break,
    }
}

/// The place of a variable where it is used.
fn place_of(examined: &Examined<'_>, used: &Use) -> Place {
    let braced = caret(examined, &used.file, used.line, &format!("${{{}}}", used.name));
    if braced.column.is_some() && braced.line == used.line {
        return braced;
    }
    let bare = caret(examined, &used.file, used.line, &format!("${}", used.name));
    if bare.column.is_some() { bare } else { braced }
}

fn variables(examined: &Examined<'_>, findings: &mut Findings, reader: &Reader) {
    for used in &reader.protected {
        findings
            .add(
                &VARIABLE_PROTECTED,
                place_of(examined, used),
                format!(
                    "`{}` stands in single quotes, so its name is passed on and not its value",
                    used.name
                ),
            )
            .because("bash replaces nothing between single quotes (Bash manual, 3.1.2.2)")
            .way_out("use double quotes around it, with `\\\"` for those inside")
            .at_most(at_most(used.role))
            .only_for(&reader.offer);
    }
    for used in &reader.unset {
        let is_later = reader.is_set_later(used);
        let (rule, message) = if is_later {
            (
                &VARIABLE_SET_LATER,
                format!("`{}` is used here and set only by a later command", used.name),
            )
        } else {
            (
                &VARIABLE_UNSET,
                format!("`{}` is used here and no command of this path sets it", used.name),
            )
        };
        findings
            .add(rule, place_of(examined, used), message)
            .because("bash puts nothing in the place of a variable that is not set")
            .way_out("set it by an earlier command that every reader of this page runs")
            .at_most(at_most(used.role))
            .only_for(&reader.offer);
    }
}

fn flags(examined: &Examined<'_>, findings: &mut Findings, reader: &Reader, command: &ReaderCommand) {
    let program = &command.program;
    let words: Vec<String> = program.words[1..].iter().map(Argument::shown).collect();
    let Some((flag, since)) = plan::flag_gone(&program.name, &words) else {
        return;
    };
    findings
        .add(
            &FLAG_REMOVED,
            caret(examined, &program.at.file, program.at.line, flag),
            format!("{} has no flag `{flag}` since {since}", program.name),
        )
        .way_out("leave the flag out")
        .at_most(at_most(command.role))
        .only_for(&reader.offer);
}

/// A word that the program of a command does not know.
fn unknown(examined: &Examined<'_>, findings: &mut Findings, reader: &Reader, command: &ReaderCommand) {
    let Some((text, found)) = command.program.unknown() else {
        return;
    };
    let at = &command.program.at;
    fault(
        findings,
        &COMMAND_UNKNOWN,
        caret(examined, &at.file, at.line, &text),
        &found,
    )
    .at_most(at_most(command.role))
    .only_for(&reader.offer);
}

/// A command that unpacks a file which no download of its block makes.
fn unpacked(examined: &Examined<'_>, findings: &mut Findings, reader: &Reader, command: &ReaderCommand) {
    let program = &command.program;
    let mut words = program.words[1..].iter().map(Argument::shown);
    let archive = match program.name.as_str() {
        "unzip" | "gunzip" => words.find(|word| !word.starts_with('-')),
        "tar" => {
            words.find(|word| word.trim_start_matches('-').contains('x') && !word.contains('.'));
            words.find(|word| !word.starts_with('-'))
        }
        _ => None,
    };
    let Some(archive) = archive.filter(|archive| !archive.contains('*')) else {
        return;
    };
    let mut downloaded: Vec<String> = Vec::new();
    for other in reader.commands.iter().filter(|other| other.block == command.block) {
        let other = &other.program;
        if !matches!(other.name.as_str(), "curl" | "wget") {
            continue;
        }
        let words: Vec<String> = other.words[1..].iter().map(Argument::shown).collect();
        let renames = words
            .iter()
            .any(|word| word.starts_with("-o") || word.starts_with("--output") || word == "-O" && other.name == "wget");
        if renames {
            return;
        }
        let urls = words.iter().filter(|word| word.contains("://"));
        downloaded.extend(urls.filter_map(|url| url.rsplit('/').next().map(str::to_owned)));
    }
    if downloaded.is_empty() || downloaded.contains(&archive) {
        return;
    }
    let first = archive.split("${").next().unwrap_or_default();
    let first = first
        .split(|sign: char| sign.is_ascii_digit())
        .next()
        .unwrap_or_default();
    findings
        .add(
            &FILE_NOT_DOWNLOADED,
            caret(examined, &program.at.file, program.at.line, first),
            format!("`{archive}` is unpacked, and no command before makes such a file"),
        )
        .because(format!("downloaded is `{}`", downloaded.join("`, `")))
        .way_out("name the file that is downloaded")
        .at_most(at_most(command.role))
        .only_for(&reader.offer);
}

/// What a line of a command looks like.
fn lines(examined: &Examined<'_>, findings: &mut Findings, reader: &Reader) {
    for block in &reader.guide.blocks {
        for (index, command) in block.commands.iter().enumerate() {
            if let Some(text) = placeholder(&command.raw) {
                findings
                    .add(
                        &PLACEHOLDER,
                        caret(examined, &command.at.file, command.at.line, text),
                        format!("`{text}` has to be replaced by hand before the command runs"),
                    )
                    .way_out("use a variable that an earlier command sets")
                    .only_for(&reader.offer);
            }
            if let Body::Fails(found) = &command.body {
                slip(examined, findings, reader, block.role, (&command.at.file, found));
            }
            // Up to the next command of the block; the last one goes on for as long as its lines do.
            let next = block.commands.get(index + 1).map_or(u32::MAX, |next| next.at.line);
            continued(
                examined,
                findings,
                reader,
                block.role,
                (&command.at.file, command.at.line),
                next,
            );
        }
    }
}

/// A command by which something else comes than what is meant.
fn slip(examined: &Examined<'_>, findings: &mut Findings, reader: &Reader, role: Role, (file, slip): (&str, &Slip)) {
    let (found_by, text) = match &slip.kind {
        // Found with its column by `continued`.
        SlipKind::BlankBehindBackslash => return,
        SlipKind::BackslashMissing { .. } => (&CONTINUATION_BROKEN, ""),
        SlipKind::DocumentNeverEnds { .. } => (&DOCUMENT_OPEN, "<<"),
        SlipKind::OfPrint { word } => (&COMMAND_UNKNOWN, word.as_str()),
    };
    fault(
        findings,
        found_by,
        caret(examined, file, slip.line, text),
        &slip.fault(),
    )
    .at_most(at_most(role))
    .only_for(&reader.offer);
}

/// Adds what is known to fail, in the words of the plan.
fn fault<'f>(findings: &'f mut Findings, rule: &Rule, place: Place, fault: &Fault) -> &'f mut Diagnostic {
    let found = findings.add(rule, place, fault.actual.clone());
    found
        .because(format!("expected: {}", fault.expected))
        .way_out(fault.cause.code.next_step())
}

/// What kubectl prints where there is nothing to print: output that stands among commands, and nothing to replace.
const PRINTED: [&str; 4] = ["none", "unknown", "pending", "invalid"];

/// A text such as `<YOUR_NAME>` in a command.
fn placeholder(raw: &str) -> Option<&str> {
    raw.match_indices('<').find_map(|(at, _)| {
        let rest = &raw[at + 1..];
        let name = &rest[..rest.find('>')?];
        let is_name = name.len() > 1
            && !PRINTED.contains(&name)
            && name.starts_with(|sign: char| sign.is_ascii_alphabetic())
            && name.ends_with(|sign: char| sign.is_ascii_alphanumeric())
            && name
                .chars()
                .all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-' | ' '));
        (is_name && !raw[..at].ends_with('<')).then(|| &raw[at..at + name.len() + 2])
    })
}

/// Lines of a command that are meant to go on and do not: blanks behind the backslash.
fn continued(
    examined: &Examined<'_>,
    findings: &mut Findings,
    reader: &Reader,
    role: Role,
    (file, line): (&str, u32),
    next: u32,
) {
    let Some(text) = examined.files.text(examined.release, file) else {
        return;
    };
    let first = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
    for (number, row) in (line..next).zip(text.lines().skip(first)) {
        let trimmed = row.trim_end_matches([' ', '\t']);
        if trimmed.trim_start().starts_with("```") || !trimmed.ends_with('\\') {
            return;
        }
        if trimmed.len() < row.len() {
            let place = Place {
                file: file.to_owned(),
                line: number,
                column: u32::try_from(trimmed.chars().count()).ok(),
            };
            findings
                .add(
                    &CONTINUATION_BROKEN,
                    place,
                    "blanks follow the backslash, so the command ends here",
                )
                .because(
                    "a backslash quotes the sign that follows it; only before the end of a line does it join lines",
                )
                .way_out("take the blanks away")
                .at_most(at_most(role))
                .only_for(&reader.offer);
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::lost(
        "@@\n-    --set provider.name=istio \\\n+    --set provider.name=istio\n",
        &["continuation-broken"]
    )]
    #[case::a_verb("@@\n-    kubectl get httproute small -o yaml\n+    kubectl gte httproute small -o yaml\n", &["command-unknown"])]
    #[case::a_verb_that_applies(
        "@@\n-kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/${IGW_LATEST_RELEASE}/manifests.yaml\n+kubectl aply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/${IGW_LATEST_RELEASE}/manifests.yaml\n",
        &["command-unknown"]
    )]
    fn a_slip_of_the_pen_is_one_finding_and_no_cascade(#[case] change: &'static str, #[case] codes: &[&str]) {
        let findings = crate::lint::tests::found(&[("site-src/guides/index.md", change)]);
        let found: Vec<&str> = findings.diagnostics.iter().map(|one| one.code).collect();
        assert_eq!(found, codes, "{:?}", findings.diagnostics);
    }

    #[rstest]
    #[case("helm install --set provider.name=<YOUR_PROVIDER> x", Some("<YOUR_PROVIDER>"))]
    #[case("cat <<EOF | kubectl apply -f -", None)]
    #[case("diff <(a) <(b)", None)]
    #[case("echo a < b > c", None)]
    #[case("a <file >other", None)]
    #[case("kubectl get pod <pod-name>", Some("<pod-name>"))]
    fn placeholders_are_told_from_redirections(#[case] raw: &str, #[case] found: Option<&str>) {
        assert_eq!(placeholder(raw), found);
    }
}
