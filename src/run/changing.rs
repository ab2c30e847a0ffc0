//! Changing the cluster for a scenario, and showing that it is as before: pods, endpoints, and a request.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};

use super::{
    Context,
    observe::{kinds_and_names, pool_pods, workload},
    picker,
    proof::varied,
};
use crate::{
    check::{self, Observation, diagnosis},
    cluster::{
        scale::Scaled,
        watching::{Progress, WaitError},
    },
    deploy::Deployer,
    probe::{Outgoing, Probe},
    record::Stage,
    scenario::{Change, Changed, Changer, Role},
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
pub(super) struct Changing<'a> {
    context: &'a Context,
    deployer: &'a Deployer,
    outgoing: &'a Outgoing,
    probe: &'a Probe,
    seen: Observation,
    /// How many endpoints of the pool were Ready before the change; `None` where nothing was changed.
    ready: Mutex<Option<usize>>,
}

impl<'a> Changing<'a> {
    pub(super) fn new(
        context: &'a Context,
        deployer: &'a Deployer,
        outgoing: &'a Outgoing,
        probe: &'a Probe,
        seen: &Observation,
    ) -> Self {
        // What requests and pods are judged by, without what was measured before.
        let seen = Observation {
            gateways: seen.gateways.clone(),
            http_routes: seen.http_routes.clone(),
            inference_pools: seen.inference_pools.clone(),
            rewrites: seen.rewrites.clone(),
            ..Observation::default()
        };
        Self {
            context,
            deployer,
            outgoing,
            probe,
            seen,
            ready: Mutex::default(),
        }
    }

    /// The Deployments of a part, which this run may change.
    ///
    /// # Errors
    /// In words, why they may not be changed.
    pub(super) fn deployments(&self, role: Role) -> Result<Vec<Arc<Deployment>>, String> {
        let pods = match role {
            Role::ModelServer => picker::of_pool(self.deployer, &self.pool_pods()),
            Role::EndpointPicker => picker::pods(self.deployer, &self.seen),
        };
        let made = kinds_and_names(self.deployer);
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
        let watches = &self.deployer.site.watches;
        pool_pods(
            self.deployer,
            watches,
            &self.seen.inference_pools,
            &self.seen.http_routes,
        )
    }

    fn ready_endpoints(&self) -> usize {
        self.pool_pods().iter().filter(|pod| pod.ready).count()
    }

    fn deployment_of(&self, pod: &Pod, made: &[(String, String)]) -> Result<Arc<Deployment>, String> {
        let of = workload(pod, made);
        let name = of.as_deref().and_then(|of| of.strip_prefix("Deployment "));
        let Some(name) = name else {
            let pod = pod.metadata.name.as_deref().unwrap_or_default();
            let of = of.as_deref().unwrap_or("nothing that the guide deployed");
            return Err(format!("pod {pod} belongs to {of}, and only Deployments are scaled"));
        };
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let found = self.deployer.site.watches.deployments.get(namespace, name);
        let found = found.ok_or_else(|| format!("Deployment {namespace}/{name} is not seen"))?;
        if self.deployer.may_change(&found) {
            Ok(found)
        } else {
            Err(format!("Deployment {namespace}/{name} was not made by this run"))
        }
    }

    /// Sends the guide's request until whoever answers does so in one way, whatever that is.
    async fn await_notice(&self) {
        let (began, mut last, mut same, mut tries) = (Instant::now(), None, 0, 0);
        while began.elapsed() < NOTICED_WITHIN {
            tries += 1;
            let answer = self.probe.send(varied(self.outgoing, tries)).await;
            let kind = (answer.status(), diagnosis::answerer(&answer));
            same = if last == Some(kind) { same + 1 } else { 1 };
            last = Some(kind);
            if same >= SAME_IN_A_ROW {
                break;
            }
            self.context
                .events
                .waiting(Stage::Scenarios, "the change to be noticed", answer.brief());
            tokio::time::sleep(BETWEEN).await;
        }
    }

