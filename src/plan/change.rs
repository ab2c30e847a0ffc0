//! `kubectl` commands that change or await what is there: delete, label, patch, rollout, wait.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Absent, Action, PatchStrategy, Target, Until,
    planner::{Invocation, NotPlanned, Planned, Planner, texts},
};
use crate::{
    guide::{Arguments, duration},
    manifest::Object,
};

/// Flags of `kubectl wait` that are carried out.
pub(super) const OF_A_WAIT: &[&str] = &["-n", "-l", "--for", "--timeout"];

impl Planner<'_> {
    /// `kubectl delete`.
    pub(super) fn delete(
        &mut self,
        run: &Invocation<'_>,
        arguments: &Arguments,
        named: &[&str],
    ) -> Result<Planned, NotPlanned> {
        let namespace = arguments.text("-n")?;
        let mut targets = Vec::new();
        let files = texts(arguments.values("-f"))?;
        let directories = texts(arguments.values("-k"))?;
        for source in &files {
            targets.extend(self.objects(source, run)?.iter().map(target_of));
        }
        for source in &directories {
            targets.extend(self.kustomized(source, run)?.iter().map(target_of));
        }
        // kubectl deletes in the order of the file.
        let by_file = !files.is_empty() || !directories.is_empty();
        if !named.is_empty() {
            targets.extend(self::named(named)?);
        } else if !by_file {
            return Err(NotPlanned::Unsupported("it names nothing to delete".into()));
        }
        for target in &mut targets {
            target.namespace = target.namespace.take().or_else(|| namespace.clone());
        }
        let sentence = match targets.as_slice() {
            [one] => format!("{one} is gone"),
            several => format!("{} objects are gone", several.len()),
        };
        let absent = absent(arguments);
        Ok(Planned::new(sentence, Action::Delete { targets, absent }))
    }

    /// `kubectl patch`.
    pub(super) fn patch(
        &mut self,
        run: &Invocation<'_>,
        arguments: &Arguments,
        words: &[&str],
    ) -> Result<Planned, NotPlanned> {
        let target = one(words, arguments)?;
        let text = arguments
            .text("-p")?
            .ok_or_else(|| NotPlanned::Unsupported("it gives no patch (`-p`)".into()))?;
        let strategy = match arguments.text("--type")?.as_deref() {
            None | Some("strategic") => PatchStrategy::Strategic,
            Some("merge") => PatchStrategy::Merge,
            Some("json") => PatchStrategy::Json,
            Some(other) => return Err(NotPlanned::Unsupported(format!("`{other}` is no kind of patch"))),
        };
        self.memory.for_reading()?;
        // kubectl takes a patch in YAML as well, of which JSON is a part.
        let patch: Value = crate::manifest::document(&run.at.file, text.as_bytes())
            .map_err(|error| NotPlanned::Unsupported(format!("the patch cannot be read: {error}")))?;
        self.memory.for_value(&patch)?;
        let sentence = format!("{target} is patched");
        let action = Action::Patch {
            target,
            strategy,
            patch,
        };
        Ok(Planned::new(sentence, action))
    }
}

/// `kubectl label`.
pub(super) fn label(arguments: &Arguments, words: &[&str]) -> Result<Planned, NotPlanned> {
    let is_label = |word: &&&str| word.contains('=') || word.ends_with('-');
    let (given, object): (Vec<&str>, Vec<&str>) = words.iter().partition(is_label);
    let target = one(&object, arguments)?;
    let mut labels = BTreeMap::new();
    for label in given {
        let (key, value) = match label.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (label.trim_end_matches('-'), None),
        };
        labels.insert(key.to_owned(), value);
    }
    if labels.is_empty() {
        return Err(NotPlanned::Unsupported("it names no label".into()));
    }
    let keys: Vec<&str> = labels.keys().map(String::as_str).collect();
    let sentence = format!("{target} has its label {}", keys.join(", "));
    Ok(Planned::new(sentence, Action::Label { target, labels }))
}

/// `kubectl rollout restart|status`.
pub(super) fn rollout(arguments: &Arguments, words: &[&str]) -> Result<Planned, NotPlanned> {
    let [verb, object @ ..] = words else {
        return Err(NotPlanned::Unsupported("`kubectl rollout` says nothing to do".into()));
    };
    let target = one(object, arguments)?;
    match *verb {
        "restart" => {
            let sentence = format!("{target} is started anew");
            Ok(Planned::new(sentence, Action::Restart { target }))
        }
        "status" => awaits(arguments, target, Until::RolledOut),
        other => Err(NotPlanned::Unsupported(format!(
            "`kubectl rollout {other}` is not known"
        ))),
    }
}

