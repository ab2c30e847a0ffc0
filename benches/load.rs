//! Smoke load beside `oha`: requests a second, and processor time for each, with every answer of ours judged.
//!
//! `cargo bench --bench load -- OHA [ROUNDS [URL MODEL]]`, where OHA is the program (`cargo install oha --locked`). Both ask
//! the same endpoint, by turns, with as many connections, for the same number of answers, each in a process of its own that
//! is held to the first core (`taskset`), and has one worker. The endpoint at URL, such as a simulator, is held to another
//! core by whoever starts it; without one it is a server of ours on the second core, which sends bytes that are ready and
//! costs next to nothing. What is printed are the medians over the rounds, and the median of each round's ratio: what else
//! the machine does hits both. It judges nothing. The mark to reach, with an endpoint that does something, is 0.95 of oha's
//! rate.

use std::{
    fmt::Write as _,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use quickproof::{
    probe::Probe,
    record::{Event, Events, LoadFigures},
    scenario::{self, NoChanges, Target},
    verdict::Finding,
};
use serde_json::{Value, json};

/// Connections, each with one request under way.
const WORKERS: u32 = 50;
/// Tokens of a stream.
const TOKENS: usize = 16;
/// Longer than any answer takes.
const LIMIT: Duration = Duration::from_secs(30);
/// The model that our server serves.
const MODEL: &str = "m";

/// What is asked.
#[derive(Debug, Clone)]
struct Endpoint {
    base: String,
    model: String,
}

/// A kind of answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Completion,
    ChatStream,
}

/// What one run of one program took.
#[derive(Debug, Clone, Copy)]
struct Run {
    per_second: f64,
    /// Processor time of user and kernel for a thousand requests, in seconds.
    cpu_per_1000: f64,
}

fn main() -> anyhow::Result<()> {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve"] => serve(),
        ["ask", kind, base, model] => ask(Kind::of(kind)?, &Endpoint::at(base, model)),
        [] => compare_on_ours("oha", 5),
        [oha] => compare_on_ours(oha, 5),
        [oha, rounds] => compare_on_ours(oha, rounds.parse()?),
        [oha, rounds, base, model] => compare(oha, rounds.parse()?, &Endpoint::at(base, model)),
        _ => anyhow::bail!("expected OHA, the number of rounds, and URL and MODEL of an endpoint"),
    }
}

impl Endpoint {
    fn at(base: &str, model: &str) -> Self {
        let (base, model) = (base.to_owned(), model.to_owned());
        Self { base, model }
    }
}

impl Kind {
    const ALL: [Self; 2] = [Self::Completion, Self::ChatStream];

    fn of(word: &str) -> anyhow::Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.word() == word);
        found.ok_or_else(|| anyhow::anyhow!("`{word}` is no kind of answer"))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Completion => "completion",
            Self::ChatStream => "chat-stream",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Completion => "/v1/completions",
            Self::ChatStream => "/v1/chat/completions",
        }
    }

    fn body(self, model: &str) -> Value {
        match self {
            Self::Completion => json!({"model": model, "prompt": "Say hi", "max_tokens": TOKENS}),
            Self::ChatStream => json!({
                "model": model, "messages": [{"role": "user", "content": "Say hi"}], "max_tokens": TOKENS,
                "stream": true, "stream_options": {"include_usage": true},
            }),
        }
    }

    /// Requests of one run.
    fn requests(self) -> u32 {
        match self {
            Self::Completion => 40_000,
            Self::ChatStream => 15_000,
        }
    }

    /// The whole response.
    fn response(self) -> Vec<u8> {
        let usage = json!({"prompt_tokens": 4, "completion_tokens": TOKENS, "total_tokens": TOKENS + 4});
        match self {
            Self::Completion => {
                let choice =
                    json!({"index": 0, "text": "word ".repeat(TOKENS), "logprobs": null, "finish_reason": "length"});
                let body = json!({
                    "id": "cmpl-1", "object": "text_completion", "created": 1_750_000_000, "model": MODEL,
                    "choices": [choice], "usage": usage,
                });
                let body = body.to_string();
                let length = body.len();
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-inference-pod: pod-a\r\ncontent-length: {length}\r\n\r\n{body}")
                    .into_bytes()
            }
            Self::ChatStream => {
                let chunk = |choices: Value, usage: Value| {
                    json!({
                        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_750_000_000, "model": MODEL,
                        "choices": choices, "usage": usage,
                    })
                };
                let piece =
                    |delta: Value, reason: Value| json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
                let mut events = vec![chunk(
                    piece(json!({"role": "assistant", "content": ""}), Value::Null),
                    Value::Null,
                )];
                for _ in 0..TOKENS {
                    events.push(chunk(piece(json!({"content": "word "}), Value::Null), Value::Null));
                }
                events.push(chunk(piece(json!({}), json!("length")), Value::Null));
                events.push(chunk(json!([]), usage));
                let events = events.iter().map(Value::to_string).chain(["[DONE]".to_owned()]);
                let mut response =
                    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-inference-pod: pod-a\r\ntransfer-encoding: chunked\r\n\r\n"
                        .to_owned();
                for event in events {
                    let event = format!("data: {event}\n\n");
                    let _ = write!(response, "{:x}\r\n{event}\r\n", event.len());
                }
                response.push_str("0\r\n\r\n");
                response.into_bytes()
            }
        }
    }
}

