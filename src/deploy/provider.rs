//! Installing a gateway provider by its own program or by manifests of ours, or using the one that somebody else's cluster
//! has.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::{Job, JobCondition},
    core::v1::{Namespace, Pod},
};
use kube::{Api, Client, Resource, ResourceExt as _, api::ListParams, core::PartialObjectMeta};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{
    Carried, Deployer, Ownership,
    failure::{refused, tool_failed},
    noting::Making,
};
use crate::{
    cluster::{
        inventory::{Made, MadeObject, ProviderInstallation},
        ready::deployment_is_available,
        resources::{Trouble, by_pages, persistently},
        unrecoverable::{Unrecoverable, stuck},
        watching::{Namespaces, Progress, WaitError, Watches, until_object},
    },
    host::in_words,
    manifest::Object,
    plan::Witness,
    record::{Deviation, DeviationKind, Stage},
    verdict::{Cause, CauseCode, Fault},
};

/// How many pods of a provider are looked at when its program failed.
const MOST_PODS: u32 = 100;

impl Deployer {
    pub(super) async fn install_provider(
        &self,
        program: &str,
        arguments: &[String],
        witness: &Witness,
    ) -> Result<Carried, Fault> {
        let expected = format!("`{program} {}` succeeds", arguments.first().map_or("", String::as_str));
        if self.site.ownership == Ownership::Shared && self.is_installed(witness, &expected).await? {
            return Ok(self.use_installed(program, witness));
        }
        // Its own waits are minutes long and poll, so a pod of it that will never be ready ends the wait here.
        let call = self.programs()?.call(&self.program(program)).args(arguments);
        let call = call.time_limit(self.site.step_limit);
        let began = Instant::now();
        let makings = self.about_to_install_provider(program, witness, &expected).await?;
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
        let pods = self.provider_pods(witness, &expected).await?;
        let unrecoverable = pods.first_unrecoverable(|namespace| namespace != self.site.namespace);
        let installing = self.noted(makings, &expected, self.site.host.run_with(&call, &mut hear));
        tokio::select! {
            ended = installing => match ended? {
                Ok(ended) if ended.status.success() => Ok(Carried {
                    sentence: Some(format!("{program} is done after {:.1} s", began.elapsed().as_secs_f64())),
                }),
                Ok(ended) => {
                    let cause = self.provider_failed(&pods, witness, &ended.last_words()).await;
                    Err(Fault::new(expected, format!("it ends with {}", ended.status), cause))
                }
                Err(error) => Err(tool_failed(&error, expected)),
            },
            pod = unrecoverable => Err(Fault::new(expected, format!("pod {} of the provider will never be ready", pod.pod), pod.cause)),
        }
    }

    /// Applies the manifests of a provider in order. A Job among them is waited for before what comes after it, since that
    /// needs its outcome; controllers are waited for at the end.
    pub(super) async fn install_manifests(
        &self,
        provider: &str,
        objects: &[Object],
        witness: &Witness,
    ) -> Result<Carried, Fault> {
        let expected = format!("the manifests of {provider} are applied and its controllers become available");
        if self.site.ownership == Ownership::Shared && self.is_installed(witness, &expected).await? {
            return Ok(self.use_installed(provider, witness));
        }
        let began = Instant::now();
        let pods = self.provider_pods(witness, &expected).await?;
        let unrecoverable =
            pods.first_unrecoverable(|namespace| objects.iter().any(|object| object.namespace() == Some(namespace)));
        let installed = async {
            for object in objects {
                self.apply(std::slice::from_ref(object), None).await?;
                if object.kind() == "Job" {
                    self.await_done(object).await?;
                }
            }
            let controllers = objects.iter().filter(|object| object.kind() == "Deployment");
            futures::future::try_join_all(controllers.map(|object| self.await_available(object))).await
        };
        let controllers = tokio::select! {
            ended = installed => ended?.len(),
            pod = unrecoverable => return Err(Fault::new(expected, format!("pod {} of the provider will never be ready", pod.pod), pod.cause)),
        };
        // They are ours, not the release's: no wait or check may take them for part of it.
        let is_theirs = |object: &Object| objects.iter().all(|own| own.file != object.file);
        self.deployed(|deployed| deployed.objects.retain(is_theirs));
        Ok(Carried {
            sentence: Some(format!(
                "{provider} is installed by {} objects, and its {controllers} controllers are available after {:.1} s",
                objects.len(),
                began.elapsed().as_secs_f64()
            )),
        })
    }

