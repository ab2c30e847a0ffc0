//! `kubectl` commands.

use serde_json::json;

use super::{
    Action, change,
    planner::{Invocation, NotPlanned, Planned, Planner, texts},
};
use crate::{
    guide::{Argument, Arguments, Template},
    manifest::Object,
    record::DeviationKind,
};

/// Flags that are carried out. How objects are sent is ours: always by server-side apply; what is there already is taken
/// over, and deleting waits.
pub(super) const CARRIED_OUT: &[&str] = &[
    "-n",
    "-f",
    "-k",
    "-o",
    "--from-literal",
    "-p",
    "--type",
    "--for",
    "--timeout",
    "--server-side",
    "--force-conflicts",
    "--validate",
    "--ignore-not-found",
    "--overwrite",
    "--wait",
    "-i",
    "-t",
];

impl Planner<'_> {
    pub(super) fn kubectl(&mut self, run: &Invocation<'_>, containing: Option<&str>) -> Result<Planned, NotPlanned> {
        let arguments = Arguments::read("kubectl", run.words.get(1..).unwrap_or_default())?;
        let is_run = arguments.positional.first().is_some_and(|verb| verb.is("run"));
        if let (true, Some(inner)) = (is_run, &arguments.behind_dashes) {
            return self.pod(run, &arguments, inner);
        }
        let is_wait = arguments.positional.first().is_some_and(|verb| verb.is("wait"));
        arguments.only(if is_wait { change::OF_A_WAIT } else { CARRIED_OUT })?;
        let positional = texts(&arguments.positional)?;
        if let Some(inner) = &arguments.behind_dashes {
            return self.executed(run, &positional, inner);
        }
        let positional: Vec<&str> = positional.iter().map(String::as_str).collect();
        let namespace = arguments.text("-n")?;
        match positional.as_slice() {
            ["apply" | "create"] if containing.is_none() => self.apply(run, &arguments, namespace),
            ["create", "secret", "generic", name] if containing.is_none() => {
                let literals = arguments
                    .values("--from-literal")
                    .map(literal)
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(Planned::new(
                    format!("Secret {name} is made"),
                    Action::Secret {
                        name: (*name).to_owned(),
                        literals,
                        namespace,
                    },
                ))
            }
            ["create", "namespace" | "ns", name] if containing.is_none() => {
                let object = Object {
                    value: json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).into(),
                    file: run.at.file.clone(),
                    line: run.at.line,
                };
                Ok(applied_as(vec![object], None))
            }
            ["delete", named @ ..] if containing.is_none() => self.delete(run, &arguments, named),
            ["label", words @ ..] if containing.is_none() => change::label(&arguments, words),
            ["patch", words @ ..] if containing.is_none() => self.patch(run, &arguments, words),
            ["rollout", words @ ..] if containing.is_none() => change::rollout(&arguments, words),
            ["wait", words @ ..] if containing.is_none() => change::wait(&arguments, words),
            ["get" | "describe", what @ ..] => {
                let (resource, name) = target(what)?;
                let output = arguments.text("-o")?.unwrap_or_default();
                if !matches!(output.as_str(), "" | "yaml" | "json" | "wide" | "name") {
                    return Err(NotPlanned::Unsupported(format!("it prints in the form `{output}`")));
                }
                let subject = name
                    .as_ref()
                    .map_or_else(|| resource.clone(), |name| format!("{resource} {name}"));
                Ok(Planned::new(
                    match containing {
                        Some(text) => format!("{subject} name {text}"),
                        None => format!("{subject} can be looked at"),
                    },
                    Action::Inspect {
                        resource,
                        name,
                        namespace,
                        containing: containing.map(str::to_owned),
                    },
                ))
            }
            _ => Err(NotPlanned::Unsupported(format!(
                "`kubectl {}` is not known",
                positional.join(" ")
            ))),
        }
    }

    /// `kubectl exec POD -- curl …`: a request that is sent from inside the cluster.
    fn executed(&mut self, run: &Invocation<'_>, outer: &[String], inner: &[Argument]) -> Result<Planned, NotPlanned> {
        let is_curl = inner.first().is_some_and(|program| program.is("curl"));
        if outer.first().is_none_or(|verb| verb != "exec") || !is_curl {
            return Err(NotPlanned::Unsupported("it runs a program in a pod".into()));
        }
        self.deviate(
            DeviationKind::Substituted,
            outer.join(" "),
            "the request is sent by quickproof and not by a pod",
            "a pod that only sends a request adds an image and nothing to what is tested",
            Some(run.at),
        );
        self.curl(&Invocation {
            words: inner,
            input: None,
            ..*run
        })
    }

    fn apply(
        &mut self,
        run: &Invocation<'_>,
        arguments: &Arguments,
        namespace: Option<String>,
    ) -> Result<Planned, NotPlanned> {
        let files = texts(arguments.values("-f"))?;
        let directories = texts(arguments.values("-k"))?;
        if files.is_empty() && directories.is_empty() {
            return Err(NotPlanned::Unsupported("it names no file".into()));
        }
        let mut objects = Vec::new();
        for source in &files {
            objects.extend(self.objects(source, run)?);
        }
        for source in &directories {
            objects.extend(self.kustomized(source, run)?);
        }
        Ok(applied_as(objects, namespace))
    }
}