    async fn scale(&self, role: Role, to: i32) -> Result<String, Cause> {
        let nothing = |why: String| Cause::new(CauseCode::ObjectConflict).because(why);
        let deployments = self.deployments(role).map_err(nothing)?;
        let scaled: Vec<Scaled> = deployments.iter().filter_map(|one| Scaled::of(one)).collect();
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.ready_endpoints());
        // From here on teardown knows of it too, however the run ends.
        self.context.hold(|held| held.scaled.clone_from(&scaled));
        for one in &scaled {
            self.deployer.scale(one, to).await?;
        }
        Ok(titles(&scaled))
    }

    async fn scale_back(&self) -> Result<String, Cause> {
        let before = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(before) = before else {
            return Ok("nothing was changed".to_owned());
        };
        let scaled = self.context.hold(|held| held.scaled.clone());
        for one in &scaled {
            self.deployer.scale_back(one).await?;
            self.context.hold(|held| held.scaled.retain(|other| other != one));
        }
        let question = |_: &_| match self.ready_endpoints() {
            now if now == before => Progress::<(), ()>::Ready(()),
            now => Progress::NotYet(format!("{now} of {before} endpoints are Ready")),
        };
        let (events, watches) = (&self.context.events, &self.deployer.site.watches);
        let waited = watches
            .until(ENDPOINTS_WITHIN, question, |seen| {
                events.waiting(Stage::Scenarios, "the pool's endpoints", seen);
            })
            .await;
        let not_back = |why: String| Cause::new(CauseCode::ChangeNotTakenBack).because(why);
        waited.map_err(|error| match error {
            WaitError::TimedOut { seen, .. } => not_back(seen),
            WaitError::ApiServerAway { trouble } => not_back(trouble),
            WaitError::Never(()) => not_back(WaitError::Never(()).to_string()),
        })?;
        let pods: i32 = scaled.iter().map(|one| one.replicas).sum();
        Ok(format!(
            "{} has its {pods} pods again, and the pool its {before} Ready endpoints",
            titles(&scaled)
        ))
    }

    async fn requests_are_answered(&self) -> Changed {
        let (began, mut good, mut tries) = (Instant::now(), 0, 0);
        let mut seen = self.seen.clone();
        let wanted = (2 * self.ready_endpoints()).clamp(*GOOD_IN_A_ROW.start(), *GOOD_IN_A_ROW.end());
        loop {
            tries += 1;
            let answer = self.probe.send(varied(self.outgoing, tries)).await;
            let brief = answer.brief();
            seen.pool_pods = self.pool_pods();
            seen.guide_answer = Some(answer);
            let fault = fault(&seen);
            good = if fault.is_none() { good + 1 } else { 0 };
            let took = began.elapsed();
            match fault {
                None if good >= wanted => {
                    let seconds = took.as_secs_f64();
                    let sentence = format!("{good} requests in a row are answered as before, after {seconds:.1} s");
                    let finding = Finding::Holds;
                    return Changed { sentence, finding };
                }
                Some(finding) if took >= RECOVERS_WITHIN => {
                    self.context.blame_outage_on_the_cluster(self.deployer).await;
                    let sentence = format!(
                        "requests are not answered as before {} s after everything is back",
                        took.as_secs()
                    );
                    return Changed { sentence, finding };
                }
                None => {}
                Some(_) => {
                    let on = "requests to be answered as before";
                    self.context.events.waiting(Stage::Scenarios, on, brief);
                    tokio::time::sleep(BETWEEN).await;
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

impl Changer for Changing<'_> {
    async fn make(&self, change: Change) -> Changed {
        let Change::Scale { what, to } = change;
        match self.scale(what, i32::from(to)).await {
            Ok(titles) => {
                self.await_notice().await;
                Changed {
                    sentence: format!("{} for a while: {titles}", change.words()),
                    finding: Finding::Holds,
                }
            }
            Err(cause) => Changed {
                sentence: format!("{} for a while", change.words()),
                finding: Fault::shown(change.words(), cause).into(),
            },
        }
    }

    async fn take_back(&self, change: Change) -> Changed {
        match self.scale_back().await {
            Ok(sentence) => Changed {
                sentence,
                finding: Finding::Holds,
            },
            Err(cause) => Changed {
                sentence: format!("{} is as it was", change.role().words()),
                finding: Fault::shown("as it was before the change", cause).into(),
            },
        }
    }

    async fn recover(&self, _: Change) -> Changed {
        self.requests_are_answered().await
    }
}
