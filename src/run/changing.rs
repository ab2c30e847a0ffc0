//! Changing the cluster for a scenario, and showing that it is as before: pods, endpoints, and a request.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};

use super::{deployment::Quickstart, observation, picker, pool, proof::varied, request::blame_outage_on_the_cluster};
use crate::{
    check::{self, Observation, diagnosis},
    cluster::{
        scale::Scaled,
        watching::{Progress, WaitError},
    },
    deploy::Deployer,
    host::poll,
    probe::{Outgoing, Probe},
    record::Stage,
    scenario::{Change, ChangeExecutor, ChangeResult, Role},
    verdict::{Cause, CauseCode, Fault, Finding},
};

/// Answers of one kind in a row after which a change has been noticed by whoever answers. Which kind is not asked: that is
/// for the scenario to judge.
const SAME_IN_A_ROW: u32 = 3;
/// How long answers may differ before the scenario is performed all the same.
const NOTICED_WITHIN: Duration = Duration::from_secs(15);
/// How long what is under test may take to serve again. Measured: 4 to 11 s.
const RECOVERS_WITHIN: Duration = Duration::from_mins(1);
/// How long the endpoints may take to be as many as before, once every pod is Ready.
const ENDPOINTS_WITHIN: Duration = Duration::from_secs(30);
/// Between two requests.
const BETWEEN: Duration = Duration::from_millis(250);
/// The fewest and the most good answers in a row after which it serves again; between them twice as many as there are pods,
/// so that each is likely to have been asked.
const GOOD_IN_A_ROW: std::ops::RangeInclusive<usize> = 4..=20;

/// What the run deployed, as something that may be changed.
pub(super) struct ClusterChanges<'a> {
    quickstart: &'a Quickstart<'a>,
    outgoing: &'a Outgoing,
    probe: &'a Probe,
    seen: Observation,
    /// How many endpoints of the pool were Ready before the change; `None` where nothing was changed.
    ready: Mutex<Option<usize>>,
}

impl<'a> ClusterChanges<'a> {
    pub(super) fn new(
        quickstart: &'a Quickstart<'a>,
        outgoing: &'a Outgoing,
        probe: &'a Probe,
        seen: &Observation,
    ) -> Self {
        Self {
            quickstart,
            outgoing,
            probe,
            seen: observation::without_answers(seen),
            ready: Mutex::default(),
        }
    }

    fn deployer(&self) -> &Deployer {
        &self.quickstart.deployer
    }

    /// The Deployments of a part, which this run may change.
    ///
    /// # Errors
    /// In words, why they may not be changed.
    pub(super) fn deployments(&self, role: Role) -> Result<Vec<Arc<Deployment>>, String> {
        let pods = match role {
            Role::ModelServer => pool::as_objects(self.deployer(), &self.pool_pods()),
            Role::EndpointPicker => picker::pods(self.deployer(), &self.seen),
        };
        let made = pool::kinds_and_names(self.deployer());
        let mut found: Vec<Arc<Deployment>> = Vec::new();
        for pod in &pods {
            let deployment = self.deployment_of(pod, &made)?;
            if !found.iter().any(|other| other.metadata.uid == deployment.metadata.uid) {
                found.push(deployment);
            }
        }
        if found.is_empty() {
            return Err(format!("{} has no pod", role.words()));
        }
        Ok(found)
    }

    fn pool_pods(&self) -> Vec<check::PoolPod> {
        pool::pods_now(self.deployer(), &self.seen)
    }

    fn ready_endpoints(&self) -> usize {
        self.pool_pods().iter().filter(|pod| pod.ready).count()
    }

    fn deployment_of(&self, pod: &Pod, made: &[(String, String)]) -> Result<Arc<Deployment>, String> {
        let of = pool::workload(pod, made);
        let name = of.as_deref().and_then(|of| of.strip_prefix("Deployment "));
        let Some(name) = name else {
            let pod = pod.metadata.name.as_deref().unwrap_or_default();
            let of = of.as_deref().unwrap_or("nothing that the guide deployed");
            return Err(format!("pod {pod} belongs to {of}, and only Deployments are scaled"));
        };
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let found = self.deployer().site.watches.deployments.get(namespace, name);
        let found = found.ok_or_else(|| format!("Deployment {namespace}/{name} is not seen"))?;
        if self.deployer().may_change(&found) {
            Ok(found)
        } else {
            Err(format!("Deployment {namespace}/{name} was not made by this run"))
        }
    }

    /// Sends the guide's request until whoever answers does so in one way, whatever that is.
    async fn await_notice(&self) {
        let (mut last, mut same, mut tries) = (None, 0, 0);
        let noticed = poll(NOTICED_WITHIN, BETWEEN, async |_| {
            tries += 1;
            let answer = self.probe.send(varied(self.outgoing, tries)).await;
            let kind = (answer.status(), diagnosis::answerer(&answer));
            same = if last == Some(kind) { same + 1 } else { 1 };
            last = Some(kind);
            if same >= SAME_IN_A_ROW {
                return Ok(());
            }
            let events = &self.quickstart.context.events;
            events.waiting(Stage::Scenarios, "the change to be noticed", answer.brief());
            Err(())
        });
        // Where answers go on to differ, the scenario is performed all the same.
        let _ = noticed.await;
    }

