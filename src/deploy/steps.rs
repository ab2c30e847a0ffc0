//! One step of the plan, carried out.

use std::time::Duration;

use jsonpath_rust::JsonPath as _;
use kube::{
    api::{DynamicObject, ListParams},
    core::PartialObjectMeta,
};
use serde_json::{Value, json};

use super::{
    Carried, Deployer,
    change::{label_patch, restart_patch},
    failure::{refused, tool_failed, unset, wait_failed},
};
use crate::{
    cluster::{
        resources::{Resource, by_pages, persistently},
        watching::{Progress, WaitError},
    },
    guide::Template,
    manifest::Object,
    plan::{Action, PatchStrategy, Step},
    record::Stage,
    verdict::{Cause, CauseCode, Fault},
};

/// How long a tool that only prints its version may take.
const TOOL_LIMIT: Duration = Duration::from_secs(20);

impl Deployer {
    /// Carries out one step.
    ///
    /// Requests are not sent here; for them, and for steps that do nothing at run time, there is nothing to do.
    ///
    /// # Errors
    /// The step failed: a finding, with its cause.
    #[tracing::instrument(name = "step", level = "debug", skip_all, fields(check = %step.check))]
    pub(crate) async fn carry_out(&self, step: &Step) -> Result<Carried, Fault> {
        let plain = Ok(Carried { sentence: None });
        match &step.action {
            Action::Apply { objects, namespace } => {
                self.apply(objects, namespace.as_deref()).await?;
                self.deployed(|deployed| deployed.note_crds(step, objects));
                plain
            }
            Action::Secret {
                name,
                literals,
                namespace,
            } => {
                let secret = self.secret(step, name, literals)?;
                self.apply(&[secret], namespace.as_deref()).await?;
                plain
            }
            Action::Helm { .. } => self.install_chart(step).await,
            Action::InstallProvider {
                program,
                arguments,
                witness,
            } => self.install_provider(program, arguments, witness).await,
            Action::InstallManifests {
                provider,
                objects,
                witness,
            } => self.install_manifests(provider, objects, witness).await,
            Action::Read {
                resource,
                name,
                namespace,
                jsonpath,
                into,
            } => {
                let value = self.read(resource, name, namespace.as_deref(), jsonpath).await?;
                let sentence = format!("{into} is {value}");
                self.deployed(|deployed| deployed.variables.insert(into.clone(), value));
                Ok(Carried {
                    sentence: Some(sentence),
                })
            }
            Action::Inspect {
                resource,
                name,
                namespace,
                containing,
            } => {
                let listed = self
                    .inspect(resource, name.as_deref(), namespace.as_deref(), containing.as_deref())
                    .await?;
                Ok(Carried { sentence: Some(listed) })
            }
            Action::Tool { program, arguments } => self.run_tool(program, arguments).await,
            Action::Delete { targets, absent } => self.delete(targets, *absent).await,
            Action::Label { target, labels } => {
                self.touch(target, PatchStrategy::Merge, &label_patch(labels)).await?;
                plain
            }
            Action::Patch {
                target,
                strategy,
                patch,
            } => {
                self.touch(target, *strategy, patch).await?;
                plain
            }
            Action::Restart { target } => {
                let patch = restart_patch(&self.site.host.now().to_string());
                self.touch(target, PatchStrategy::Merge, &patch).await?;
                plain
            }
            Action::Await { target, until, at_most } => {
                self.reach(target, until, *at_most).await?;
                plain
            }
            Action::HelmUninstall {
                release,
                namespace,
                absent,
            } => self.uninstall_chart(release, namespace.as_deref(), *absent).await,
            Action::UninstallProvider { program, arguments } => self.uninstall_provider(program, arguments).await,
            Action::Request(_) | Action::Variables | Action::LeftOut { .. } => plain,
            Action::Broken => Err(Fault::new(
                "the command can be carried out",
                "it is known to fail",
                CauseCode::GuideCommandFailed,
            )),
            Action::Unsupported { why } => Err(Fault::new(
                "every command of the guide is carried out",
                why.clone(),
                CauseCode::GuideCommandUnsupported,
            )),
        }
    }

    /// The Secret that a step makes of literals.
    fn secret(&self, step: &Step, name: &str, literals: &[(String, Template)]) -> Result<Object, Fault> {
        let mut data = serde_json::Map::new();
        for (key, literal) in literals {
            let value = self
                .deployed(|deployed| literal.resolve(&deployed.variables))
                .map_err(|variable| unset(&variable))?;
            data.insert(key.clone(), Value::String(value));
        }
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        Ok(Object {
            value: secret.into(),
            file: step.from.file.clone(),
            line: step.from.line,
        })
    }

    /// Reads a value out of an object, and waits until there is one: a reader of the guide would look again.
    async fn read(&self, word: &str, name: &str, namespace: Option<&str>, jsonpath: &str) -> Result<String, Fault> {
        let expected = format!("{word} {name} has {jsonpath}");
        let resource = self.resource_by_word(word, &expected).await?;
        let namespace = namespace.unwrap_or(&self.site.namespace).to_owned();
        let watched = self.site.watches.others(&resource.api, resource.placement);
        let question = |_: &_| match watched.get(&namespace, name) {
            None if watched.synced() => Progress::NotYet(format!("{word} {name} does not exist")),
            None => Progress::NotYet("looking".into()),
            Some(object) => match evaluate(&object, jsonpath) {
                Ok(value) if value.is_empty() => Progress::NotYet(format!("{word} {name} has no {jsonpath} yet")),
                Ok(value) => Progress::Ready(value),
                Err(why) => Progress::Never(why),
            },
        };
        let events = &self.site.events;
        self.site
            .watches
            .until(self.site.step_limit.min(Duration::from_mins(1)), question, |seen| {
                events.waiting(Stage::Deployment, expected.clone(), seen);
            })
            .await
            .map_err(|error| match error {
                WaitError::TimedOut { seen, .. } if word.starts_with("gateway") => Fault {
                    expected: expected.clone(),
                    actual: seen.clone(),
                    cause: Cause::new(CauseCode::GatewayWithoutAddress).because(seen),
                },
                error => wait_failed(error, expected.clone(), |why: String| {
                    Cause::new(CauseCode::GuideCommandFailed).because(why)
                }),
            })
    }

