//! What a run's events say in its log: each when it happens, in the span of who sent it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use tracing::{Level, debug, info, warn};

use super::Event;
use crate::verdict::Finding;

/// What was last seen of each thing that is waited for: much of it comes by the hundred and says the same.
#[derive(Debug, Default)]
pub(super) struct Waits(Mutex<BTreeMap<String, String>>);

impl Waits {
    /// Whether this says something new.
    fn changes(&self, on: &str, seen: &str) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.insert(on.to_owned(), seen.to_owned()).as_deref() != Some(seen)
    }
}

/// Logs an event. What a finding was made of stays in the record: it may hold bodies.
pub(super) fn log(event: &Event, waits: &Waits) {
    match event {
        Event::Began { .. } => info!("the run begins"),
        Event::Expected { checks } => debug!(checks = checks.len(), "checks are expected"),
        Event::Deviated { deviation } => info!(subject = %deviation.subject, "deviation: {}", deviation.what),
        Event::Entered { stage } => info!("stage {}", stage.word()),
        Event::Noted { sentence, .. } => info!("{sentence}"),
        Event::Waiting { on, seen, .. } => {
            if tracing::enabled!(Level::DEBUG) && waits.changes(on, seen) {
                debug!(%seen, "waiting: {on}");
            }
        }
        Event::Decided { decision } => {
            let (check, took_ms) = (&decision.check, decision.took_ms);
            match &decision.finding {
                Finding::Holds => info!(%check, took_ms, "holds: {}", decision.sentence),
                Finding::Broken { .. } => warn!(%check, took_ms, "broken: {}", decision.sentence),
                Finding::Undecided { .. } => warn!(%check, took_ms, "undecided: {}", decision.sentence),
                Finding::Skipped { .. } => info!(%check, took_ms, "skipped: {}", decision.sentence),
            }
        }
        Event::Loaded { figures } => info!(sent = figures.sent, took_ms = figures.took_ms, "load: {}", figures.of),
        Event::Spent { stage, took_ms } => info!(took_ms, "time of stage {}", stage.word()),
        Event::Interrupted { signal } => warn!("{signal}"),
        Event::LeftBehind { what } => warn!("could not be removed: {}", what.join(", ")),
        Event::Kept { .. } => info!("kept on purpose"),
        Event::Ended { took_ms, .. } => info!(took_ms, "the run ends"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_things_waited_for_by_turns_each_is_said_when_it_changes() {
        let waits = Waits::default();
        let said =
            [("a", "1"), ("b", "1"), ("a", "1"), ("b", "2"), ("a", "1")].map(|(on, seen)| waits.changes(on, seen));
        assert_eq!(said, [true, true, false, true, false]);
    }
}