/// `kubectl wait`.
pub(super) fn wait(arguments: &Arguments, words: &[&str]) -> Result<Planned, NotPlanned> {
    let target = match arguments.text("-l")? {
        Some(selector) => selected(words, selector, arguments)?,
        None => one(words, arguments)?,
    };
    let wanted = arguments.text("--for")?.unwrap_or_default();
    let until = match wanted.strip_prefix("condition=") {
        Some(condition) => {
            let (type_, status) = condition.split_once('=').unwrap_or((condition, "True"));
            Until::Condition {
                type_: type_.to_owned(),
                status: status.to_owned(),
            }
        }
        None if wanted == "delete" => Until::Gone,
        None => return Err(NotPlanned::Unsupported(format!("it waits for `{wanted}`"))),
    };
    awaits(arguments, target, until)
}

fn awaits(arguments: &Arguments, target: Target, until: Until) -> Result<Planned, NotPlanned> {
    let read = |text: String| duration(&text).map_err(|_| format!("`{text}` is no duration"));
    let at_most = arguments.text("--timeout")?.map(read).transpose()?;
    let sentence = format!("{target} {until}");
    let action = Action::Await { target, until, at_most };
    Ok(Planned::new(sentence, action))
}

/// What is said of what is not there.
pub(super) fn absent(arguments: &Arguments) -> Absent {
    if arguments.has("--ignore-not-found") {
        Absent::IsFine
    } else {
        Absent::Fails
    }
}

fn target_of(object: &Object) -> Target {
    Target {
        api_version: Some(object.api_version().to_owned()),
        resource: object.kind().to_owned(),
        name: object.name().to_owned(),
        selector: None,
        namespace: object.namespace().map(str::to_owned),
    }
}

/// `KIND NAME…`, or `KIND/NAME…`.
fn named(words: &[&str]) -> Result<Vec<Target>, NotPlanned> {
    let target = |resource: &str, name: &str| Target {
        api_version: None,
        resource: resource.to_owned(),
        name: name.to_owned(),
        selector: None,
        namespace: None,
    };
    if words.iter().all(|word| word.contains('/')) {
        return Ok(words
            .iter()
            .filter_map(|word| word.split_once('/'))
            .map(|(resource, name)| target(resource, name))
            .collect());
    }
    match words {
        [resource, names @ ..] if !names.is_empty() && !words.iter().any(|word| word.contains('/')) => {
            Ok(names.iter().map(|name| target(resource, name)).collect())
        }
        _ => Err(NotPlanned::Unsupported("it names no object".into())),
    }
}

/// Every object of a resource that bears some labels.
fn selected(words: &[&str], selector: String, arguments: &Arguments) -> Result<Target, NotPlanned> {
    let [resource] = words else {
        return Err(NotPlanned::Unsupported("it names objects beside labels".into()));
    };
    if labels(&selector).is_none() {
        return Err(NotPlanned::Unsupported(format!(
            "`{selector}` asks for more than labels that are equal"
        )));
    }
    Ok(Target {
        api_version: None,
        resource: (*resource).to_owned(),
        name: String::new(),
        selector: Some(selector),
        namespace: arguments.text("-n")?,
    })
}

/// The labels of a selector that only asks for equal ones (`a=b,c==d`).
pub(crate) fn labels(selector: &str) -> Option<Vec<(&str, &str)>> {
    let parts = selector.split(',').map(|part| {
        let (key, value) = part.split_once('=')?;
        let is_equal = !key.is_empty() && !key.contains(['!', ' ', '(']);
        is_equal.then(|| (key, value.trim_start_matches('=')))
    });
    parts.collect()
}

fn one(words: &[&str], arguments: &Arguments) -> Result<Target, NotPlanned> {
    let mut targets = named(words)?;
    let (Some(mut target), true) = (targets.pop(), targets.is_empty()) else {
        return Err(NotPlanned::Unsupported("it names several objects".into()));
    };
    target.namespace = arguments.text("-n")?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["gateway", "a"], &["gateway a"])]
    #[case(&["gateway", "a", "b"], &["gateway a", "gateway b"])]
    #[case(&["gateway/a", "pod/b"], &["gateway a", "pod b"])]
    #[case(&["gateway"], &[])]
    #[case(&["gateway/a", "b"], &[])]
    fn objects_are_named_in_either_form(#[case] words: &[&str], #[case] wanted: &[&str]) {
        let targets = named(words).unwrap_or_default();
        let seen: Vec<String> = targets.iter().map(ToString::to_string).collect();
        assert_eq!(seen, wanted);
    }
}
