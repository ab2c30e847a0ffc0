//! `kubectl` commands that change or await what is there: delete, label, patch, rollout, wait.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{
    Absent, Action, PatchStrategy, Target, Until,
    arguments::Arguments,
    draft::{Draft, Drawn, Run, Stop},
    shell,
};
use crate::manifest::Object;

impl Draft<'_> {
    /// `kubectl delete`.
    pub(super) fn delete(&mut self, run: &Run<'_>, arguments: &Arguments, named: &[&str]) -> Result<Drawn, Stop> {
        let check = self.check("delete", run.at);
        let namespace = arguments.text("-n")?;
        let mut targets = Vec::new();
        let files = shell::texts(&arguments.values("-f").cloned().collect::<Vec<_>>())?;
        let directories = shell::texts(&arguments.values("-k").cloned().collect::<Vec<_>>())?;
        for source in &files {
            targets.extend(self.objects(source, run, &check)?.iter().map(target_of));
        }
        for source in &directories {
            targets.extend(self.kustomized(source, run)?.iter().map(target_of));
        }
        // kubectl deletes in the order of the file.
        let by_file = !files.is_empty() || !directories.is_empty();
        if !named.is_empty() {
            targets.extend(self::named(named)?);
        } else if !by_file {
            return Err(Stop::Unsupported("it names nothing to delete".into()));
        }
        for target in &mut targets {
            target.namespace = target.namespace.take().or_else(|| namespace.clone());
        }
        let sentence = match targets.as_slice() {
            [one] => format!("{one} is gone"),
            several => format!("{} objects are gone", several.len()),
        };
        let absent = absent(arguments);
        Ok(Drawn::new(check, sentence, Action::Delete { targets, absent }))
    }

    /// `kubectl label`.
    pub(super) fn label(&mut self, run: &Run<'_>, arguments: &Arguments, words: &[&str]) -> Result<Drawn, Stop> {
        let is_label = |word: &&&str| word.contains('=') || word.ends_with('-');
        let (given, object): (Vec<&str>, Vec<&str>) = words.iter().partition(is_label);
        let target = self::one(&object, arguments)?;
        let mut labels = BTreeMap::new();
        for label in given {
            let (key, value) = match label.split_once('=') {
                Some((key, value)) => (key, Some(value.to_owned())),
                None => (label.trim_end_matches('-'), None),
            };
            labels.insert(key.to_owned(), value);
        }
        if labels.is_empty() {
            return Err(Stop::Unsupported("it names no label".into()));
        }
        let keys: Vec<&str> = labels.keys().map(String::as_str).collect();
        let sentence = format!("{target} has its label {}", keys.join(", "));
        let check = self.check("label", run.at);
        Ok(Drawn::new(check, sentence, Action::Label { target, labels }))
    }

    /// `kubectl patch`.
    pub(super) fn patch(&mut self, run: &Run<'_>, arguments: &Arguments, words: &[&str]) -> Result<Drawn, Stop> {
        let target = one(words, arguments)?;
        let text = arguments
            .text("-p")?
            .ok_or_else(|| Stop::Unsupported("it gives no patch (`-p`)".into()))?;
        let strategy = match arguments.text("--type")?.as_deref() {
            None | Some("strategic") => PatchStrategy::Strategic,
            Some("merge") => PatchStrategy::Merge,
            Some("json") => PatchStrategy::Json,
            Some(other) => return Err(Stop::Unsupported(format!("`{other}` is no kind of patch"))),
        };
        self.room.for_reading()?;
        // kubectl takes a patch in YAML as well, of which JSON is a part.
        let patch: Value = crate::manifest::document(&run.at.file, text.as_bytes())
            .map_err(|error| Stop::Unsupported(format!("the patch cannot be read: {error}")))?;
        self.room.for_value(&patch)?;
        let sentence = format!("{target} is patched");
        let check = self.check("patch", run.at);
        let action = Action::Patch {
            target,
            strategy,
            patch,
        };
        Ok(Drawn::new(check, sentence, action))
    }

    /// `kubectl rollout restart|status`.
    pub(super) fn rollout(&mut self, run: &Run<'_>, arguments: &Arguments, words: &[&str]) -> Result<Drawn, Stop> {
        let [verb, object @ ..] = words else {
            return Err(Stop::Unsupported("`kubectl rollout` says nothing to do".into()));
        };
        let target = one(object, arguments)?;
        match *verb {
            "restart" => {
                let sentence = format!("{target} is started anew");
                let check = self.check("restart", run.at);
                Ok(Drawn::new(check, sentence, Action::Restart { target }))
            }
            "status" => self.awaits(run, arguments, target, Until::RolledOut),
            other => Err(Stop::Unsupported(format!("`kubectl rollout {other}` is not known"))),
        }
    }

    /// `kubectl wait`.
    pub(super) fn wait(&mut self, run: &Run<'_>, arguments: &Arguments, words: &[&str]) -> Result<Drawn, Stop> {
        let target = one(words, arguments)?;
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
            None => return Err(Stop::Unsupported(format!("it waits for `{wanted}`"))),
        };
        self.awaits(run, arguments, target, until)
    }

    fn awaits(&mut self, run: &Run<'_>, arguments: &Arguments, target: Target, until: Until) -> Result<Drawn, Stop> {
        let at_most = arguments.text("--timeout")?.map(|text| duration(&text)).transpose()?;
        let sentence = format!("{target} {until}");
        let check = self.check("await", run.at);
        let action = Action::Await { target, until, at_most };
        Ok(Drawn::new(check, sentence, action))
    }
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
        namespace: object.namespace().map(str::to_owned),
    }
}

