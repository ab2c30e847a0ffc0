//! Under which other names a model may answer: what the release's objects make the endpoint picker ask for in its place.
//!
//! Sources: `InferenceModel` (v1alpha2, to v0.5): `modelName` and the names of `targetModels`; `InferenceModelRewrite`
//! (v1alpha2, from v1.2.0): rules of `matches` and `targets`, where a rule without matches is for every model.

use serde_json::Value;

/// The kinds of the objects that rewrite names of models.
pub(crate) const KINDS: [&str; 2] = ["InferenceModel", "InferenceModelRewrite"];

/// The names that these objects put in the place of the model asked for; the same name may come twice.
pub(crate) fn names<'a>(objects: &'a [Value], asked: &'a str) -> impl Iterator<Item = &'a str> {
    let list = |value: &'a Value| value.as_array().into_iter().flatten();
    objects.iter().flat_map(move |object| {
        let spec = &object["spec"];
        let models = list(&spec["targetModels"]).filter(move |_| spec["modelName"] == asked);
        let rules = list(&spec["rules"]).filter(move |rule| {
            let mut matches = list(&rule["matches"]).peekable();
            matches.peek().is_none() || matches.any(|wanted| wanted["model"]["value"] == asked)
        });
        let targets = rules.flat_map(move |rule| list(&rule["targets"]));
        let models = models.filter_map(|target| target["name"].as_str());
        models.chain(targets.filter_map(|target| target["modelRewrite"].as_str()))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::target("chat", &["chat-1", "chat-2", "any"])]
    #[case::matched("review", &["review-1", "any"])]
    #[case::not_named("other", &["any"])]
    fn targets_of_both_kinds_are_found(#[case] asked: &str, #[case] wanted: &[&str]) {
        let objects = [
            json!({"kind": "InferenceModel", "spec": {"modelName": "chat", "targetModels": [{"name": "chat-1"}, {"name": "chat-2"}]}}),
            json!({"kind": "InferenceModel", "spec": {"modelName": "plain"}}),
            json!({"kind": "InferenceModelRewrite", "spec": {"rules": [
                {"matches": [{"model": {"value": "x"}}, {"model": {"type": "Exact", "value": "review"}}],
                 "targets": [{"modelRewrite": "review-1", "weight": 1}]},
                {"targets": [{"modelRewrite": "any"}]},
            ]}}),
            json!({"kind": "InferenceModelRewrite", "spec": "nonsense"}),
        ];
        assert_eq!(names(&objects, asked).collect::<Vec<_>>(), wanted);
    }
}