    async fn await_done(&self, object: &Object) -> Result<(), Fault> {
        let jobs: Api<Job> = Api::namespaced(self.site.client.clone(), object.namespace().unwrap_or_default());
        self.await_state(jobs, object, job_is_done).await
    }

    async fn await_available(&self, object: &Object) -> Result<(), Fault> {
        let namespace = object.namespace().unwrap_or_default();
        let deployments: Api<Deployment> = Api::namespaced(self.site.client.clone(), namespace);
        self.await_state(deployments, object, deployment_is_available).await
    }

    /// Waits for an object of the provider. The run's own watches may see one namespace only, which is not the provider's.
    async fn await_state<K>(
        &self,
        api: Api<K>,
        object: &Object,
        question: impl Fn(Option<&K>) -> Progress<(), kube::Error>,
    ) -> Result<(), Fault>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let title = object.title();
        let hear = |seen: &str| self.site.events.waiting(Stage::Deployment, title.clone(), seen);
        let waited = until_object(api, object.name(), self.site.step_limit, question, hear).await;
        let (code, seen) = match waited {
            Ok(()) => return Ok(()),
            Err(WaitError::Never(refused)) => (CauseCode::ObjectForbidden, in_words(&refused)),
            Err(WaitError::TimedOut { seen, .. }) => (CauseCode::ProviderInstallFailed, seen),
            Err(WaitError::ApiServerAway { trouble }) => (trouble.code(), trouble.to_string()),
        };
        Err(Fault::new(
            format!("{title} of the provider does its work"),
            seen.clone(),
            Cause::new(code).because(format!("{}:{} {title}: {seen}", object.file, object.line)),
        ))
    }

    /// Whether somebody else's cluster has the provider already: a second installation would change theirs.
    async fn is_installed(&self, witness: &Witness, expected: &str) -> Result<bool, Fault> {
        is_installed(&self.site.client, witness, self.site.away_limit())
            .await
            .map_err(|trouble| refused(trouble, expected, &witness.deployment))
    }

    /// What a provider's program is about to make: its namespace, where there is none yet, and the provider itself.
    async fn about_to_install_provider(
        &self,
        program: &str,
        witness: &Witness,
        expected: &str,
    ) -> Result<Vec<Making>, Fault> {
        if self.site.ownership == Ownership::Ours {
            return Ok(Vec::new());
        }
        let (cluster, namespace) = (self.site.reach.clone(), &witness.namespace);
        let its_namespace = Made::Object(MadeObject {
            cluster: cluster.clone(),
            api_version: "v1".into(),
            object_kind: "Namespace".into(),
            namespace: None,
            name: namespace.clone(),
            marked: None,
            uid: None,
        });
        let its_namespace = Making::told_by::<Namespace>(self, its_namespace, None, namespace);
        let provider = Made::Provider(ProviderInstallation {
            cluster,
            program: self.program(program),
            uninstall: ["uninstall", "-y", "--purge"].map(Into::into).into(),
            namespace: namespace.clone(),
            deployment: witness.deployment.clone(),
            uid: None,
        });
        let provider = Making::told_by::<Deployment>(self, provider, Some(namespace), &witness.deployment);
        let absent = persistently(self.site.away_limit(), || its_namespace.is_absent())
            .await
            .map_err(|trouble| refused(trouble, expected, namespace))?;
        let its_namespace = absent.then_some(its_namespace);
        Ok(its_namespace.into_iter().chain([provider]).collect())
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

    /// Why the program of a provider failed: a pod of the provider's that cannot run tells more than the program, which only
    /// waits for it.
    async fn provider_failed(&self, pods: &ProviderPods, witness: &Witness, said: &str) -> Cause {
        let all: Api<Pod> = Api::namespaced(self.site.client.clone(), &witness.namespace);
        // How they are now, and not how a watch was told that they were.
        let wanted = ListParams::default().limit(MOST_PODS);
        let listed = persistently(self.site.away_limit(), || all.list(&wanted)).await;
        let mut theirs = listed.map(|listed| listed.items).unwrap_or_default();
        theirs.retain(|pod| !pods.before.contains(&pod.name_any()));
        match stuck(&theirs) {
            Some(stuck) => stuck.cause.because(said),
            None => self.failed_for(said, CauseCode::ProviderInstallFailed).await,
        }
    }

    /// The pods of a provider that is about to be installed. The run's own watches see one namespace of somebody else's cluster,
    /// which is not the provider's; there what runs in that namespace already is not the provider's either.
    async fn provider_pods(&self, witness: &Witness, expected: &str) -> Result<ProviderPods, Fault> {
        if self.site.ownership == Ownership::Ours {
            return Ok(ProviderPods {
                watches: Arc::clone(&self.site.watches),
                before: BTreeSet::new(),
            });
        }
        let pods: Api<Pod> = Api::namespaced(self.site.client.clone(), &witness.namespace);
        let mut before = BTreeSet::new();
        by_pages(
            self.site.away_limit(),
            ListParams::default(),
            async |wanted| pods.list_metadata(&wanted).await,
            |found: Vec<PartialObjectMeta<Pod>>| before.extend(found.into_iter().filter_map(|pod| pod.metadata.name)),
        )
        .await
        .map_err(|trouble| refused(trouble, expected, &format!("pods of namespace {}", witness.namespace)))?;
        Ok(ProviderPods {
            watches: Arc::new(Watches::start(
                &self.site.client,
                Namespaces::Only(witness.namespace.clone()),
            )),
            before,
        })
    }
}