/// `KIND NAME…`, or `KIND/NAME…`.
fn named(words: &[&str]) -> Result<Vec<Target>, Stop> {
    let target = |resource: &str, name: &str| Target {
        api_version: None,
        resource: resource.to_owned(),
        name: name.to_owned(),
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
        _ => Err(Stop::Unsupported("it names no object".into())),
    }
}

fn one(words: &[&str], arguments: &Arguments) -> Result<Target, Stop> {
    let mut targets = named(words)?;
    let (Some(mut target), true) = (targets.pop(), targets.is_empty()) else {
        return Err(Stop::Unsupported("it names several objects".into()));
    };
    target.namespace = arguments.text("-n")?;
    Ok(target)
}

/// A duration as Go writes it, such as `90s`, `5m` or `1m30s`; kubectl takes no other form but whole units are enough.
fn duration(text: &str) -> Result<Duration, Stop> {
    let refuse = || Stop::Unsupported(format!("`{text}` is no duration"));
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|sign: char| !sign.is_ascii_digit()).ok_or_else(refuse)?;
        let number: u64 = rest[..end].parse().map_err(|_| refuse())?;
        let unit = rest[end..].chars().next().ok_or_else(refuse)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return Err(refuse()),
        };
        let part = number.checked_mul(seconds).ok_or_else(refuse)?;
        total = total.checked_add(Duration::from_secs(part)).ok_or_else(refuse)?;
        rest = &rest[end + unit.len_utf8()..];
    }
    Some(total).filter(|_| !text.is_empty()).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("90s", Some(90))]
    #[case("1m30s", Some(90))]
    #[case("2h", Some(7200))]
    #[case("", None)]
    #[case("5", None)]
    #[case("5d", None)]
    #[case("-1s", None)]
    #[case("99999999999999999999s", None)]
    #[case("9999999999999999999h", None)]
    fn durations_are_read_as_go_writes_them(#[case] text: &str, #[case] seconds: Option<u64>) {
        assert_eq!(duration(text).ok().map(|read| read.as_secs()), seconds);
    }

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

    proptest! {
        #[test]
        fn no_text_makes_a_duration_panic(text in "[0-9smhé-]{0,24}") {
            let _ = duration(&text);
        }
    }
}
