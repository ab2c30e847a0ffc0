//! Applying objects: server-side, in order, under a field manager of our own.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    Deployer, FIELD_MANAGER, Ownership,
    failure::{refused, wait_failed},
    rehearse::better_error,
};
use crate::{
    cluster::{
        inventory::{Made, MadeObject},
        resources::{AWAY_LIMIT, Resource, api_in, persistently},
        watching::{Placement, Progress},
    },
    host::poll,
    manifest::Object,
    record::{Deviation, DeviationKind, Stage},
    verdict::{Cause, CauseCode, Fault},
};

/// Whether objects are a run's own, or belong to an API that everybody in the cluster shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Own,
    Api,
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Applied {
    Made,
    LeftAsFound,
}

/// How long a kind may take to be served after its CRD was applied.
const SERVED_LIMIT: Duration = Duration::from_secs(20);

impl Deployer {
    /// The API of a resource in the namespace that an object of it would go to.
    pub(crate) fn api(&self, resource: &Resource, namespace: Option<&str>) -> Api<DynamicObject> {
        let namespace = namespace.unwrap_or(&self.site.namespace);
        api_in(&self.site.client, resource, Some(namespace))
    }

    /// Applies objects in order and waits until the CRDs among them are served.
    ///
    /// # Errors
    /// An object is refused, of an unknown kind, or somebody else's; or the API server is away.
    pub(crate) async fn apply(&self, objects: &[Object], namespace: Option<&str>) -> Result<(), Fault> {
        let (definitions, others): (Vec<&Object>, Vec<&Object>) = objects
            .iter()
            .partition(|object| object.kind() == "CustomResourceDefinition");
        // What comes in one file with CRDs belongs to the API, and is shared by everybody as they are.
        let sharing = if definitions.is_empty() {
            Sharing::Own
        } else {
            Sharing::Api
        };
        let mut as_found = Vec::new();
        // CRDs do not depend on one another; one after the other they would cost seconds.
        let applied = definitions
            .iter()
            .map(|object| self.apply_one(object, namespace, sharing));
        for (object, result) in definitions.iter().zip(futures::future::join_all(applied).await) {
            if result? == Applied::LeftAsFound {
                as_found.push(object.title());
            }
        }
        self.await_established(&definitions).await?;
        for object in others {
            if self.apply_one(object, namespace, sharing).await? == Applied::LeftAsFound {
                as_found.push(object.title());
            }
        }
        if let Some(first) = as_found.first() {
            self.site.events.deviate(Deviation {
                kind: DeviationKind::Substituted,
                subject: format!("{first} and {} more", as_found.len() - 1),
                what: "the cluster has them already; they are used as found and left untouched".into(),
                why: "the cluster belongs to somebody else, and an API's CRDs are shared by all who use it".into(),
                from: None,
            });
        }
        Ok(())
    }

    async fn apply_one(&self, object: &Object, namespace: Option<&str>, sharing: Sharing) -> Result<Applied, Fault> {
        let expected = format!("{} is applied", object.title());
        let at = format!("{}:{}", object.file, object.line);
        let resource = self.served(object, &expected).await?;
        let namespace = object.namespace().or(namespace);
        let api = self.api(&resource, namespace);
        self.site.events.waiting(Stage::Deployment, object.title(), "applying");
        if self.site.ownership == Ownership::Shared && self.is_somebody_elses(&api, object, &expected).await? {
            if sharing == Sharing::Api && resource.placement == Placement::Cluster {
                return Ok(Applied::LeftAsFound);
            }
            return Err(Fault::new(
                expected,
                format!(
                    "{} exists and was not made by this run; it was left untouched",
                    object.title()
                ),
                CauseCode::ObjectConflict,
            ));
        }
        let made = self.made(&resource, namespace, object.name());
        self.note(made.clone(), &expected)?;
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(&*object.value);
        let applying = || async {
            match api.patch(object.name(), &parameters, &patch).await {
                Ok(stored) => Ok(stored),
                Err(error) => {
                    let namespace = api.namespace();
                    Err(better_error(error, &self.site.client, &resource, object, namespace).await)
                }
            }
        };
        let stored = persistently(AWAY_LIMIT, applying)
            .await
            .map_err(|trouble| refused(trouble, &expected, &at))?;
        self.note(made.with_uid(stored.uid()), &expected)?;
        let mut sent = object.clone();
        let value = Arc::make_mut(&mut sent.value);
        if let (Some(namespace), Some(metadata)) = (stored.namespace(), value["metadata"].as_object_mut()) {
            metadata.insert("namespace".into(), Value::String(namespace));
        }
        self.deployed(|deployed| deployed.objects.push(sent));
        Ok(Applied::Made)
    }

    /// How an object stands in the inventory before it is made.
    pub(super) fn made(&self, resource: &Resource, namespace: Option<&str>, name: &str) -> Made {
        let namespaced = resource.placement == Placement::Namespaced;
        Made::Object(MadeObject {
            cluster: self.site.reach.clone(),
            api_version: resource.api.api_version.clone(),
            object_kind: resource.api.kind.clone(),
            namespace: namespaced.then(|| namespace.unwrap_or(&self.site.namespace).to_owned()),
            name: name.to_owned(),
            uid: None,
        })
    }

