//! Changing and awaiting what is there: delete, label, patch, restart, wait, uninstall.
//!
//! In somebody else's cluster only what this run made is touched, told by uid.

use std::{collections::BTreeMap, time::Duration};

use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Map, Value, json};

use super::{
    Carried, Deployer, Ownership,
    failure::{refused, tool_failed, wait_failed},
};
use crate::{
    cluster::{
        inventory::Made,
        mark::FIELD_MANAGER,
        resources::{Resource, persistently},
        teardown::{self, Stays},
        watching::Progress,
    },
    host::Call,
    plan::{Absent, PatchStrategy, Target, Until},
    record::Stage,
    verdict::{Cause, CauseCode, Fault},
};

mod selected;

use selected::{all_reached, selected};

/// How long a program may take to uninstall.
const UNINSTALL_LIMIT: Duration = Duration::from_mins(2);

/// What `kubectl rollout restart` writes into the pod template to make a new one of it.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

impl Deployer {
    pub(super) async fn delete(&self, targets: &[Target], absent: Absent) -> Result<Carried, Fault> {
        let mut gone = 0;
        for target in targets {
            let expected = format!("{target} is deleted");
            let Some(resource) = self.known(target, absent, &expected).await? else {
                continue;
            };
            let api = self.api(&resource, target.namespace.as_deref());
            let Some(uid) = present(self.site.away_limit(), &api, target, absent, &expected).await? else {
                continue;
            };
            self.must_be_ours(target, &uid, &expected)?;
            self.site
                .events
                .waiting(Stage::Deployment, target.to_string(), "deleting");
            self.delete_one(&api, target, &uid, expected).await?;
            self.forget(&self.made(&resource, target.namespace.as_deref(), &target.name));
            self.deployed(|deployed| {
                deployed.objects.retain(|object| {
                    let same_namespace = target
                        .namespace
                        .as_deref()
                        .is_none_or(|own| object.namespace() == Some(own));
                    object.kind() != resource.api.kind || object.name() != target.name || !same_namespace
                });
            });
            gone += 1;
        }
        Ok(Carried {
            sentence: Some(format!("{gone} of {} objects were there and are gone", targets.len())),
        })
    }

