//! Applying objects: server-side, in order, under a field manager of our own.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Error, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    Deployer, Ownership,
    failure::{refused, wait_failed},
    rehearse::better_error,
};
use crate::{
    cluster::{
        inventory::{Made, MadeObject},
        mark::{self, FIELD_MANAGER},
        resources::{Resource, Trouble, api_in, persistently},
        teardown,
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

/// Whose the object of a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// There is none.
    Nobodys,
    /// This run made it, or made the whole cluster.
    Ours,
    /// It was there.
    Anothers,
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
        let made = self.made(&resource, namespace, object.name());
        let whose = self.whose(&api, &made, object, &expected).await?;
        if whose == Whose::Anothers && sharing == Sharing::Api && resource.placement == Placement::Cluster {
            return Ok(Applied::LeftAsFound);
        }
        let exists = || format!("{} exists and was not made by this run", object.title());
        let conflict = |actual: String| Fault::new(expected.clone(), actual, CauseCode::ObjectConflict);
        if whose == Whose::Anothers {
            return Err(conflict(format!("{}; it was left untouched", exists())));
        }
        self.note(made.clone(), &expected)?;
        let parameters = match whose {
            // Somebody may make one in the meantime: what they say is not overruled.
            Whose::Nobodys => PatchParams::apply(FIELD_MANAGER),
            Whose::Ours | Whose::Anothers => PatchParams::apply(FIELD_MANAGER).force(),
        };
        let mut sent = object.clone();
        if self.site.ownership == Ownership::Shared {
            mark::label(Arc::make_mut(&mut sent.value), &self.site.run);
        }
        let applying = || async {
            let (api, client, resource) = (api.clone(), self.site.client.clone(), resource.clone());
            let request = applied(api, client, resource, sent.clone(), parameters.clone());
            match self.site.ownership {
                Ownership::Ours => request.await,
                Ownership::Shared => self.site.inventory.asked(made.clone(), request).await,
            }
        };
        let stored = match persistently(self.site.away_limit(), applying).await {
            Ok(stored) => stored,
            Err(trouble) => {
                let is_answered = matches!(trouble, Trouble::Refused { .. });
                // What an answer says is not what was done; but when it is there, nothing is under way any more.
                if is_answered && self.whose(&api, &made, object, &expected).await == Ok(Whose::Nobodys) {
                    self.forget(&made);
                }
                return Err(refused(trouble, &expected, &at));
            }
        };
        if whose == Whose::Nobodys && mark::was_there_before(&stored.metadata) {
            return Err(conflict(format!(
                "{}: somebody made it at the same moment, and it has now what both say",
                exists()
            )));
        }
        self.note(made.with_uid(stored.uid()), &expected)?;
        let mut deployed = object.clone();
        let value = Arc::make_mut(&mut deployed.value);
        if let (Some(namespace), Some(metadata)) = (stored.namespace(), value["metadata"].as_object_mut()) {
            metadata.insert("namespace".into(), Value::String(namespace));
        }
        self.deployed(|all| all.objects.push(deployed));
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
            marked: Some(self.site.run.clone()),
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
        let found = persistently(self.site.away_limit(), || namespaces.get_metadata_opt(name))
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

    /// Whose the object of this name is. One that is noted, and whose making was never answered, is told by its mark, and its
    /// uid noted.
    async fn whose(
        &self,
        api: &Api<DynamicObject>,
        made: &Made,
        object: &Object,
        expected: &str,
    ) -> Result<Whose, Fault> {
        if self.site.ownership == Ownership::Ours {
            return Ok(Whose::Ours);
        }
        let found = teardown::look(api, object.name(), self.site.away_limit())
            .await
            .map_err(|trouble| refused(trouble, expected, &object.title()))?;
        let Some(found) = found else {
            return Ok(Whose::Nobodys);
        };
        let inventory = &self.site.inventory;
        if inventory.has_object(found.uid.as_deref().unwrap_or_default()) {
            return Ok(Whose::Ours);
        }
        let is_marked = inventory.has(made) && mark::bears(&found, &self.site.run);
        if !is_marked || mark::was_there_before(&found) {
            return Ok(Whose::Anothers);
        }
        self.note(made.clone().with_uid(found.uid), expected)?;
        Ok(Whose::Ours)
    }

    /// The resource of an object's kind; waits where its CRD was applied by this run and is not served yet.
    async fn served(&self, object: &Object, expected: &str) -> Result<Resource, Fault> {
        let unknown = || {
            let at = format!("{}:{} {}", object.file, object.line, object.title());
            self.kind_unknown(expected, object.api_version(), object.kind(), at)
        };
        let look = async |_| {
            let kind = || self.resources.of_kind(object.api_version(), object.kind());
            match persistently(self.site.away_limit(), kind).await {
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

/// One request to apply an object, which needs nobody to wait for it.
async fn applied(
    api: Api<DynamicObject>,
    client: Client,
    resource: Resource,
    object: Object,
    parameters: PatchParams,
) -> Result<DynamicObject, Error> {
    let patch = Patch::Apply(&*object.value);
    match api.patch(object.name(), &parameters, &patch).await {
        Ok(stored) => Ok(stored),
        Err(error) => Err(better_error(error, &client, &resource, &object, api.namespace()).await),
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