    /// The namespace of the run, made where it is not there. An existing one is used as it is.
    ///
    /// # Errors
    /// It is refused, or the API server is away.
    pub(crate) async fn ensure_namespace(&self) -> Result<(), Fault> {
        self.ensure_namespace_named(&self.site.namespace).await
    }

    /// A namespace, made where it is not there.
    pub(super) async fn ensure_namespace_named(&self, name: &str) -> Result<(), Fault> {
        let expected = format!("namespace {name} exists");
        let namespaces: Api<Namespace> = Api::all(self.site.client.clone());
        let found = persistently(AWAY_LIMIT, || namespaces.get_metadata_opt(name))
            .await
            .map_err(|trouble| refused(trouble, expected, name))?;
        if found.is_some() {
            return Ok(());
        }
        let namespace = Object {
            value: json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).into(),
            file: "quickproof".into(),
            line: 0,
        };
        self.apply(&[namespace], None).await
    }

    /// Whether an object of this name is there that this run did not make.
    async fn is_somebody_elses(
        &self,
        api: &Api<DynamicObject>,
        object: &Object,
        expected: &str,
    ) -> Result<bool, Fault> {
        let found = persistently(AWAY_LIMIT, || api.get_metadata_opt(object.name()))
            .await
            .map_err(|trouble| refused(trouble, expected, &object.title()))?;
        let is_ours = |uid: &String| self.site.inventory.has_object(uid);
        Ok(found.is_some_and(|found| !found.metadata.uid.as_ref().is_some_and(is_ours)))
    }

    /// The resource of an object's kind; waits where its CRD was applied by this run and is not served yet.
    async fn served(&self, object: &Object, expected: &str) -> Result<Resource, Fault> {
        let unknown = || {
            Fault::new(
                expected.to_owned(),
                format!("the cluster knows no {} {}", object.api_version(), object.kind()),
                Cause::new(CauseCode::ObjectKindUnknown).because(format!(
                    "{}:{} {}",
                    object.file,
                    object.line,
                    object.title()
                )),
            )
        };
        let look = async |_| {
            let kind = || self.resources.of_kind(object.api_version(), object.kind());
            match persistently(AWAY_LIMIT, kind).await {
                Ok(Some(resource)) => Ok(Ok(resource)),
                Ok(None) if self.deployed(|deployed| defines(&deployed.objects, object)) => Err(unknown()),
                Ok(None) => Ok(Err(unknown())),
                Err(trouble) => Ok(Err(refused(trouble, expected, &object.title()))),
            }
        };
        poll(SERVED_LIMIT, Duration::from_millis(100), look).await?
    }

    async fn await_established(&self, definitions: &[&Object]) -> Result<(), Fault> {
        let Some(first) = definitions.first() else {
            return Ok(());
        };
        let expected = format!("{} CRDs are established", definitions.len());
        let resource = self.served(first, &expected).await?;
        let watched = self.site.watches.others(&resource.api, Placement::Cluster);
        let question = |_: &_| {
            for definition in definitions {
                let seen = watched.get("", definition.name());
                let condition = |type_: &str| {
                    let conditions = seen.as_ref()?.data.pointer("/status/conditions")?.as_array()?;
                    conditions.iter().find(|condition| condition["type"] == type_).cloned()
                };
                if condition("NamesAccepted").is_some_and(|condition| condition["status"] == "False") {
                    return Progress::Never(condition("NamesAccepted"));
                }
                if condition("Established").is_none_or(|condition| condition["status"] != "True") {
                    return Progress::NotYet(format!("{} is not established yet", definition.name()));
                }
            }
            Progress::Ready(())
        };
        let events = &self.site.events;
        self.site
            .watches
            .until(SERVED_LIMIT, question, |seen| {
                events.waiting(Stage::Deployment, expected.clone(), seen);
            })
            .await
            .map_err(|error| {
                wait_failed(error, expected.clone(), |condition| {
                    Cause::new(CauseCode::ObjectRefused).because(condition.map(|it| it.to_string()).unwrap_or_default())
                })
            })
    }
}

/// Whether one of the objects is a CRD that defines this object's kind.
fn defines(objects: &[Object], object: &Object) -> bool {
    let group = object.api_version().split_once('/').map_or("", |(group, _)| group);
    objects.iter().any(|definition| {
        definition.kind() == "CustomResourceDefinition"
            && definition.value["spec"]["group"] == group
            && definition.value["spec"]["names"]["kind"] == object.kind()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_promises_its_kind() {
        let definition = Object {
            value: json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "things.example.io"},
                "spec": {"group": "example.io", "names": {"kind": "Thing"}}})
            .into(),
            file: String::new(),
            line: 1,
        };
        let of = |api_version: &str, kind: &str| Object {
            value: json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}}).into(),
            file: String::new(),
            line: 1,
        };
        let definitions = [definition];
        assert!(defines(&definitions, &of("example.io/v1", "Thing")));
        assert!(!defines(&definitions, &of("example.io/v1", "Other")));
        assert!(!defines(&definitions, &of("v1", "Thing")));
    }
}