    /// Deletes an object, as kubectl does: it waits until it is gone.
    async fn delete_one(
        &self,
        api: &Api<DynamicObject>,
        target: &Target,
        uid: &str,
        expected: String,
    ) -> Result<(), Fault> {
        let deleting = teardown::delete(api, &target.name, uid);
        match tokio::time::timeout(self.site.step_limit, deleting).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(Stays::Trouble(trouble))) => Err(refused(trouble, expected, &target.to_string())),
            Ok(Err(stays @ Stays::StillThere { .. })) => {
                Err(Fault::new(expected, stays.to_string(), CauseCode::StepTimedOut))
            }
            Err(_) => {
                let seconds = self.site.step_limit.as_secs();
                let seen = format!("still there after {seconds} s");
                let away = self.site.watches.healthy().await.err();
                let cause = away.map_or(CauseCode::StepTimedOut.into(), |trouble| trouble.cause());
                Err(Fault::new(expected, seen, cause))
            }
        }
    }

    /// Patches an object that must exist.
    pub(super) async fn touch(&self, target: &Target, strategy: PatchStrategy, patch: &Value) -> Result<(), Fault> {
        let expected = format!("{target} is changed");
        let resource = self.known(target, Absent::Fails, &expected).await?;
        let Some(resource) = resource else { return Ok(()) };
        let api = self.api(&resource, target.namespace.as_deref());
        let uid = present(self.site.away_limit(), &api, target, Absent::Fails, &expected).await?;
        self.must_be_ours(target, uid.as_deref().unwrap_or_default(), &expected)?;
        send(self.site.away_limit(), &api, &target.name, strategy, patch, &expected).await
    }

    pub(super) async fn reach(&self, target: &Target, until: &Until, at_most: Option<Duration>) -> Result<(), Fault> {
        let expected = format!("{target} {until}");
        let absent = if *until == Until::Gone {
            Absent::IsFine
        } else {
            Absent::Fails
        };
        let Some(resource) = self.known(target, absent, &expected).await? else {
            return Ok(());
        };
        let watched = self.site.watches.others(&resource.api, resource.placement);
        let namespace = match resource.placement {
            crate::cluster::watching::Placement::Cluster => String::new(),
            crate::cluster::watching::Placement::Namespaced => {
                target.namespace.clone().unwrap_or_else(|| self.site.namespace.clone())
            }
        };
        let question = |_: &_| {
            if !watched.synced() {
                return Progress::<(), String>::NotYet("looking".into());
            }
            let found = match &target.selector {
                Some(selector) => all_reached(&selected(&watched.all(), &namespace, selector), until),
                None => reached(watched.get(&namespace, &target.name).as_deref(), until),
            };
            match found {
                Ok(()) => Progress::Ready(()),
                Err(seen) => Progress::NotYet(seen),
            }
        };
        let limit = at_most.unwrap_or(self.site.step_limit).min(self.site.step_limit);
        let events = &self.site.events;
        self.site
            .watches
            .until(limit, question, |seen| {
                events.waiting(Stage::Deployment, expected.clone(), seen);
            })
            .await
            .map_err(|error| {
                wait_failed(error, expected.clone(), |why: String| {
                    Cause::new(CauseCode::GuideCommandFailed).because(why)
                })
            })
    }

    pub(super) async fn uninstall_chart(
        &self,
        release: &str,
        namespace: Option<&str>,
        absent: Absent,
    ) -> Result<Carried, Fault> {
        let expected = format!("helm uninstalls {release}");
        let namespace = namespace.unwrap_or(&self.site.namespace);
        let made = Made::HelmRelease(self.helm_release(release, namespace));
        self.must_have_made(&made, &expected)?;
        let mut call = self.helm()?.args(["uninstall", release, "--namespace", namespace]);
        if absent == Absent::IsFine {
            call = call.arg("--ignore-not-found");
        }
        self.run_to_its_end(&call, CauseCode::HelmFailed, expected).await?;
        self.forget(&made);
        Ok(Carried { sentence: None })
    }

    pub(super) async fn uninstall_provider(&self, program: &str, arguments: &[String]) -> Result<Carried, Fault> {
        let expected = format!("`{program} uninstall` succeeds");
        let program = self.program(program);
        let installed = self.site.inventory.made().into_iter();
        let installed = installed.filter(|made| matches!(made, Made::Provider(noted) if noted.program == program));
        let installed: Vec<Made> = installed.collect();
        if self.site.ownership == Ownership::Shared && installed.is_empty() {
            let title = format!("what {} installed", program.display());
            return Err(somebody_elses(&title, &expected));
        }
        let call = self
            .programs()?
            .call(&program)
            .args(arguments)
            .time_limit(UNINSTALL_LIMIT);
        self.run_to_its_end(&call, CauseCode::GuideCommandFailed, expected)
            .await?;
        for made in &installed {
            self.forget(made);
        }
        Ok(Carried { sentence: None })
    }

    async fn run_to_its_end(&self, call: &Call, code: CauseCode, expected: String) -> Result<(), Fault> {
        let ended = self.site.host.run(call).await;
        let ended = ended.map_err(|error| tool_failed(&error, expected.clone()))?;
        if ended.status.success() {
            return Ok(());
        }
        Err(Fault::new(
            expected,
            format!("it ends with {}", ended.status),
            Cause::new(code).because(ended.last_words()),
        ))
    }

    /// Strikes out what is gone, or was never made.
    pub(super) fn forget(&self, made: &Made) {
        // What stays noted although it is gone costs the teardown one look.
        let _ = self.site.inventory.remove(made);
    }

    /// The resource of a target; `None` where the cluster knows no such kind and that is as wanted.
    async fn known(&self, target: &Target, absent: Absent, expected: &str) -> Result<Option<Resource>, Fault> {
        let Some(api_version) = &target.api_version else {
            let found = self.resource_by_word(&target.resource, expected).await;
            return match found {
                Err(failed) if absent == Absent::IsFine && failed.cause.code == CauseCode::ObjectKindUnknown => {
                    Ok(None)
                }
                found => found.map(Some),
            };
        };
        let found = persistently(self.site.away_limit(), || {
            self.resources().of_kind(api_version, &target.resource)
        })
        .await
        .map_err(|trouble| refused(trouble, expected, &target.to_string()))?;
        if found.is_none() && absent == Absent::Fails {
            return Err(Fault::new(
                expected,
                format!("the cluster knows no {api_version} {}", target.resource),
                CauseCode::ObjectKindUnknown,
            ));
        }
        Ok(found)
    }

    fn must_be_ours(&self, target: &Target, uid: &str, expected: &str) -> Result<(), Fault> {
        if self.is_ours(uid) {
            Ok(())
        } else {
            Err(somebody_elses(&target.to_string(), expected))
        }
    }

    fn must_have_made(&self, made: &Made, expected: &str) -> Result<(), Fault> {
        if self.has_made(made) {
            Ok(())
        } else {
            Err(somebody_elses(&made.to_string(), expected))
        }
    }
}

