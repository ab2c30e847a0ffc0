//! `curl` commands that send the guide's request.

use super::{
    Action, Request,
    planner::{Invocation, NotPlanned, Planned, Planner},
};
use crate::guide::{Argument, Arguments, Named, Template};

impl Planner<'_> {
    pub(super) fn curl(&mut self, run: &Invocation<'_>) -> Result<Planned, NotPlanned> {
        let arguments = Arguments::read("curl", &run.words[1..])?;
        let urls: Vec<&Argument> = arguments.positional.iter().chain(arguments.values("--url")).collect();
        let [url] = urls.as_slice() else {
            return Err(NotPlanned::Unsupported(format!("it names {} addresses", urls.len())));
        };
        let headers = arguments.values("-H").map(header).collect::<Result<Vec<_>, _>>()?;
        let body = body(&arguments)?;
        let method = match arguments.text("-X")? {
            Some(method) => method,
            None if body.is_some() => "POST".into(),
            None => "GET".into(),
        };
        // Names of variables that are set and whose values were meant.
        let mut unexpanded: Vec<&Named> = Vec::new();
        for named in run.single_quoted {
            if self.session.is_set(&named.name) && !unexpanded.iter().any(|known| known.name == named.name) {
                unexpanded.push(named);
            }
        }
        Ok(Planned {
            sentence: "the guide's request is answered with 200".into(),
            // A finding stands at the line that a writer must mend: where a variable's name is sent in place of its
            // value that is the variable's line, and the line the command begins at otherwise.
            line: unexpanded.first().map(|named| named.line),
            known: None,
            action: Action::Request(Request {
                method,
                url: with_scheme(&url.passed()?),
                headers,
                body,
                unexpanded: unexpanded.into_iter().map(|named| named.name.clone()).collect(),
            }),
        })
    }
}

/// The address as curl reads it: `http://` where it names no scheme.
fn with_scheme(url: &Template) -> Template {
    let mut whole = Template::default();
    if !url.start().contains("://") {
        whole.push("http://");
    }
    whole.append(url);
    whole
}

fn header(argument: &Argument) -> Result<(String, Template), NotPlanned> {
    let header = argument.passed()?;
    let text = header.start();
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| NotPlanned::Unsupported(format!("the header `{text}` lacks its colon")))?;
    let blanks = value.len() - value.trim_start().len();
    Ok((name.trim().to_owned(), header.without(name.len() + 1 + blanks)))
}

/// The body: several `-d` joined by `&`, as curl joins them.
fn body(arguments: &Arguments) -> Result<Option<Template>, NotPlanned> {
    let mut body: Option<Template> = None;
    for argument in arguments.values("-d") {
        let part = argument.passed()?;
        if part.start().starts_with('@') {
            return Err(NotPlanned::Unsupported("its body stands in a file".into()));
        }
        match &mut body {
            None => body = Some(part),
            Some(body) => {
                body.push("&");
                body.append(&part);
            }
        }
    }
    Ok(body)
}
