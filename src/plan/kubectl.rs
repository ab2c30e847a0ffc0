//! `kubectl` commands.

use serde_json::json;

use super::{
    Action, Word,
    arguments::{Arguments, Grammar},
    draft::{Draft, Drawn, Run, Stop},
    shell,
};
use crate::{guide::Simple, manifest::Object, record::DeviationKind};

const GRAMMAR: Grammar<'static> = Grammar {
    valued: &[
        &["-n", "--namespace"],
        &["-f", "--filename"],
        &["-k", "--kustomize"],
        &["-o", "--output"],
        &["--from-literal"],
        &["-p", "--patch"],
        &["--type"],
        &["--for"],
        &["--timeout"],
    ],
    // How objects are sent is ours: always by server-side apply; what is there already is taken over, and deleting waits.
    bare: &[
        "--server-side",
        "--force-conflicts",
        "--validate",
        "--ignore-not-found",
        "--overwrite",
        "--wait",
        "-i",
        "-t",
    ],
};

impl Draft<'_> {
    pub(super) fn kubectl(&mut self, run: &Run<'_>, simple: &Simple, containing: Option<&str>) -> Result<Drawn, Stop> {
        if let Some(inner) = run.words.iter().position(|word| *word == Word::text("--")) {
            return self.executed(run, inner + 1, simple);
        }
        let arguments = Arguments::read(&run.words[1..], &GRAMMAR)?;
        let positional = shell::texts(&arguments.positional)?;
        let positional: Vec<&str> = positional.iter().map(String::as_str).collect();
        let namespace = arguments.text("-n")?;
        match positional.as_slice() {
            ["apply" | "create"] if containing.is_none() => self.apply(run, &arguments, namespace),
            ["create", "secret", "generic", name] if containing.is_none() => {
                let literals = arguments
                    .values("--from-literal")
                    .map(literal)
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(Drawn::new(
                    self.check("secret", run.at),
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
                Ok(self.applied(run, vec![object], None))
            }
            ["delete", named @ ..] if containing.is_none() => self.delete(run, &arguments, named),
            ["label", words @ ..] if containing.is_none() => self.label(run, &arguments, words),
            ["patch", words @ ..] if containing.is_none() => self.patch(run, &arguments, words),
            ["rollout", words @ ..] if containing.is_none() => self.rollout(run, &arguments, words),
            ["wait", words @ ..] if containing.is_none() => self.wait(run, &arguments, words),
            ["get" | "describe", what @ ..] => {
                let (resource, name) = target(what)?;
                let output = arguments.text("-o")?.unwrap_or_default();
                if !matches!(output.as_str(), "" | "yaml" | "json" | "wide" | "name") {
                    return Err(Stop::Unsupported(format!("it prints in the form `{output}`")));
                }
                let subject = name
                    .as_ref()
                    .map_or_else(|| resource.clone(), |name| format!("{resource} {name}"));
                Ok(Drawn::new(
                    self.check("inspect", run.at),
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
            _ => Err(Stop::Unsupported(format!(
                "`kubectl {}` is not known",
                positional.join(" ")
            ))),
        }
    }

    /// `kubectl exec POD -- curl …`: a request that is sent from inside the cluster.
    fn executed(&mut self, run: &Run<'_>, inner: usize, simple: &Simple) -> Result<Drawn, Stop> {
        let outer = Arguments::read(&run.words[1..inner - 1], &GRAMMAR)?;
        let outer = shell::texts(&outer.positional)?;
        let words = run.words[inner..].to_vec();
        if outer.first().is_none_or(|verb| verb != "exec") || words.first() != Some(&Word::text("curl")) {
            return Err(Stop::Unsupported("it runs a program in a pod".into()));
        }
        self.deviate(
            DeviationKind::Substituted,
            outer.join(" "),
            "the request is sent by quickproof and not by a pod",
            "a pod that only sends a request adds an image and nothing to what is tested",
            Some(run.at),
        );
        let request = Run {
            at: run.at,
            words,
            input: None,
        };
        self.curl(&request, simple)
    }

    fn apply(&mut self, run: &Run<'_>, arguments: &Arguments, namespace: Option<String>) -> Result<Drawn, Stop> {
        let check = self.check("apply", run.at);
        let files = shell::texts(&arguments.values("-f").cloned().collect::<Vec<_>>())?;
        let directories = shell::texts(&arguments.values("-k").cloned().collect::<Vec<_>>())?;
        if files.is_empty() && directories.is_empty() {
            return Err(Stop::Unsupported("it names no file".into()));
        }
        let mut objects = Vec::new();
        for source in &files {
            objects.extend(self.objects(source, run, &check)?);
        }
        for source in &directories {
            objects.extend(self.kustomized(source, run)?);
        }
        Ok(Drawn {
            check,
            ..self.applied_as(objects, namespace)
        })
    }

    fn applied(&mut self, run: &Run<'_>, objects: Vec<Object>, namespace: Option<String>) -> Drawn {
        let check = self.check("apply", run.at);
        Drawn {
            check,
            ..self.applied_as(objects, namespace)
        }
    }

    fn applied_as(&mut self, objects: Vec<Object>, namespace: Option<String>) -> Drawn {
        self.images.extend(objects.iter().flat_map(Object::images));
        Drawn::new(String::new(), applied(&objects), Action::Apply { objects, namespace })
    }
}

/// `kubectl get` whose output sets a variable.
pub(super) fn read(words: &[Word], into: &str) -> Result<Action, Stop> {
    let arguments = Arguments::read(&words[1..], &GRAMMAR)?;
    let positional = shell::texts(&arguments.positional)?;
    let positional: Vec<&str> = positional.iter().map(String::as_str).collect();
    let ["get", what @ ..] = positional.as_slice() else {
        return Err(Stop::Unsupported(format!(
            "a variable is set from `kubectl {}`",
            positional.join(" ")
        )));
    };
    let (resource, Some(name)) = target(what)? else {
        return Err(Stop::Unsupported("a variable is set from a list of objects".into()));
    };
    let output = arguments.text("-o")?.unwrap_or_default();
    let Some(jsonpath) = output.strip_prefix("jsonpath=") else {
        return Err(Stop::Unsupported(format!(
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
fn target(words: &[&str]) -> Result<(String, Option<String>), Stop> {
    match words {
        [one] => Ok(match one.split_once('/') {
            Some((resource, name)) => (resource.to_owned(), Some(name.to_owned())),
            None => ((*one).to_owned(), None),
        }),
        [resource, name] if !resource.contains('/') => Ok(((*resource).to_owned(), Some((*name).to_owned()))),
        _ => Err(Stop::Unsupported("it names several objects".into())),
    }
}

/// Key and value of `--from-literal`.
fn literal(word: &Word) -> Result<(String, Word), Stop> {
    let text = match word.0.first() {
        Some(super::Piece::Text(text)) => text.as_str(),
        _ => "",
    };
    let (key, _) = text
        .split_once('=')
        .ok_or_else(|| Stop::Unsupported("`--from-literal` lacks `KEY=`".into()))?;
    Ok((key.to_owned(), word.without(key.len() + 1)))
}