/// The pods of a provider.
struct ProviderPods {
    watches: Arc<Watches>,
    /// Names of those that were there before.
    before: BTreeSet<String>,
}

impl ProviderPods {
    /// Those of a namespace of which `concerns` holds.
    fn theirs(&self, concerns: impl Fn(&str) -> bool) -> Vec<Arc<Pod>> {
        let mut pods = self.watches.pods.all();
        pods.retain(|pod| {
            let of_theirs = pod.metadata.namespace.as_deref().is_some_and(&concerns);
            of_theirs && !self.before.contains(&pod.name_any())
        });
        pods
    }

    /// Waits for a pod that will never be ready, in a namespace of which `concerns` holds; for ever where there is none.
    async fn first_unrecoverable(&self, concerns: impl Fn(&str) -> bool) -> Unrecoverable {
        loop {
            let question = |watches: &Watches| {
                let pods = self.theirs(&concerns);
                match watches.first_unrecoverable(pods.iter().map(AsRef::as_ref)) {
                    Some(pod) => Progress::Ready(pod),
                    None => Progress::<_, ()>::NotYet(String::new()),
                }
            };
            if let Ok(pod) = self.watches.until(Duration::from_hours(1), question, |_| ()).await {
                return pod;
            }
        }
    }
}

/// Whether a cluster has the provider already.
///
/// # Errors
/// It may not be looked at, or the API server is away for `limit`.
pub(crate) async fn is_installed(client: &Client, witness: &Witness, limit: Duration) -> Result<bool, Trouble> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &witness.namespace);
    let found = persistently(limit, || deployments.get_metadata_opt(&witness.deployment)).await?;
    Ok(found.is_some())
}

fn job_is_done<N>(job: Option<&Job>) -> Progress<(), N> {
    let status = job.and_then(|job| job.status.as_ref());
    let done = status.is_some_and(|status| {
        let conditions = status.conditions.iter().flatten();
        let complete = |condition: &JobCondition| condition.type_ == "Complete" && condition.status == "True";
        conditions.into_iter().any(complete)
    });
    if done {
        return Progress::Ready(());
    }
    let failed = status.and_then(|status| status.failed).unwrap_or(0);
    Progress::NotYet(format!("not complete, {failed} pods failed"))
}

#[cfg(test)]
mod tests;
