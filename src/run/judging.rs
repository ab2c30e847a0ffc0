//! Judging: after the wait, after the request, after the proof.

use std::time::Instant;

use super::Context;
use crate::{
    check::{self, Observation, rewrite, wire},
    deploy::Deployer,
    plan::{Request, Step},
    probe::Answer,
    record::{Decision, Event, Stage},
    verdict::{Blame, CauseCode},
};

impl Context {
    /// Waits for workloads and conditions and judges them. Whether the request is to be sent.
    pub(super) async fn await_ready(&self, deployer: &Deployer, seen: &mut Observation) -> bool {
        let mut failed = self.await_workloads(deployer).await;
        let began = Instant::now();
        self.events.send(Event::Entered {
            stage: Stage::Conditions,
        });
        if failed.is_empty() {
            self.await_conditions(deployer, seen).await;
            // Pods that crash slowly were Ready for a while; what became of them says more than that none is left.
            if Self::has_fallen(deployer) {
                failed = self.await_workloads(deployer).await;
                if failed.is_empty() {
                    self.await_conditions(deployer, seen).await;
                }
            }
        }
        if let Some(first) = failed.first() {
            // Where the cluster is to blame, requests that are answered all the same show that the pool fails open:
            // worth saying, though it is not what decides.
            if failed.iter().all(|failed| is_infrastructure(failed.cause)) {
                self.say_bypass(deployer, seen, &first.name).await;
            }
            return false;
        }
        let goes_on = self.judge(Stage::Conditions, seen, |decision| decision);
        self.spent(Stage::Conditions, began);
        goes_on
    }

    /// Judges all checks of a stage. Whether none of them is broken.
    pub(super) fn judge(&self, stage: Stage, seen: &Observation, adorn: impl Fn(Decision) -> Decision) -> bool {
        let mut goes_on = true;
        for check in check::of_stage(stage) {
            let finding = check.judge(seen);
            goes_on &= !finding.is_wrong();
            let shown_by = check.shown_by(seen, &finding).map(Answer::exchange);
            let mut decision = Decision::new(stage, check.name(), check.sentence(seen), finding);
            decision.exchange = shown_by.map(Box::new);
            self.events.decide(adorn(decision));
        }
        goes_on
    }

    pub(super) async fn request_and_prove(
        &self,
        deployer: &Deployer,
        step: &Step,
        request: &Request,
        seen: &mut Observation,
    ) {
        let began = Instant::now();
        self.events.send(Event::Entered { stage: Stage::Request });
        seen.unexpanded.clone_from(&request.unexpanded);
        seen.rewrites = deployer.deployed(|deployed| {
            let objects = rewrite::KINDS.into_iter().flat_map(|kind| deployed.of_kind(kind));
            objects.map(|object| serde_json::Value::clone(&object.value)).collect()
        });
        let Some(outgoing) = self.resolve_request(deployer, step, request) else {
            return;
        };
        let Some(outgoing) = self.reachable(deployer, step, outgoing).await else {
            return;
        };
        self.send_guide_request(deployer, &outgoing, seen).await;
        for oddity in seen.guide_answer.iter().flat_map(wire::oddities) {
            self.events.note(Stage::Request, oddity);
        }
        let goes_on = self.judge(Stage::Request, seen, |decision| decision.from_line(step.from.clone()));
        self.spent(Stage::Request, began);
        let began = Instant::now();
        self.events.send(Event::Entered { stage: Stage::Proof });
        if goes_on {
            self.prove(deployer, &outgoing, seen).await;
        }
        self.judge(Stage::Proof, seen, |decision| decision);
        self.spent(Stage::Proof, began);
        self.perform_scenarios(deployer, &outgoing, seen, goes_on).await;
    }
}

fn is_infrastructure(code: CauseCode) -> bool {
    matches!(code.blame(), Blame::Cluster | Blame::Host | Blame::Harness)
}
