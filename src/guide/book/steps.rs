//! A guide in YAML as a book: its variables, its scripts and its steps are blocks like those of a page.

use std::sync::Arc;

use super::{Conditions, further_blocks};
use crate::{
    guide::{
        GuideBook, GuideError, Problem, ProblemKind, Role,
        declared::{Declared, DeclaredStep, declared},
        pages::Line,
        scan, shell,
    },
    record::Provenance,
    release::{Layout, Placeholder, Tag, Tree},
};

/// Why a secret's value is not the guide's.
const SECRET: &str = "the guide's value only stands for a secret, which each reader has of their own";

pub(super) fn open(tree: &dyn Tree, layout: &Layout, tag: Option<&Tag>) -> Result<GuideBook, GuideError> {
    let file = layout.guide.to_string();
    let bytes = tree.read(&layout.guide)?;
    let text = String::from_utf8(bytes).map_err(|_| GuideError::NotText { file: file.clone() })?;
    let declared = declared(&file, &text)?;
    let wrong = declared.faults.iter().map(|fault| Problem {
        at: Provenance {
            file: file.clone(),
            line: fault.at.line,
            section: String::new(),
        },
        raw: text
            .lines()
            .nth(fault.at.line.saturating_sub(1) as usize)
            .unwrap_or_default()
            .trim()
            .to_owned(),
        kind: ProblemKind::DeclaredWrong { why: fault.why.clone() },
    });
    let mut problems: Vec<Problem> = wrong.collect();
    let (mut sets, mut budget) = (Vec::new(), shell::Budget::default());
    let name: Arc<str> = file.as_str().into();
    let mut blocks: Vec<(scan::Block, Conditions)> = Vec::new();
    blocks.push((environment(&name, layout, &declared), Conditions::default()));
    for (number, step) in declared.steps.iter().enumerate() {
        for further in &layout.further_pages {
            let is_first = declared.steps[..number]
                .iter()
                .all(|before| !before.is_in(&further.before));
            if step.is_in(&further.before) && is_first {
                let page = further_blocks(tree, further, &mut sets, &mut problems)?;
                let conditions = || Conditions::of_page(further.providers.clone());
                blocks.extend(page.into_iter().map(|block| (block, conditions())));
            }
        }
        blocks.push((block(&name, step), Conditions::of_step(number)));
    }
    let secrets = secrets(&name, layout, &declared);
    let mut book = GuideBook {
        file: layout.guide.clone(),
        blocks: Vec::new(),
        problems,
        sets,
        places: Vec::new(),
        conditions: Vec::new(),
        declared: None,
    };
    for (block, conditions) in blocks {
        book.add(layout, tag, &block, conditions, &mut budget)?;
    }
    if let Some(first) = book.blocks.first_mut() {
        first.filled.extend(secrets);
    }
    for (read, conditions) in book.blocks.iter_mut().zip(&book.conditions) {
        let Some(step) = conditions.step().and_then(|step| declared.steps.get(step)) else {
            continue;
        };
        let top = step.path.first().map(String::as_str).unwrap_or_default();
        if top == "cleanup" {
            read.role = Role::Cleanup;
        }
        let skip = layout.groups_left_out.iter().find(|skip| step.is_in(&skip.text));
        read.left_out = skip.map(|skip| skip.why.clone());
    }
    book.declared = Some(Box::new(declared));
    Ok(book)
}

/// The block of a step.
fn block(file: &Arc<str>, step: &DeclaredStep) -> scan::Block {
    let lines = step.run.lines().zip(step.line..).map(|(text, number)| Line {
        text: text.to_owned(),
        file: file.clone(),
        number,
    });
    scan::Block::of_lines(lines.collect(), file, step.line, &step.path.join("."))
}

/// Whether a variable of the guide is one that a reader has already, such as a token.
fn is_readers(layout: &Layout, name: &str) -> bool {
    layout.environment.iter().any(|known| known == name)
}

/// The block that sets the variables and then sources the scripts, as the guide is printed by its own program: values
/// stand without quotes.
fn environment(file: &Arc<str>, layout: &Layout, declared: &Declared) -> scan::Block {
    let variables = declared.variables.iter().map(|variable| {
        let name = &variable.name;
        let value = if variable.is_secret && is_readers(layout, name) {
            format!("${{{name}}}")
        } else {
            variable.value.clone()
        };
        (format!("export {name}={value}"), variable.line)
    });
    let sources = declared
        .sources
        .iter()
        .map(|(script, line)| (format!("source {script}"), *line));
    let lines = variables.chain(sources).map(|(text, number)| Line {
        text,
        file: file.clone(),
        number,
    });
    let line = declared.variables.first().map_or(1, |first| first.line);
    scan::Block::of_lines(lines.collect(), file, line, "env")
}

/// What stands for secrets, and what is put in its place.
fn secrets(file: &Arc<str>, layout: &Layout, declared: &Declared) -> Vec<(Provenance, Placeholder)> {
    let secrets = declared
        .variables
        .iter()
        .filter(|one| one.is_secret && is_readers(layout, &one.name));
    secrets
        .map(|variable| {
            let at = Provenance {
                file: file.to_string(),
                line: variable.line,
                section: "env".to_owned(),
            };
            let placeholder = Placeholder {
                text: variable.value.clone(),
                value: format!("${{{}}}", variable.name),
                why: SECRET.to_owned(),
            };
            (at, placeholder)
        })
        .collect()
}