fn somebody_elses(title: &str, expected: &str) -> Fault {
    Fault::new(
        expected,
        format!("{title} was not made by this run; it was left untouched"),
        CauseCode::ObjectConflict,
    )
}

/// The uid of an object that is there; `None` where it is not and that is as wanted.
async fn present(
    limit: Duration,
    api: &Api<DynamicObject>,
    target: &Target,
    absent: Absent,
    expected: &str,
) -> Result<Option<String>, Fault> {
    let found = persistently(limit, || api.get_metadata_opt(&target.name))
        .await
        .map_err(|trouble| refused(trouble, expected, &target.to_string()))?;
    match found {
        Some(found) => Ok(Some(found.uid().unwrap_or_default())),
        None if absent == Absent::IsFine => Ok(None),
        None => Err(Fault::new(
            expected,
            format!("{target} does not exist"),
            CauseCode::GuideCommandFailed,
        )),
    }
}

async fn send(
    limit: Duration,
    api: &Api<DynamicObject>,
    name: &str,
    strategy: PatchStrategy,
    patch: &Value,
    expected: &str,
) -> Result<(), Fault> {
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    let patch = match strategy {
        PatchStrategy::Merge => Patch::Merge(patch.clone()),
        PatchStrategy::Strategic => Patch::Strategic(patch.clone()),
        PatchStrategy::Json => Patch::Json(serde_json::from_value(patch.clone()).map_err(|error| {
            Fault::new(
                expected,
                format!("the patch is no JSON patch: {error}"),
                CauseCode::GuideCommandFailed,
            )
        })?),
    };
    persistently(limit, || api.patch(name, &parameters, &patch))
        .await
        .map(|_| ())
        .map_err(|trouble| refused(trouble, expected, name))
}

pub(super) fn label_patch(labels: &BTreeMap<String, Option<String>>) -> Value {
    let labels: Map<String, Value> = labels
        .iter()
        .map(|(key, value)| (key.clone(), value.clone().map_or(Value::Null, Value::String)))
        .collect();
    json!({"metadata": {"labels": labels}})
}