    async fn scale(&self, role: Role, to: i32) -> Result<String, Cause> {
        let nothing = |why: String| Cause::new(CauseCode::ObjectConflict).because(why);
        let deployments = self.deployments(role).map_err(nothing)?;
        let scaled: Vec<Scaled> = deployments.iter().filter_map(|one| Scaled::of(one)).collect();
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.ready_endpoints());
        // From here on teardown knows of it too, however the run ends.
        self.quickstart
            .context
            .pending_teardown(|pending| pending.scaled.clone_from(&scaled));
        for one in &scaled {
            self.deployer().scale(one, to).await?;
        }
        Ok(titles(&scaled))
    }

    async fn scale_back(&self) -> Result<String, Cause> {
        let before = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(before) = before else {
            return Ok("nothing was changed".to_owned());
        };
        let scaled = self
            .quickstart
            .context
            .pending_teardown(|pending| pending.scaled.clone());
        for one in &scaled {
            self.deployer().scale_back(one).await?;
            self.quickstart
                .context
                .pending_teardown(|pending| pending.scaled.retain(|other| other != one));
        }
        let question = |_: &_| match self.ready_endpoints() {
            now if now == before => Progress::<(), ()>::Ready(()),
            now => Progress::NotYet(format!("{now} of {before} endpoints are Ready")),
        };
        let (events, watches) = (&self.quickstart.context.events, &self.deployer().site.watches);
        let waited = watches
            .until(ENDPOINTS_WITHIN, question, |seen| {
                events.waiting(Stage::Scenarios, "the pool's endpoints", seen);
            })
            .await;
        let not_back = |why: String| Cause::new(CauseCode::ChangeNotTakenBack).because(why);
        waited.map_err(|error| match error {
            WaitError::TimedOut { seen, .. } => not_back(seen),
            WaitError::ApiServerAway { trouble } => not_back(trouble.to_string()),
            WaitError::Never(()) => not_back(WaitError::Never(()).to_string()),
        })?;
        let pods: i32 = scaled.iter().map(|one| one.replicas).sum();
        Ok(format!(
            "{} has its {pods} pods again, and the pool its {before} Ready endpoints",
            titles(&scaled)
        ))
    }

    /// Sends the guide's request until it is answered well, often enough in a row.
    async fn requests_are_answered(&self) -> ChangeResult {
        let began = Instant::now();
        let wanted = (2 * self.ready_endpoints()).clamp(*GOOD_IN_A_ROW.start(), *GOOD_IN_A_ROW.end());
        let mut tries = 0;
        let answered = poll(RECOVERS_WITHIN, BETWEEN, async |_| {
            for _ in 0..wanted {
                tries += 1;
                let answer = self.probe.send(varied(self.outgoing, tries)).await;
                let brief = answer.brief();
                let seen = observation::with_answer(self.seen.clone(), answer, self.pool_pods());
                if let Some(finding) = fault(&seen) {
                    let on = "requests to be answered as before";
                    self.quickstart.context.events.waiting(Stage::Scenarios, on, brief);
                    return Err(finding);
                }
            }
            Ok(())
        });
        let answered = answered.await;
        let took = began.elapsed();
        match answered {
            Ok(()) => ChangeResult {
                sentence: format!(
                    "{wanted} requests in a row are answered as before, after {:.1} s",
                    took.as_secs_f64()
                ),
                finding: Finding::Holds,
            },
            Err(finding) => {
                blame_outage_on_the_cluster(self.quickstart).await;
                let seconds = took.as_secs();
                ChangeResult {
                    sentence: format!("requests are not answered as before {seconds} s after everything is back"),
                    finding,
                }
            }
        }
    }
}

/// What is wrong with an answer to the guide's request, by the checks that the guide's own was judged by.
fn fault(seen: &Observation) -> Option<Finding> {
    let findings = check::of_stage(Stage::Request).map(|check| check.judge(seen));
    let mut bad = findings.filter(Finding::is_wrong);
    bad.next()
}

fn titles(scaled: &[Scaled]) -> String {
    scaled.iter().map(Scaled::title).collect::<Vec<_>>().join(" and ")
}

impl ChangeExecutor for ClusterChanges<'_> {
    async fn make(&self, change: Change) -> ChangeResult {
        let Change::Scale { what, to } = change;
        match self.scale(what, i32::from(to)).await {
            Ok(titles) => {
                self.await_notice().await;
                ChangeResult {
                    sentence: format!("{} for a while: {titles}", change.words()),
                    finding: Finding::Holds,
                }
            }
            Err(cause) => ChangeResult {
                sentence: format!("{} for a while", change.words()),
                finding: Fault::shown(change.words(), cause).into(),
            },
        }
    }

    async fn take_back(&self, change: Change) -> ChangeResult {
        match self.scale_back().await {
            Ok(sentence) => ChangeResult {
                sentence,
                finding: Finding::Holds,
            },
            Err(cause) => ChangeResult {
                sentence: format!("{} is as it was", change.role().words()),
                finding: Fault::shown("as it was before the change", cause).into(),
            },
        }
    }

    async fn recover(&self, _: Change) -> ChangeResult {
        self.requests_are_answered().await
    }
}
