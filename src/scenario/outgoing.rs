//! From a step to the requests that it sends.

use serde_json::Value;

use super::{Body, RequestStep, Target, Variables};
use crate::probe::Outgoing;

impl Target {
    /// The variables that every step knows.
    pub(super) fn variables(&self) -> Variables {
        let mut variables = Variables::new();
        for (name, value) in [("model", &self.model), ("prompt", &self.prompt)] {
            variables.insert(name.to_owned(), Value::String(value.clone()));
        }
        if let Some(adapter) = &self.adapter {
            variables.insert("adapter".to_owned(), Value::String(adapter.clone()));
        }
        variables
    }
}

impl RequestStep {
    /// The request of this number, counted from 1, with the values of variables put in.
    ///
    /// # Errors
    /// The name of a variable that has no value: an earlier step could not capture it.
    pub(super) fn outgoing(&self, target: &Target, known: &Variables, number: usize) -> Result<Outgoing, String> {
        let variables = self.variables(known, number);
        let mut headers: Vec<(String, String)> = target
            .headers
            .iter()
            .map(|(name, value)| (name.to_lowercase(), value.clone()))
            .filter(|(name, _)| !self.headers.iter().any(|(own, _)| own == name))
            .collect();
        for (name, value) in &self.headers {
            headers.push((name.clone(), value.fill(&variables)?));
        }
        let body = match &self.body {
            Body::None => None,
            Body::Json(json) => Some(json.fill(&variables)?.to_string()),
            Body::Text(text) => Some(text.fill(&variables)?),
        };
        if body.is_some() && !headers.iter().any(|(name, _)| name == "content-type") {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        Ok(Outgoing {
            method: self.method.word().to_owned(),
            url: format!("{}{}", target.base, self.path.fill(&variables)?),
            headers,
            body,
        })
    }

    /// Whether its requests differ from one to the next, where these variables are known.
    pub(super) fn varies(&self, target: &Target, known: &Variables) -> bool {
        self.vary.len() > 1 || self.outgoing(target, known, 1) != self.outgoing(target, known, 2)
    }

    /// The variables of the request of this number: those that are known, its number, and what varies.
    pub(super) fn variables(&self, known: &Variables, number: usize) -> Variables {
        let mut variables = known.clone();
        variables.insert("number".to_owned(), Value::from(number));
        let index = number.saturating_sub(1).checked_rem(self.vary.len());
        let varied = index.and_then(|index| self.vary.get(index)).into_iter().flatten();
        variables.extend(varied.map(|(name, value)| (name.clone(), Value::String(value.clone()))));
        variables
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Step, *};
    use crate::probe::texts;

    fn step(request: &str) -> RequestStep {
        let text =
            format!("name: a\nproves: It holds.\nsteps:\n- request: {{{request}, expect: {{answer: success}}}}\n");
        let scenario = super::super::read("a.yaml", text.as_bytes()).unwrap();
        let Some(Step::Request(step)) = scenario.steps.into_iter().next() else {
            panic!("a request");
        };
        *step
    }

    fn target() -> Target {
        Target {
            base: "http://10.0.0.1:80".into(),
            model: "m".into(),
            prompt: "Say hi".into(),
            headers: vec![
                ("Authorization".into(), "Bearer one".into()),
                ("X-Own".into(), "theirs".into()),
            ],
            ..Target::default()
        }
    }

    #[test]
    fn variables_are_put_in_and_the_body_has_a_type() {
        let step = step(
            "path: '/v1/${model}', headers: {x-own: '${number}'}, json: {model: '${model}', prompt: '${number}. ${prompt}'}",
        );
        let target = target();
        let outgoing = step.outgoing(&target, &target.variables(), 7).unwrap();
        assert_eq!(
            (outgoing.method.as_str(), outgoing.url.as_str()),
            ("POST", "http://10.0.0.1:80/v1/m")
        );
        assert_eq!(
            texts(&outgoing.headers),
            [
                ("authorization", "Bearer one"),
                ("x-own", "7"),
                ("content-type", "application/json")
            ]
        );
        assert_eq!(outgoing.body.as_deref(), Some(r#"{"model":"m","prompt":"7. Say hi"}"#));
    }

    #[test]
    fn several_requests_take_their_values_in_turn() {
        let step = step("path: '/${city}', vary: {city: [rome, oslo]}, repeat: 2");
        let target = target();
        let urls: Vec<String> = (1..=step.requests())
            .map(|number| step.outgoing(&target, &target.variables(), number).unwrap().url)
            .collect();
        let wanted = ["rome", "oslo", "rome", "oslo"].map(|city| format!("http://10.0.0.1:80/{city}"));
        assert_eq!(urls, wanted);
    }

    #[test]
    fn a_get_has_no_body_and_no_type() {
        let outgoing = step("path: /v1/models")
            .outgoing(&target(), &Variables::new(), 1)
            .unwrap();
        assert_eq!((outgoing.method.as_str(), outgoing.body), ("GET", None));
        assert!(!outgoing.headers.iter().any(|(name, _)| name == "content-type"));
    }

    #[test]
    fn a_variable_that_was_not_captured_is_named() {
        let step = step("path: '/v1/${model}'");
        assert_eq!(step.outgoing(&target(), &Variables::new(), 1), Err("model".to_owned()));
    }
}
