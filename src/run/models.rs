//! The models that an endpoint lists.

use url::Url;

use crate::{
    check::wire::ServedNames,
    probe::{Answer, Outgoing, Probe, Unanswered},
};

/// The answer to a look at an endpoint's list of models, and what it lists.
pub(super) struct Models {
    pub(super) answer: Answer,
    /// The models in order; `None` where the answer is no such list.
    listed: Option<Vec<Model>>,
}

/// A model as the list has it.
struct Model {
    name: String,
    /// The model that it adapts, where it is an adapter. Source: vLLM and llm-d-inference-sim list adapters with the
    /// field `parent`.
    parent: Option<String>,
}

impl Models {
    /// Asks an endpoint.
    pub(super) async fn ask(probe: &Probe, base: &str, headers: &[(String, String)]) -> Self {
        let request = Outgoing {
            method: "GET".to_owned(),
            url: format!("{base}/v1/models"),
            headers: headers.to_vec(),
            body: None,
        };
        let answer = probe.send(request).await;
        Self {
            listed: listed(&answer),
            answer,
        }
    }

    /// Names of the models that are no adapters; `None` where there is no list.
    pub(super) fn names(&self) -> Option<Vec<String>> {
        let models = self.listed.as_ref()?.iter().filter(|one| one.parent.is_none());
        Some(models.map(|one| one.name.clone()).collect())
    }

    /// Names of all models; `None` where there is no list.
    pub(super) fn all_names(&self) -> Option<Vec<String>> {
        let models = self.listed.as_ref()?.iter();
        Some(models.map(|one| one.name.clone()).collect())
    }

    /// An adapter: of this model, where one says so.
    pub(super) fn adapter_of(&self, model: &str) -> Option<String> {
        let adapters = || self.listed.iter().flatten().filter(|one| one.parent.is_some());
        let found = adapters().find(|one| one.parent.as_deref() == Some(model));
        found.or_else(|| adapters().next()).map(|one| one.name.clone())
    }

    /// Which names stand for one model.
    pub(super) fn served(&self) -> ServedNames {
        let list = self.answer.json().ok().filter(|_| self.listed.is_some());
        list.map(|list| ServedNames::of(&list)).unwrap_or_default()
    }

    /// Whether anything came back. A connection that was taken and then closed or reset counts: what follows is judged;
    /// silence does not, because nothing tells the endpoint from the way to it.
    pub(super) fn has_answered(&self) -> bool {
        let silent = |why: &Unanswered| {
            use Unanswered::{HostExhausted, NotConnected, NotSent, OtherProtocol, Silent, TimedOut, Untrusted};
            matches!(
                why,
                NotConnected(_)
                    | HostExhausted(_)
                    | NotSent(_)
                    | OtherProtocol(..)
                    | Untrusted(_)
                    | Silent(_)
                    | TimedOut(_)
            )
        };
        self.answer.partial.is_some() || !self.answer.outcome.as_ref().is_err_and(silent)
    }
}

fn listed(answer: &Answer) -> Option<Vec<Model>> {
    let body = answer.json().ok().filter(|_| answer.status() == Some(200))?;
    let model = |item: &serde_json::Value| {
        Some(Model {
            name: item.get("id")?.as_str()?.to_owned(),
            parent: item.get("parent").and_then(|parent| parent.as_str()).map(str::to_owned),
        })
    };
    Some(body.get("data")?.as_array()?.iter().filter_map(model).collect())
}

/// The headers of the guide's request that others to the same gateway have too.
pub(super) fn headers(outgoing: &Outgoing) -> Vec<(String, String)> {
    let shared = |(name, _): &&(String, String)| !name.eq_ignore_ascii_case("content-type");
    outgoing.headers.iter().filter(shared).cloned().collect()
}

/// What the paths of the OpenAI API are appended to: the address of the guide's request, up to its `/v1/`.
pub(super) fn base(url: &str) -> Result<String, String> {
    let parsed = Url::parse(url).map_err(|error| format!("`{url}`: {error}"))?;
    let (before, _) = parsed
        .path()
        .rsplit_once("/v1/")
        .ok_or_else(|| format!("the guide's request goes to `{url}`, which is no path of the OpenAI API (`/v1/…`)"))?;
    Ok(format!("{}{before}", parsed.origin().ascii_serialization()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("http://10.0.0.1:80/v1/completions", Ok("http://10.0.0.1"))]
    #[case::below_a_path("http://h:8081/llama/v1/chat/completions?a=/v1/", Ok("http://h:8081/llama"))]
    #[case::six("http://[fd00::1]:81/v1/completions", Ok("http://[fd00::1]:81"))]
    #[case::elsewhere("http://h/generate", Err("no path of the OpenAI API"))]
    #[case::none("h", Err("`h`"))]
    fn scenarios_go_to_where_the_guides_request_goes(#[case] url: &str, #[case] wanted: Result<&str, &str>) {
        match (base(url), wanted) {
            (Ok(base), Ok(wanted)) => assert_eq!(base, wanted),
            (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (got, _) => panic!("{got:?}"),
        }
    }
}