fn applied_as(objects: Vec<Object>, namespace: Option<String>) -> Planned {
    Planned::new(applied(&objects), Action::Apply { objects, namespace })
}

/// `kubectl get` whose output sets a variable.
pub(super) fn read(words: &[Argument], into: &str) -> Result<Action, NotPlanned> {
    let arguments = arguments(words)?;
    let positional = texts(&arguments.positional)?;
    let positional: Vec<&str> = positional.iter().map(String::as_str).collect();
    let ["get", what @ ..] = positional.as_slice() else {
        return Err(NotPlanned::Unsupported(format!(
            "a variable is set from `kubectl {}`",
            positional.join(" ")
        )));
    };
    let (resource, Some(name)) = target(what)? else {
        return Err(NotPlanned::Unsupported(
            "a variable is set from a list of objects".into(),
        ));
    };
    let output = arguments.text("-o")?.unwrap_or_default();
    let Some(jsonpath) = output.strip_prefix("jsonpath=") else {
        return Err(NotPlanned::Unsupported(format!(
            "a variable is set from output in the form `{output}`"
        )));
    };
    Ok(Action::Read {
        resource,
        name,
        namespace: arguments.text("-n")?,
        jsonpath: jsonpath.to_owned(),
        into: into.to_owned(),
    })
}

/// The arguments of `kubectl`, where all its flags are carried out.
fn arguments(words: &[Argument]) -> Result<Arguments, String> {
    let arguments = Arguments::read("kubectl", words.get(1..).unwrap_or_default())?;
    arguments.only(CARRIED_OUT)?;
    Ok(arguments)
}

/// What is applied, as a sentence.
pub(super) fn applied(objects: &[Object]) -> String {
    let is_crd = |object: &Object| object.kind() == "CustomResourceDefinition";
    match objects {
        [] => "the CRDs are applied".into(),
        [object] => format!("{} is applied", object.title()),
        _ if objects.iter().all(is_crd) => format!("{} CRDs are applied", objects.len()),
        _ => format!("{} objects are applied", objects.len()),
    }
}

/// Resource and name from `RESOURCE`, `RESOURCE NAME` or `RESOURCE/NAME`.
fn target(words: &[&str]) -> Result<(String, Option<String>), NotPlanned> {
    match words {
        [one] => Ok(match one.split_once('/') {
            Some((resource, name)) => (resource.to_owned(), Some(name.to_owned())),
            None => ((*one).to_owned(), None),
        }),
        [resource, name] if !resource.contains('/') => Ok(((*resource).to_owned(), Some((*name).to_owned()))),
        _ => Err(NotPlanned::Unsupported("it names several objects".into())),
    }
}

/// Key and value of `--from-literal`.
fn literal(argument: &Argument) -> Result<(String, Template), NotPlanned> {
    let literal = argument.passed()?;
    let (key, _) = literal
        .start()
        .split_once('=')
        .ok_or_else(|| NotPlanned::Unsupported("`--from-literal` lacks `KEY=`".into()))?;
    Ok((key.to_owned(), literal.without(key.len() + 1)))
}