/// Answers whatever is asked with the response of its path, on as many connections as come; says its address first.
fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    writeln!(io::stdout(), "http://{}", listener.local_addr()?)?;
    for stream in listener.incoming() {
        let stream = stream?;
        // Its end is the other side's leaving.
        thread::spawn(move || answer_all(stream));
    }
    Ok(())
}

fn answer_all(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let responses = Kind::ALL.map(|kind| (kind, kind.response()));
    let (mut piece, mut asked) = ([0; 16 << 10], Vec::new());
    loop {
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        asked.extend_from_slice(&piece[..count]);
        while let Some(length) = request_length(&asked) {
            let is_chat = asked.windows(6).take(64).any(|six| six == b"/chat/");
            let wanted = if is_chat { Kind::ChatStream } else { Kind::Completion };
            for (_, response) in responses.iter().filter(|(kind, _)| *kind == wanted) {
                stream.write_all(response)?;
            }
            asked.drain(..length);
        }
    }
}

/// The length of the first request, where all of it is there.
fn request_length(asked: &[u8]) -> Option<usize> {
    let head = asked.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&asked[..head]);
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    Some(head + length.unwrap_or(0)).filter(|length| asked.len() >= *length)
}

/// Performs the scenario of a load, as `probe` and `verify` do, and prints the figures.
fn ask(kind: Kind, endpoint: &Endpoint) -> anyhow::Result<()> {
    let scenario = json!({
        "name": "bench", "proves": "It is fast.",
        "steps": [{"load": {
            "path": kind.path(), "json": kind.body(&endpoint.model), "workers": WORKERS, "requests": kind.requests(),
            "expect": {"answer": "success", "answered-by": ["model-server"]},
        }}],
    });
    let scenario = scenario::read("bench", scenario.to_string().as_bytes())?;
    let target = Target {
        base: endpoint.base.clone(),
        model: endpoint.model.clone(),
        has_answered: true,
        ..Target::default()
    };
    let (events, mut heard) = Events::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let probe = Probe::new(LIMIT)?;
    runtime.block_on(scenario::perform(&scenario, &probe, &target, &NoChanges, &events));
    drop(events);
    let mut figures: Option<LoadFigures> = None;
    while let Ok(event) = heard.try_recv() {
        match event {
            Event::Loaded { figures: told } => figures = Some(*told),
            Event::Decided { decision } => {
                let is_right = matches!(decision.finding, Finding::Holds | Finding::Skipped { .. });
                anyhow::ensure!(is_right, "{}: {:?}", decision.check, decision.finding);
            }
            _ => {}
        }
    }
    let figures = figures.ok_or_else(|| anyhow::anyhow!("there are no figures"))?;
    anyhow::ensure!(figures.right == u64::from(kind.requests()), "not every answer is right");
    writeln!(io::stdout(), "{}", serde_json::to_string(&figures)?)?;
    Ok(())
}

fn compare_on_ours(oha: &str, rounds: usize) -> anyhow::Result<()> {
    let mut server = Server::start(&std::env::current_exe()?.display().to_string())?;
    let base = server.base()?;
    compare(oha, rounds, &Endpoint::at(&base, MODEL))
}

