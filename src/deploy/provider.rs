//! Installing a gateway provider by its own program, or using the one that somebody else's cluster has.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;

use super::{
    Carried, Deployer, Made, Ownership, StepFailed,
    apply::{AWAY_LIMIT, refused},
    resources::persistently,
    steps::tool_failed,
};
use crate::{
    cluster::{
        doom::{Doom, Judge},
        watching::{Progress, Watches},
    },
    host::Call,
    plan::Witness,
    record::{Deviation, DeviationKind, Stage},
    verdict::{Cause, CauseCode},
};

impl Deployer {
    pub(super) async fn install_provider(
        &self,
        program: &str,
        arguments: &[String],
        witness: &Witness,
    ) -> Result<Carried, StepFailed> {
        let expected = format!("`{program} {}` succeeds", arguments.first().map_or("", String::as_str));
        if self.site.ownership == Ownership::Shared && self.is_installed(witness, &expected).await? {
            return Ok(self.use_installed(program, witness));
        }
        let path = self
            .site
            .programs
            .get(program)
            .map_or_else(|| program.to_owned(), |path| path.display().to_string());
        // Its own waits are minutes long and poll, so a pod of it that is doomed ends the wait here.
        let call = self.with_cluster(Call::new(path).args(arguments).time_limit(self.site.step_limit));
        let began = Instant::now();
        self.deployed(|deployed| {
            deployed.made.push(Made::Provider {
                program: program.to_owned(),
            });
        });
        let words = Arc::new(Mutex::new(String::new()));
        let spoken = Arc::clone(&words);
        let (events, on) = (self.site.events.clone(), program.to_owned());
        let mut hear = move |line: &str| {
            if !line.trim().is_empty() {
                events.waiting(Stage::Deployment, on.clone(), line.trim());
                line.trim()
                    .clone_into(&mut spoken.lock().unwrap_or_else(PoisonError::into_inner));
            }
        };
        let doomed = self.first_doom(|namespace| namespace != self.site.namespace);
        tokio::select! {
            ended = self.site.host.run_with(&call, &mut hear) => match ended {
                Ok(ended) if ended.status.success() => Ok(Carried {
                    sentence: Some(format!("{program} is done after {:.1} s", began.elapsed().as_secs_f64())),
                }),
                Ok(ended) => Err(StepFailed {
                    expected,
                    actual: format!("it ends with {}", ended.status),
                    cause: Cause::new(CauseCode::ProviderInstallFailed).because(ended.last_words()),
                }),
                Err(error) => Err(tool_failed(&error, expected)),
            },
            doom = doomed => Err(StepFailed {
                expected,
                actual: format!("pod {} of the provider will never be ready", doom.pod),
                cause: doom.cause,
            }),
        }
    }

    /// Whether somebody else's cluster has the provider already: a second installation would change theirs.
    async fn is_installed(&self, witness: &Witness, expected: &str) -> Result<bool, StepFailed> {
        let deployments: Api<Deployment> = Api::namespaced(self.site.client.clone(), &witness.namespace);
        let (found, _) = persistently(AWAY_LIMIT, || deployments.get_metadata_opt(&witness.deployment))
            .await
            .map_err(|trouble| refused(trouble, expected.to_owned(), &witness.deployment))?;
        Ok(found.is_some())
    }

    fn use_installed(&self, program: &str, witness: &Witness) -> Carried {
        self.site.events.deviate(Deviation {
            kind: DeviationKind::LeftOut,
            subject: program.to_owned(),
            what: format!(
                "the cluster's own installation is used (Deployment {}/{})",
                witness.namespace, witness.deployment
            ),
            why: "the cluster belongs to somebody else and has the provider already".into(),
            from: None,
        });
        Carried {
            sentence: Some(format!(
                "{program} has nothing to do: the provider is installed already"
            )),
        }
    }

    /// Waits for a doomed pod in a namespace of which `concerns` holds; for ever where there is none.
    async fn first_doom(&self, concerns: impl Fn(&str) -> bool) -> Doom {
        let mut judge = Judge::default();
        loop {
            let question = |watches: &Watches| {
                let pods = watches.pods.all();
                let pods = pods
                    .iter()
                    .map(AsRef::as_ref)
                    .filter(|pod| pod.metadata.namespace.as_deref().is_some_and(&concerns));
                match judge.judge(pods, Instant::now()) {
                    Some(doom) => Progress::Ready(doom),
                    None => Progress::<_, ()>::NotYet(String::new()),
                }
            };
            if let Ok(doom) = self.site.watches.until(Duration::from_hours(1), question, |_| ()).await {
                return doom;
            }
        }
    }
}