    pub(super) async fn resource_by_word(&self, word: &str, expected: &str) -> Result<Resource, Fault> {
        let found = persistently(self.site.away_limit(), || self.resources().by_word(word))
            .await
            .map_err(|trouble| refused(trouble, expected, word))?;
        found.ok_or_else(|| {
            Fault::new(
                expected,
                format!("the server doesn't have a resource type `{word}`"),
                CauseCode::ObjectKindUnknown,
            )
        })
    }

    /// `kubectl get`: fails when it finds nothing.
    async fn inspect(
        &self,
        word: &str,
        name: Option<&str>,
        namespace: Option<&str>,
        containing: Option<&str>,
    ) -> Result<String, Fault> {
        let expected = match (name, containing) {
            (Some(name), _) => format!("{word} {name} exists"),
            (None, Some(text)) => format!("a line of `kubectl get {word}` contains `{text}`"),
            (None, None) => format!("there are {word}"),
        };
        let resource = self.resource_by_word(word, &expected).await?;
        let api = self.api(&resource, namespace);
        let (limit, mut names) = (self.site.away_limit(), Vec::new());
        let looked = if let Some(name) = name {
            let found = persistently(limit, || api.get_metadata_opt(name)).await;
            found.map(|found| names.extend(found.and_then(|found| found.metadata.name)))
        } else {
            // Only names are wanted: a CustomResourceDefinition has much beside.
            let page = async |parameters: ListParams| api.list_metadata(&parameters).await;
            let noted = |objects: Vec<PartialObjectMeta<DynamicObject>>| {
                names.extend(objects.into_iter().filter_map(|object| object.metadata.name));
            };
            by_pages(limit, ListParams::default(), page, noted).await
        };
        looked.map_err(|trouble| refused(trouble, expected.clone(), word))?;
        let found = names
            .iter()
            .filter(|name| containing.is_none_or(|text| name.contains(text)))
            .count();
        let wanted = name.or(containing).unwrap_or_default();
        if found == 0 && resource.api.kind == "CustomResourceDefinition" && !wanted.is_empty() {
            return Err(self.crd_missing(&expected, wanted));
        }
        if found == 0 {
            return Err(Fault::new(
                expected,
                format!("nothing of the kind among {} found", names.len()),
                CauseCode::GuideCommandFailed,
            ));
        }
        Ok(match name {
            Some(name) => format!("{word} {name} exists"),
            None => format!("{found} {word} found"),
        })
    }

    async fn run_tool(&self, program: &str, arguments: &[String]) -> Result<Carried, Fault> {
        let line = format!("{program} {}", arguments.join(" "));
        let call = self.programs()?.call(&self.program(program));
        let call = call.args(arguments).time_limit(TOOL_LIMIT);
        let expected = format!("`{line}` succeeds");
        let ended = self
            .site
            .host
            .run(&call)
            .await
            .map_err(|error| tool_failed(&error, expected.clone()))?;
        if ended.status.success() {
            let first = ended.text().lines().next().unwrap_or_default().to_owned();
            return Ok(Carried {
                sentence: Some(format!("`{line}` says {first}")),
            });
        }
        // kubectl's, helm's and most Go programs' words for a flag that they do not have.
        let gone = ended.last_words().contains("unknown flag");
        let code = if gone {
            CauseCode::ToolFlagRemoved
        } else {
            CauseCode::GuideCommandFailed
        };
        Err(Fault::new(
            expected,
            format!("it ends with {}", ended.status),
            Cause::new(code).because(ended.last_words()),
        ))
    }
}

/// kubectl's `-o jsonpath`, for the single expressions that guides use: `{.status.addresses[0].value}`.
fn evaluate(object: &DynamicObject, expression: &str) -> Result<String, String> {
    let path = expression.trim().trim_start_matches('{').trim_end_matches('}');
    let path = format!("${}", path.strip_prefix('$').unwrap_or(path));
    let value = serde_json::to_value(object).map_err(|error| error.to_string())?;
    let found = value
        .query(&path)
        .map_err(|error| format!("`{expression}` is not a JSONPath: {error}"))?;
    let words: Vec<String> = found
        .into_iter()
        .map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
        .collect();
    Ok(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(status: &Value) -> DynamicObject {
        serde_json::from_value(json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"name": "g"}, "status": status}))
        .unwrap()
    }

    #[test]
    fn an_address_is_read_as_kubectl_reads_it() {
        let expression = "{.status.addresses[0].value}";
        assert_eq!(
            evaluate(&gateway(&json!({"addresses": [{"value": "10.0.0.9"}]})), expression).unwrap(),
            "10.0.0.9"
        );
        assert_eq!(evaluate(&gateway(&json!({})), expression).unwrap(), "");
    }

    #[test]
    fn what_is_not_a_path_is_refused() {
        assert!(evaluate(&gateway(&json!({})), "{.status[}").is_err());
    }
}
