//! How far the times that the probe notes of a stream are from when its bytes were sent.
//!
//! `cargo bench --bench stream` sends streams of a paced server of its own, whose times are known, and prints the error of
//! the time to first token and of the inter-token latencies. It judges nothing. The mark to stay under, on a machine that
//! does nothing else, is 1 ms at p99.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::mpsc::{self, Sender},
    thread,
    time::{Duration, Instant},
};

use quickproof::probe::{Outgoing, Probe, latency::Latencies, openai};

/// Streams that are sent, one after the other.
const STREAMS: usize = 50;
/// Tokens of each.
const TOKENS: usize = 40;
/// What is asked for.
const CHAT: &str = r#"{"model":"model","messages":[{"role":"user","content":"count"}],"max_tokens":40,"stream":true}"#;
/// Between two tokens.
const PACE: Duration = Duration::from_millis(5);
/// Longer than a stream takes.
const LIMIT: Duration = Duration::from_mins(1);

fn main() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let base = format!("http://{}", listener.local_addr()?);
    let (sender, sent) = mpsc::channel();
    thread::spawn(move || -> io::Result<()> {
        for stream in listener.incoming() {
            serve(stream?, &sender)?;
        }
        Ok(())
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let probe = Probe::new(LIMIT).map_err(io::Error::other)?;
    let request = Outgoing {
        method: "POST".into(),
        url: format!("{base}/v1/chat/completions"),
        headers: vec![("content-type".into(), "application/json".into())],
        body: Some(CHAT.into()),
    };
    let (mut first, mut between) = (Vec::new(), Vec::new());
    for _ in 0..STREAMS {
        let began = Instant::now();
        let answer = runtime.block_on(probe.send(request.clone()));
        let noted = Latencies::of(&answer, openai::carries_text);
        let sent: Vec<Instant> = sent.recv_timeout(LIMIT).map_err(io::Error::other)?;
        let (Some(noted_first), Some(sent_first)) = (noted.time_to_first_token, sent.first()) else {
            return Err(io::Error::other(format!("no first token came: {}", answer.brief())));
        };
        if noted.inter_token.len() + 1 != sent.len() {
            return Err(io::Error::other(format!("tokens are missing: {}", answer.brief())));
        }
        first.push(noted_first.abs_diff(*sent_first - began));
        let gaps = sent.windows(2).map(|pair| pair[1] - pair[0]);
        between.extend(
            noted
                .inter_token
                .iter()
                .zip(gaps)
                .map(|(noted, gap)| noted.abs_diff(gap)),
        );
    }
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{STREAMS} streams of {TOKENS} tokens, {} ms apart: error in ms",
        PACE.as_millis()
    )?;
    writeln!(out, "{:<22}{:>8}{:>8}{:>8}", "", "p50", "p99", "max")?;
    for (what, mut errors) in [("time to first token", first), ("inter-token latency", between)] {
        errors.sort_unstable();
        let [p50, p99, max] = [50, 99, 100].map(|percent| percentile(&errors, percent));
        writeln!(out, "{what:<22}{p50:>8.3}{p99:>8.3}{max:>8.3}")?;
    }
    Ok(())
}

/// Answers one request with a paced stream, and tells when each token was sent.
fn serve(mut stream: TcpStream, sender: &Sender<Vec<Instant>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // A request as short as this one comes in one piece.
    let mut request = [0; 4096];
    let _ = stream.read(&mut request)?;
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    let mut sent = Vec::with_capacity(TOKENS);
    for number in 0..TOKENS {
        thread::sleep(PACE);
        let event = format!(
            "data: {{\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{number} \"}}}}]}}\n\n"
        );
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        sent.push(Instant::now());
        stream.write_all(chunk.as_bytes())?;
    }
    let end = "data: [DONE]\n\n";
    stream.write_all(format!("{:x}\r\n{end}\r\n0\r\n\r\n", end.len()).as_bytes())?;
    sender.send(sent).map_err(io::Error::other)
}

/// In milliseconds, of errors in ascending order.
fn percentile(errors: &[Duration], percent: usize) -> f64 {
    let index = (errors.len() * percent).div_ceil(100).saturating_sub(1);
    errors.get(index).map_or(0.0, Duration::as_secs_f64) * 1000.0
}
