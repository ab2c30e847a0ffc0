//! What an answer must be, told from the request itself and from what the asker knows beyond it.

use serde_json::Value;

use crate::probe::Outgoing;

/// What is asked for, by the path of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `…/completions`
    Completions,
    /// `…/chat/completions`
    Chat,
    /// `…/models`
    Models,
    /// `…/embeddings`
    Embeddings,
    /// Anything else: only what holds for every HTTP answer is judged.
    Other,
}

impl Endpoint {
    /// The endpoint of a URL, with or without scheme; query and fragment do not count.
    pub(crate) fn of(url: &str) -> Self {
        let path = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        if path.ends_with("/chat/completions") {
            Self::Chat
        } else if path.ends_with("/completions") {
            Self::Completions
        } else if path.ends_with("/models") {
            Self::Models
        } else if path.ends_with("/embeddings") {
            Self::Embeddings
        } else {
            Self::Other
        }
    }

    /// Whether its answers are generated: they have choices.
    pub(crate) fn generates(self) -> bool {
        matches!(self, Self::Completions | Self::Chat)
    }
}

/// The status that the answer must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusWanted {
    /// 200.
    Success,
    /// One of these; a success is refused, also one that is listed.
    Error(Vec<u16>),
}

impl StatusWanted {
    /// Whether this status is wanted.
    pub(crate) fn admits(&self, status: u16) -> bool {
        match self {
            Self::Success => status == 200,
            Self::Error(wanted) => status >= 400 && wanted.contains(&status),
        }
    }
}

/// Kinds of answers, by what must be decided of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// Whatever comes.
    Any,
    /// An error.
    Error,
    /// A generated answer that comes at once.
    Completion,
    /// A generated answer that comes as a stream of events.
    Stream,
    /// A list of models.
    Models,
    /// Embeddings.
    Embeddings,
    /// A success of an endpoint that nothing is known of.
    Other,
}

impl AnswerKind {
    /// Every kind.
    pub(super) const ALL: &'static [Self] = &[
        Self::Any,
        Self::Error,
        Self::Completion,
        Self::Stream,
        Self::Models,
        Self::Embeddings,
        Self::Other,
    ];
    /// The kinds of which more is asked than that something came.
    pub(super) const ASKED: &'static [Self] = Self::ALL.split_at(1).1;
}

/// The forms in which an error may be told, by who stands in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorForm {
    /// JSON as OpenAI and model servers write it, and nothing else.
    Json,
    /// That, or the endpoint picker's plain text, such as `inference error: <Code> - <message>`.
    #[default]
    JsonOrPicker,
    /// That, or an empty body, as the oldest endpoint pickers answer.
    JsonPickerOrEmpty,
}

/// The way that answers take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Way {
    /// Whether a gateway stands in it is told by the marks that one leaves, if by anything.
    #[default]
    Unknown,
    /// Through a gateway: what belongs to a connection may be that of another.
    ThroughGateway,
}

/// What was asked of embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EmbeddingAsked {
    /// How many numbers each must have, where the request says so.
    pub(crate) dimensions: Option<u64>,
    /// Whether they were asked for in base64 and not as lists of numbers.
    pub(crate) base64: bool,
}

/// What an answer must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// What is asked for.
    pub(crate) endpoint: Endpoint,
    /// Whether a stream of events was asked for.
    pub(crate) stream: bool,
    /// The model that the answer must name; of a list of models, one that it must hold. `None`: any.
    pub model: Option<String>,
    /// Further names under which the answer may go: targets of rewrites.
    pub served_as: Vec<String>,
    /// Other names of the same model, as the list of models has them. An answer under one of them is odd, and no fault.
    pub also_named: Vec<String>,
    /// The way that it takes.
    pub way: Way,
    /// How many choices or embeddings there must be: `n` for each prompt or input.
    pub(crate) choices: u64,
    /// The most tokens of each choice; `None` where the request sets no bound.
    pub(crate) max_tokens: Option<u64>,
    /// Sequences before which the text ends; empty where the request names none, or asks for them to be shown.
    pub(crate) stop: Vec<String>,
    /// Whether ids may differ from choice to choice: a request with several prompts is several requests to some servers.
    pub(crate) several_prompts: bool,
    /// Whether a stream was asked to end with its token counts.
    pub(crate) usage_asked: bool,
    /// What was asked of embeddings.
    pub(crate) embedding: EmbeddingAsked,
    /// The status.
    pub status: StatusWanted,
    /// How an error may be told.
    pub error_form: ErrorForm,
    /// The text that every choice must say, where it is known (a model server that echoes).
    pub echo: Option<String>,
}

impl Expected {
    /// What the answer to this request must be, if it is a good one.
    pub fn of(request: &Outgoing) -> Self {
        let endpoint = Endpoint::of(&request.url);
        let body = request.json().unwrap_or_default();
        let prompts = match endpoint {
            Endpoint::Completions => asked_items(&body["prompt"]),
            Endpoint::Embeddings => asked_items(&body["input"]),
            Endpoint::Chat | Endpoint::Models | Endpoint::Other => 1,
        };
        let each = body["n"].as_u64().filter(|_| endpoint.generates()).unwrap_or(1);
        let stream = endpoint.generates() && body["stream"] == true;
        let max_tokens = body["max_completion_tokens"]
            .as_u64()
            .filter(|_| endpoint == Endpoint::Chat);
        Self {
            endpoint,
            stream,
            model: body["model"].as_str().map(str::to_owned),
            served_as: Vec::new(),
            also_named: Vec::new(),
            way: Way::default(),
            choices: prompts.saturating_mul(each),
            max_tokens: max_tokens
                .or_else(|| body["max_tokens"].as_u64())
                .filter(|_| endpoint.generates()),
            stop: stop_sequences(&body)
                .filter(|_| endpoint.generates())
                .unwrap_or_default(),
            several_prompts: prompts > 1,
            usage_asked: stream && body["stream_options"]["include_usage"] == true,
            embedding: EmbeddingAsked {
                dimensions: body["dimensions"].as_u64(),
                base64: body["encoding_format"] == "base64",
            },
            status: StatusWanted::Success,
            error_form: ErrorForm::default(),
            echo: None,
        }
    }

