//! Telling what runs came to that are over: a decision for each.

use crate::{
    merge::Lanes,
    record::{Event, Events, Stage},
};

/// The lanes that must be decided.
pub(super) fn expected(lanes: &Lanes) -> Vec<String> {
    lanes.decisions().into_iter().map(|decision| decision.check).collect()
}

/// Tells every lane, what any of them deviates in, and what any left behind.
pub(super) fn tell(lanes: &Lanes, events: &Events) {
    events.send(Event::Entered { stage: Stage::Lanes });
    for deviation in lanes.ledger() {
        events.deviate(deviation);
    }
    for decision in lanes.decisions() {
        events.decide(decision);
    }
    for note in lanes.notes() {
        events.note(Stage::Lanes, note);
    }
    let what = lanes.left_behind();
    if !what.is_empty() {
        events.send(Event::LeftBehind { what });
    }
}
