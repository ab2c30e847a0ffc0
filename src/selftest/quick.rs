//! What needs no cluster: answers judged by the wire checks, and changed files looked at by `lint`.

use std::{collections::BTreeSet, path::Path};

use futures::StreamExt as _;
use serde_json::Value;
use tokio::time::Instant;

use super::{AnswerSeed, Base, Library, Row, Seed, answers, changed};
use crate::{
    host::{Call, Host, in_words},
    record::milliseconds,
    release::EmbeddedTree,
};

/// Carries out what needs no cluster; so many at once by `executable`, which is this program.
///
/// # Errors
/// No directory can be made, or no port can be had: nothing is said of any seed.
pub(crate) async fn quickly(
    host: &Host,
    executable: &str,
    library: &Library,
    jobs: usize,
    mut hear: impl FnMut(&Row),
) -> std::io::Result<Vec<Row>> {
    let judged = answers::judged(&library.answers).await?;
    let of_answers = library.answers.iter().zip(judged);
    let mut rows: Vec<Row> = of_answers.map(|(answer, judged)| row_of(answer, &judged)).collect();
    rows.iter().for_each(&mut hear);
    let directory = tempfile::tempdir()?;
    let looked_at = library
        .seeds
        .iter()
        .filter_map(|seed| Some((seed, seed.lint.as_ref()?)));
    let mut looks = futures::stream::iter(looked_at.map(|(seed, codes)| {
        let tree = directory.path().join(&seed.name);
        async move { look(host, executable, seed, codes, &tree).await }
    }))
    .buffered(jobs.max(1));
    while let Some(row) = looks.next().await {
        hear(&row);
        rows.push(row);
    }
    Ok(rows)
}

fn row_of(answer: &AnswerSeed, judged: &answers::AnswerJudged) -> Row {
    let words = |checks: &BTreeSet<String>| match checks.len() {
        0 => "accepted".to_owned(),
        _ => checks.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    let (expected, got) = (words(answer.faults()), words(&judged.found));
    let misses = if judged.found == *answer.faults() {
        Vec::new()
    } else {
        vec![format!(
            "the wire checks say {got} and not {expected}: {}",
            judged.said.join("; ")
        )]
    };
    Row {
        name: answer.name.clone(),
        class: "answer".to_owned(),
        stands_for: answer.why().to_owned(),
        shipped: None,
        expected,
        got,
        misses,
        not_run: None,
        grace: None,
        sign_to_call_ms: None,
        requests: None,
        took_ms: 0,
        reports: None,
    }
}

async fn look(host: &Host, executable: &str, seed: &Seed, codes: &[String], tree: &Path) -> Row {
    let began = Instant::now();
    let mut row = Row::of(seed);
    row.expected = lint_words(codes);
    if seed.base == Base::Release {
        row.not_run = Some("`lint` is asked about the embedded quickstart only".to_owned());
        return row;
    }
    let found = found(host, executable, seed, tree).await;
    row.took_ms = milliseconds(began.elapsed());
    match found {
        Ok(found) => {
            row.got = lint_words(&found);
            let wanted: BTreeSet<&String> = codes.iter().collect();
            if wanted != found.iter().collect() {
                row.misses.push(format!("{} and not {}", row.got, row.expected));
            }
        }
        Err(why) => {
            "no answer of lint".clone_into(&mut row.got);
            row.misses.push(why);
        }
    }
    row
}

fn lint_words(codes: &[String]) -> String {
    match codes {
        [] => "lint finds no break".to_owned(),
        codes => format!("lint finds {}", codes.join(", ")),
    }
}

/// The rules of `lint` that find a break in the changed files.
async fn found(host: &Host, executable: &str, seed: &Seed, tree: &Path) -> Result<Vec<String>, String> {
    changed::copy(&EmbeddedTree, tree).map_err(|error| in_words(&error))?;
    changed::change(&seed.change, tree).map_err(|error| in_words(&error))?;
    let call = Call::new(executable)
        .args(["lint", "--no-helm", "--output", "json", "--tree"])
        .arg(tree.to_string_lossy());
    let ended = host.run(&call).await.map_err(|error| in_words(&error))?;
    let findings: Vec<Value> =
        serde_json::from_slice(&ended.stdout).map_err(|_| format!("`lint` says no JSON: {}", ended.last_words()))?;
    let breaks = findings.iter().filter(|finding| finding["severity"] == "break");
    let codes: BTreeSet<&str> = breaks.filter_map(|finding| finding["code"].as_str()).collect();
    Ok(codes.into_iter().map(str::to_owned).collect())
}
