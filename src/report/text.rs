//! The text report: what a terminal showed, put in order, with the ledger in full. No colours, no control characters.

use std::io::Write;

use crate::{
    record::{Render, RunRecord, Stage},
    report::{
        Look, Verbosity,
        closing::{closing, verdict},
        load, page,
        paint::Line,
    },
};

/// Renders `report.txt`.
#[derive(Debug, Clone, Copy)]
pub struct Text;

/// The stages in the order of a run.
const STAGES: [Stage; 10] = [
    Stage::Release,
    Stage::Images,
    Stage::Cluster,
    Stage::Deployment,
    Stage::Conditions,
    Stage::Request,
    Stage::Proof,
    Stage::Scenarios,
    Stage::Lanes,
    Stage::Cleanup,
];

impl Render for Text {
    fn render(&self, record: &RunRecord, out: &mut dyn Write) -> anyhow::Result<()> {
        let look = Look::for_files();
        for line in lines(record) {
            match line {
                Some(line) => writeln!(out, "{}", look.paint(&line))?,
                None => writeln!(out)?,
            }
        }
        Ok(())
    }
}

/// The whole report; `None` is an empty line.
fn lines(record: &RunRecord) -> Vec<Option<Line>> {
    let mut lines = Vec::new();
    if let Some(root) = record.root_cause() {
        lines.extend([Some(verdict(record.outcome(), &root)), None]);
    }
    if let Some(subject) = &record.subject {
        lines.extend([Some(page::header(&record.quickproof, subject)), None]);
    }
    for stage in STAGES {
        let notes = record.notes.iter().filter(|(noted, _)| *noted == stage);
        let mut body: Vec<Line> = notes.map(|(_, sentence)| page::note(sentence)).collect();
        if stage == Stage::Scenarios {
            body.extend(record.loads.iter().flat_map(load::lines));
        }
        for (index, decision) in record.decisions.iter().enumerate() {
            if decision.stage != stage {
                continue;
            }
            body.extend(if page::is_told(decision, &record.decisions[..index]) {
                page::decision_again(decision, &record.ledger)
            } else {
                page::decision(decision, &record.ledger, Verbosity::Verbose)
            });
        }
        if body.is_empty() {
            continue;
        }
        let spent = record.spent.iter().find(|(spent, _)| *spent == stage);
        lines.push(Some(page::heading(stage, spent.map(|(_, ms)| *ms))));
        lines.extend(body.into_iter().map(Some));
    }
    if !record.ledger.is_empty() {
        lines.push(Some(page::section("ledger")));
        for (index, entry) in record.ledger.iter().enumerate() {
            lines.extend(page::deviation_in_full(index + 1, entry).map(Some));
        }
    }
    lines.push(None);
    lines.extend(closing(record, &[]).into_iter().map(Some));
    lines
}