fn compare(oha: &str, rounds: usize, endpoint: &Endpoint) -> anyhow::Result<()> {
    let itself = std::env::current_exe()?.display().to_string();
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{WORKERS} connections, one core for who asks, {rounds} rounds by turns; medians\n{:<13}{:>10}{:>10}{:>8}{:>16}{:>16}",
        "", "ours/s", "oha/s", "ratio", "ours s/1000", "oha s/1000"
    )?;
    for kind in Kind::ALL {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let (our, their) = (run_ours(&itself, kind, endpoint)?, run_oha(oha, kind, endpoint)?);
            // The first warms the server up.
            if round > 0 {
                ours.push(our);
                theirs.push(their);
            }
        }
        let ratios = ours
            .iter()
            .zip(&theirs)
            .map(|(our, their)| our.per_second / their.per_second);
        let rate = |runs: &[Run]| median(runs.iter().map(|run| run.per_second));
        let cpu = |runs: &[Run]| median(runs.iter().map(|run| run.cpu_per_1000));
        writeln!(
            out,
            "{:<13}{:>10.0}{:>10.0}{:>8.2}{:>16.4}{:>16.4}",
            kind.word(),
            rate(&ours),
            rate(&theirs),
            median(ratios),
            cpu(&ours),
            cpu(&theirs)
        )?;
    }
    Ok(())
}

fn run_ours(itself: &str, kind: Kind, endpoint: &Endpoint) -> anyhow::Result<Run> {
    let (told, cpu) = timed(&[itself, "ask", kind.word(), &endpoint.base, &endpoint.model])?;
    let figures: LoadFigures = serde_json::from_str(&told)?;
    let seconds = Duration::from_millis(figures.took_ms).as_secs_f64();
    Ok(Run {
        per_second: f64::from(kind.requests()) / seconds,
        cpu_per_1000: cpu * 1000.0 / f64::from(kind.requests()),
    })
}

fn run_oha(oha: &str, kind: Kind, endpoint: &Endpoint) -> anyhow::Result<Run> {
    let (requests, workers) = (kind.requests().to_string(), WORKERS.to_string());
    let url = format!("{}{}", endpoint.base, kind.path());
    let body = kind.body(&endpoint.model).to_string();
    let (told, cpu) = timed(&[
        oha,
        "--no-tui",
        "--output-format",
        "json",
        "-n",
        &requests,
        "-c",
        &workers,
        "-m",
        "POST",
        "-T",
        "application/json",
        "-d",
        &body,
        &url,
    ])?;
    let told: Value = serde_json::from_str(&told)?;
    let of_summary = |field: &str| told["summary"][field].as_f64().unwrap_or_default();
    anyhow::ensure!((of_summary("successRate") - 1.0).abs() < 1e-9, "oha failed: {told:#}");
    Ok(Run {
        per_second: of_summary("requestsPerSec"),
        cpu_per_1000: cpu * 1000.0 / f64::from(kind.requests()),
    })
}

/// What a command prints, run on the first core, and the seconds of processor time that it took.
fn timed(command: &[&str]) -> anyhow::Result<(String, f64)> {
    // The shell knows the times of its children.
    let script = r#"TIMEFORMAT='%U %S'; time taskset -c 0 "$@""#;
    let output = program("bash")
        .args(["-c", script, "bash"])
        .args(command)
        .env("TOKIO_WORKER_THREADS", "1")
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), "{}: {said}", command[0]);
    let times = said
        .lines()
        .last()
        .unwrap_or_default()
        .split(' ')
        .map(str::parse::<f64>);
    Ok((String::from_utf8(output.stdout)?, times.sum::<Result<f64, _>>()?))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark has no host to start its programs through"
)]
fn program(name: &str) -> Command {
    Command::new(name)
}

/// The server, which ends when this is dropped.
struct Server(Child);

impl Server {
    fn start(itself: &str) -> io::Result<Self> {
        let arguments = ["-c", "1", itself, "serve"];
        program("taskset")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .map(Self)
    }

    fn base(&mut self) -> anyhow::Result<String> {
        let said = self
            .0
            .stdout
            .take()
            .ok_or_else(|| anyhow::anyhow!("the server says nothing"))?;
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already is gone too.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
