//! `curl` commands that send the guide's request.

use super::{
    Action, Piece, Request, Word,
    arguments::{Arguments, Grammar},
    draft::{Draft, Drawn, Run, Stop},
    shell,
};
use crate::guide::Simple;

const GRAMMAR: Grammar<'static> = Grammar {
    valued: &[
        &["-X", "--request"],
        &["-H", "--header"],
        &["-d", "--data", "--data-raw", "--data-binary", "--data-ascii"],
        &["--url"],
        &["-m", "--max-time"],
        &["--connect-timeout"],
    ],
    // What they change is what a reader sees, or what happens on a redirect, which a gateway does not send.
    bare: &[
        "-i",
        "--include",
        "-s",
        "--silent",
        "-S",
        "--show-error",
        "-v",
        "--verbose",
        "-L",
        "--location",
        "-N",
        "--no-buffer",
        "-f",
        "--fail",
        "--http1.1",
    ],
};

impl Draft<'_> {
    pub(super) fn curl(&mut self, run: &Run<'_>, simple: &Simple) -> Result<Drawn, Stop> {
        let arguments = Arguments::read(&run.words[1..], &GRAMMAR)?;
        let urls: Vec<&Word> = arguments.positional.iter().chain(arguments.values("--url")).collect();
        let [url] = urls.as_slice() else {
            return Err(Stop::Unsupported(format!("it names {} addresses", urls.len())));
        };
        let headers = arguments.values("-H").map(header).collect::<Result<Vec<_>, _>>()?;
        let body = body(&arguments)?;
        let method = match arguments.text("-X")? {
            Some(method) => method,
            None if body.is_some() => "POST".into(),
            None => "GET".into(),
        };
        let unexpanded = shell::unexpanded(&self.environment, simple);
        Ok(Drawn {
            check: self.check("request", run.at),
            sentence: "the guide's request is answered with 200".into(),
            // A finding stands at the line that a writer must mend: where a variable's name is sent in place of its
            // value that is the variable's line, and the line the command begins at otherwise.
            line: unexpanded.first().map(|(_, line)| *line),
            known: None,
            action: Action::Request(Request {
                method,
                url: with_scheme(url),
                headers,
                body,
                unexpanded: unexpanded.into_iter().map(|(name, _)| name).collect(),
            }),
        })
    }
}

/// The address as curl reads it: `http://` where it names no scheme.
fn with_scheme(url: &Word) -> Word {
    let has_scheme = matches!(url.0.first(), Some(Piece::Text(text)) if text.contains("://"));
    let scheme = (!has_scheme).then(|| Piece::Text("http://".into()));
    let mut pieces: Vec<Piece> = scheme.into_iter().collect();
    for piece in &url.0 {
        match (pieces.last_mut(), piece) {
            (Some(Piece::Text(last)), Piece::Text(text)) => last.push_str(text),
            _ => pieces.push(piece.clone()),
        }
    }
    Word(pieces)
}

fn header(word: &Word) -> Result<(String, Word), Stop> {
    let text = match word.0.first() {
        Some(Piece::Text(text)) => text.as_str(),
        _ => "",
    };
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| Stop::Unsupported(format!("the header `{text}` lacks its colon")))?;
    let blanks = value.len() - value.trim_start().len();
    Ok((name.trim().to_owned(), word.without(name.len() + 1 + blanks)))
}

/// The body: several `-d` joined by `&`, as curl joins them.
fn body(arguments: &Arguments) -> Result<Option<Word>, Stop> {
    let mut pieces = Vec::new();
    for (index, word) in arguments.values("-d").enumerate() {
        if matches!(word.0.first(), Some(Piece::Text(text)) if text.starts_with('@')) {
            return Err(Stop::Unsupported("its body stands in a file".into()));
        }
        if index > 0 {
            pieces.push(Piece::Text("&".into()));
        }
        pieces.extend(word.0.iter().cloned());
    }
    let is_given = arguments.values("-d").next().is_some();
    Ok(is_given.then_some(Word(pieces)))
}