    /// The kind of answer that must come.
    pub(crate) fn kind(&self) -> AnswerKind {
        match (&self.status, self.endpoint) {
            (StatusWanted::Error(_), _) => AnswerKind::Error,
            (StatusWanted::Success, Endpoint::Completions | Endpoint::Chat) if self.stream => AnswerKind::Stream,
            (StatusWanted::Success, Endpoint::Completions | Endpoint::Chat) => AnswerKind::Completion,
            (StatusWanted::Success, Endpoint::Models) => AnswerKind::Models,
            (StatusWanted::Success, Endpoint::Embeddings) => AnswerKind::Embeddings,
            (StatusWanted::Success, Endpoint::Other) => AnswerKind::Other,
        }
    }

    /// Whether an answer may go under this name.
    pub(super) fn admits_model(&self, name: &str) -> bool {
        let mut names = self.model.iter().chain(&self.served_as).chain(&self.also_named);
        names.any(|admitted| admitted == name)
    }

    /// The same with another status.
    #[must_use]
    pub(crate) fn answered_with(mut self, status: StatusWanted) -> Self {
        self.status = status;
        self
    }
}

/// How many prompts or inputs these are: a text is one, a list of token numbers is one, any other list is as many as it
/// has. Source: OpenAI API reference, `prompt` of completions and `input` of embeddings.
fn asked_items(asked: &Value) -> u64 {
    match asked.as_array() {
        Some(list) if !list.is_empty() && !list.iter().all(Value::is_number) => {
            u64::try_from(list.len()).unwrap_or(u64::MAX)
        }
        _ => 1,
    }
}

/// The sequences of `stop`, a text or a list of them; `None` where an answer may show them: those that `echo` its prompt, and
/// where vLLM is asked with `include_stop_str_in_output`. Source: OpenAI API reference; vLLM, extra parameters.
fn stop_sequences(body: &Value) -> Option<Vec<String>> {
    if body["echo"] == true || body["include_stop_str_in_output"] == true {
        return None;
    }
    let one = body["stop"].as_str().into_iter();
    let several = body["stop"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let sequences = one.chain(several).filter(|sequence| !sequence.is_empty());
    Some(sequences.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn expected(path: &str, body: &str) -> Expected {
        Expected::of(&Outgoing {
            method: "POST".into(),
            url: format!("http://10.0.0.1{path}"),
            headers: Vec::new(),
            body: Some(body.into()),
        })
    }

    #[rstest]
    #[case("http://h/v1/completions", Endpoint::Completions)]
    #[case("h:80/v1/chat/completions?x=/models", Endpoint::Chat)]
    #[case("http://h/v1/models/", Endpoint::Models)]
    #[case("http://h/v1/embeddings#a", Endpoint::Embeddings)]
    #[case("http://h/metrics", Endpoint::Other)]
    #[case("", Endpoint::Other)]
    fn the_path_tells_the_endpoint(#[case] url: &str, #[case] endpoint: Endpoint) {
        assert_eq!(Endpoint::of(url), endpoint);
    }

    #[rstest]
    #[case::plain(r#"{"prompt":"a"}"#, 1)]
    #[case::none("{}", 1)]
    #[case::no_json("{", 1)]
    #[case::n(r#"{"prompt":"a","n":3}"#, 3)]
    #[case::prompts(r#"{"prompt":["a","b"],"n":2}"#, 4)]
    #[case::tokens(r#"{"prompt":[1,2,3]}"#, 1)]
    #[case::lists_of_tokens(r#"{"prompt":[[1,2],[3]]}"#, 2)]
    #[case::absurd(r#"{"prompt":["a","b"],"n":18446744073709551615}"#, u64::MAX)]
    fn the_request_tells_how_many_choices(#[case] body: &str, #[case] choices: u64) {
        assert_eq!(expected("/v1/completions", body).choices, choices);
    }

    #[test]
    fn what_a_chat_request_asks_is_expected() {
        let body = r#"{"model":"m","max_tokens":9,"max_completion_tokens":5,"stream":true,"n":2,
            "stream_options":{"include_usage":true}}"#;
        let expected = expected("/v1/chat/completions", body);
        assert_eq!(expected.model.as_deref(), Some("m"));
        assert_eq!((expected.max_tokens, expected.choices), (Some(5), 2));
        assert!(expected.stream && expected.usage_asked);
        assert_eq!(expected.status, StatusWanted::Success);
    }

    #[test]
    fn a_success_is_never_a_wanted_error() {
        assert!(!StatusWanted::Error(vec![200, 404]).admits(200));
        assert!(StatusWanted::Error(vec![400, 404]).admits(404));
        assert!(!StatusWanted::Success.admits(204));
    }
}
