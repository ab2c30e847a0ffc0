//! Any bytes as the journal of a run: the line that is no event, or reports that are whole and steer nobody.

use quickproof::record::{Journal, RunRecord};

use super::writers::reports_are_whole;

pub(super) fn read(bytes: &[u8]) {
    let Ok(journaled) = Journal::parse(bytes) else { return };
    assert!(journaled.cut <= bytes.len());
    let mut record = RunRecord::default();
    for event in &journaled.events {
        record.fold(event);
    }
    reports_are_whole(&record);
}