pub(super) fn restart_patch(now: &str) -> Value {
    json!({"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: now}}}}})
}

/// Whether an object is as waited for; what is seen instead otherwise.
fn reached(object: Option<&DynamicObject>, until: &Until) -> Result<(), String> {
    let Some(object) = object else {
        return match until {
            Until::Gone => Ok(()),
            _ => Err("it does not exist".into()),
        };
    };
    let generation = object.metadata.generation.unwrap_or_default();
    match until {
        Until::Gone => Err("it is still there".into()),
        Until::Condition { type_, status } => {
            let conditions = object.data.pointer("/status/conditions").and_then(Value::as_array);
            let found = conditions.into_iter().flatten().find(|one| one["type"] == **type_);
            let found = found.ok_or_else(|| format!("it has no condition {type_} yet"))?;
            let of = found["observedGeneration"].as_i64().unwrap_or(generation);
            let said = found["status"].as_str().unwrap_or_default();
            if of < generation {
                Err(format!("{type_} is of an older generation"))
            } else if said.eq_ignore_ascii_case(status) {
                Ok(())
            } else {
                Err(format!("{type_} is {said}"))
            }
        }
        Until::RolledOut => {
            let number = |pointer: &str| object.data.pointer(pointer).and_then(Value::as_i64);
            if number("/status/observedGeneration").unwrap_or(0) < generation {
                return Err("its controller has not looked yet".into());
            }
            // Deployments and StatefulSets count replicas, DaemonSets nodes.
            let wanted =
                number("/status/desiredNumberScheduled").unwrap_or_else(|| number("/spec/replicas").unwrap_or(1));
            let first = |names: [&str; 2]| {
                names
                    .iter()
                    .find_map(|name| number(&format!("/status/{name}")))
                    .unwrap_or(0)
            };
            let updated = first(["updatedReplicas", "updatedNumberScheduled"]);
            let available = first(["availableReplicas", "numberAvailable"]);
            let all = number("/status/replicas").unwrap_or(updated);
            if updated >= wanted && available >= wanted && all <= updated {
                Ok(())
            } else {
                Err(format!(
                    "{updated} of {wanted} are of the newest template, {available} are available"
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::{Client, api::ApiResource, client::Body};
    use rstest::rstest;
    use tower_test::mock;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(90);

    fn object(value: Value) -> DynamicObject {
        let mut whole =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "generation": 2}});
        if let (Some(whole), Value::Object(more)) = (whole.as_object_mut(), value) {
            whole.extend(more);
        }
        serde_json::from_value(whole).unwrap()
    }

    fn condition(status: &str, generation: i64) -> DynamicObject {
        object(json!({"status": {"conditions": [
            {"type": "Ready", "status": status, "observedGeneration": generation}]}}))
    }

    fn rollout(updated: i64, available: i64, all: i64) -> DynamicObject {
        object(json!({"spec": {"replicas": 2}, "status": {"observedGeneration": 2,
            "updatedReplicas": updated, "availableReplicas": available, "replicas": all}}))
    }

    #[rstest]
    #[case::holds(condition("True", 2), true)]
    #[case::not_yet(condition("False", 2), false)]
    #[case::of_an_older_generation(condition("True", 1), false)]
    #[case::without(object(json!({})), false)]
    fn a_condition_counts_at_the_current_generation(#[case] object: DynamicObject, #[case] wanted: bool) {
        let until = Until::Condition {
            type_: "Ready".into(),
            status: "True".into(),
        };
        assert_eq!(reached(Some(&object), &until).is_ok(), wanted);
        assert!(reached(None, &until).is_err());
    }

    #[rstest]
    #[case::done(rollout(2, 2, 2), true)]
    #[case::old_ones_left(rollout(2, 2, 3), false)]
    #[case::not_available(rollout(2, 1, 2), false)]
    #[case::not_looked(object(json!({"spec": {"replicas": 0}})), false)]
    #[case::a_daemon_set(object(json!({"status": {"observedGeneration": 2, "desiredNumberScheduled": 1,
        "updatedNumberScheduled": 1, "numberAvailable": 1}})), true)]
    fn a_rollout_is_done_when_every_replica_is_new_and_available(#[case] object: DynamicObject, #[case] wanted: bool) {
        assert_eq!(reached(Some(&object), &Until::RolledOut).is_ok(), wanted);
    }

    #[test]
    fn what_is_waited_to_be_gone_is_gone_when_it_is_not_seen() {
        assert!(reached(None, &Until::Gone).is_ok());
        assert!(reached(Some(&object(json!({}))), &Until::Gone).is_err());
    }

    #[test]
    fn a_label_without_value_is_taken_away() {
        let labels = BTreeMap::from([("a".to_owned(), Some("b".to_owned())), ("c".to_owned(), None)]);
        assert_eq!(
            label_patch(&labels),
            json!({"metadata": {"labels": {"a": "b", "c": null}}})
        );
    }

    /// An API of Deployments whose server answers with this code and body; what was asked is returned by the task.
    fn served(code: u16, body: Value) -> (Api<DynamicObject>, tokio::task::JoinHandle<(String, String, Value)>) {
        let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
        let asked = tokio::spawn(async move {
            let (request, respond) = handle.next_request().await.unwrap();
            let (parts, sent) = request.into_parts();
            let kind = parts
                .headers
                .get("content-type")
                .map(|kind| kind.to_str().unwrap().to_owned());
            let sent = sent.collect_bytes().await.unwrap();
            respond.send_response(
                Response::builder()
                    .status(code)
                    .body(Body::from(body.to_string().into_bytes()))
                    .unwrap(),
            );
            let line = format!("{} {}", parts.method, parts.uri.path());
            (
                line,
                kind.unwrap_or_default(),
                serde_json::from_slice(&sent).unwrap_or_default(),
            )
        });
        let resource = ApiResource {
            group: "apps".into(),
            version: "v1".into(),
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            plural: "deployments".into(),
        };
        (Api::namespaced_with(Client::new(service, "n"), "n", &resource), asked)
    }

    fn target() -> Target {
        Target {
            api_version: None,
            resource: "deployment".into(),
            name: "d".into(),
            selector: None,
            namespace: Some("n".into()),
        }
    }

    fn status(code: u16) -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "no",
            "reason": if code == 404 { "NotFound" } else { "Forbidden" }})
    }

    #[rstest]
    #[case(PatchStrategy::Merge, json!({"a": 1}), "application/merge-patch+json")]
    #[case(PatchStrategy::Strategic, json!({"a": 1}), "application/strategic-merge-patch+json")]
    #[case(PatchStrategy::Json, json!([{"op": "remove", "path": "/a"}]), "application/json-patch+json")]
    #[tokio::test]
    async fn a_patch_is_sent_as_its_kind_says(
        #[case] strategy: PatchStrategy,
        #[case] patch: Value,
        #[case] kind: &str,
    ) {
        let answer = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}});
        let (api, asked) = served(200, answer);
        send(LIMIT, &api, "d", strategy, &patch, "it is changed").await.unwrap();
        let (line, sent_as, sent) = asked.await.unwrap();
        assert_eq!(line, "PATCH /apis/apps/v1/namespaces/n/deployments/d");
        assert_eq!((sent_as.as_str(), sent), (kind, patch));
    }

    #[tokio::test]
    async fn what_is_no_json_patch_is_never_sent() {
        let (api, asked) = served(200, json!({}));
        let failed = send(LIMIT, &api, "d", PatchStrategy::Json, &json!({"a": 1}), "x")
            .await
            .unwrap_err();
        assert_eq!(failed.cause.code, CauseCode::GuideCommandFailed);
        asked.abort();
    }

    #[tokio::test]
    async fn an_object_that_is_absent_fails_the_command_or_is_as_wanted() {
        let (api, _asked) = served(404, status(404));
        let failed = present(LIMIT, &api, &target(), Absent::Fails, "x").await.unwrap_err();
        assert_eq!(failed.cause.code, CauseCode::GuideCommandFailed);
        assert!(
            failed.actual.contains("deployment d does not exist"),
            "{}",
            failed.actual
        );
        let (api, _asked) = served(404, status(404));
        assert_eq!(present(LIMIT, &api, &target(), Absent::IsFine, "x").await, Ok(None));
        let (api, _asked) = served(403, status(403));
        let failed = present(LIMIT, &api, &target(), Absent::IsFine, "x").await.unwrap_err();
        assert_eq!(failed.cause.code, CauseCode::ObjectForbidden);
    }
}
