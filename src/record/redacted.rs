//! The one place where events lose their secrets, before the journal or any report hears of them.
//!
//! Each event is taken apart field by field, without `..`: a new field does not compile until somebody has said what
//! becomes of it here.

use super::{ConfiguredLatencies, Counted, Decision, Deviation, Event, Exchange, LoadFigures, Provenance, Subject};
use crate::{
    redact::{CUT, PLACEHOLDER, Redactor},
    verdict::{Cause, Fault, Finding},
};

/// Headers whose value is a secret by definition.
const SECRET_HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
];

impl Redactor {
    /// The event without secrets.
    pub(crate) fn event(&self, event: Event) -> Event {
        let text = |text: String| self.redact(&text);
        let texts = |texts: Vec<String>| texts.into_iter().map(text).collect();
        match event {
            Event::Began {
                run,
                version,
                at,
                subject,
                command,
            } => Event::Began {
                run,
                version,
                at,
                subject: self.subject(subject),
                command: text(command),
            },
            Event::Expected { checks } => Event::Expected { checks: texts(checks) },
            Event::Deviated { deviation } => Event::Deviated {
                deviation: self.deviation(deviation),
            },
            Event::Entered { stage } => Event::Entered { stage },
            Event::Noted { stage, sentence } => Event::Noted {
                stage,
                sentence: text(sentence),
            },
            Event::Waiting { stage, on, seen } => Event::Waiting {
                stage,
                on: text(on),
                seen: text(seen),
            },
            Event::Decided { decision } => Event::Decided {
                decision: self.decision(decision),
            },
            Event::Loaded { figures } => Event::Loaded {
                figures: Box::new(self.figures(*figures)),
            },
            Event::Spent { stage, took_ms } => Event::Spent { stage, took_ms },
            Event::Interrupted { signal } => Event::Interrupted { signal },
            Event::LeftBehind { what } => Event::LeftBehind { what: texts(what) },
            Event::Kept { how } => Event::Kept { how: texts(how) },
            Event::Ended { at, took_ms } => Event::Ended { at, took_ms },
        }
    }

    fn subject(&self, subject: Subject) -> Subject {
        let Subject {
            repository,
            tag,
            commit,
            variant,
            provider,
            phase,
            extent,
        } = subject;
        Subject {
            repository: self.redact(&repository),
            tag: tag.map(|tag| self.redact(&tag)),
            commit,
            variant: self.redact(&variant),
            provider: self.redact(&provider),
            phase,
            extent: extent.map(|extent| self.redact(&extent)),
        }
    }

    fn provenance(&self, from: Option<Provenance>) -> Option<Provenance> {
        let Provenance { file, line, section } = from?;
        Some(Provenance {
            file: self.redact(&file),
            line,
            section: self.redact(&section),
        })
    }

    fn deviation(&self, deviation: Deviation) -> Deviation {
        let Deviation {
            kind,
            subject,
            what,
            why,
            from,
        } = deviation;
        Deviation {
            kind,
            subject: self.redact(&subject),
            what: self.redact(&what),
            why: self.redact(&why),
            from: self.provenance(from),
        }
    }

    fn decision(&self, decision: Decision) -> Decision {
        let Decision {
            stage,
            check,
            sentence,
            finding,
            weight,
            from,
            took_ms,
            exchange,
        } = decision;
        Decision {
            stage,
            check: self.redact(&check),
            sentence: self.redact(&sentence),
            finding: self.finding(finding),
            weight,
            from: self.provenance(from),
            took_ms,
            exchange: exchange.map(|exchange| Box::new(self.exchange(*exchange))),
        }
    }

    fn figures(&self, figures: LoadFigures) -> LoadFigures {
        let LoadFigures {
            of,
            asked,
            asked_per_1000_s,
            sent_per_1000_s,
            good_per_1000_s,
            due,
            sent,
            held_back,
            resent,
            most_under_way,
            right,
            good,
            took_ms,
            objective,
            late,
            time_to_first_token,
            inter_token_latency,
            end_to_end,
            wrong,
            pods,
            configured,
        } = figures;
        let text = |text: String| self.redact(&text);
        let counted = |counted: Vec<Counted>| {
            let each = |Counted { what, count }| Counted {
                what: text(what),
                count,
            };
            counted.into_iter().map(each).collect()
        };
        LoadFigures {
            of: text(of),
            asked: text(asked),
            asked_per_1000_s,
            sent_per_1000_s,
            good_per_1000_s,
            due,
            sent,
            held_back,
            resent,
            most_under_way,
            right,
            good,
            took_ms,
            objective,
            late,
            time_to_first_token,
            inter_token_latency,
            end_to_end,
            wrong: counted(wrong),
            pods: counted(pods),
            configured: configured.map(|configured| {
                let ConfiguredLatencies {
                    time_to_first_token,
                    inter_token_latency,
                } = configured;
                ConfiguredLatencies {
                    time_to_first_token: time_to_first_token.map(text),
                    inter_token_latency: inter_token_latency.map(text),
                }
            }),
        }
    }

    fn finding(&self, finding: Finding) -> Finding {
        match finding {
            Finding::Holds => Finding::Holds,
            Finding::Broken(fault) => Finding::Broken(self.fault(fault)),
            Finding::Undecided { why } => Finding::Undecided { why: self.redact(&why) },
            Finding::Skipped { why } => Finding::Skipped { why: self.redact(&why) },
        }
    }

    fn fault(&self, fault: Fault) -> Fault {
        let Fault {
            expected,
            actual,
            cause: Cause { code, by, evidence },
        } = fault;
        Fault {
            expected: self.redact(&expected),
            actual: self.redact(&actual),
            cause: Cause {
                code,
                by,
                evidence: self.lines(&evidence),
            },
        }
    }

    /// Lines redacted as one text: a private key may stand in several of them.
    fn lines(&self, lines: &[String]) -> Vec<String> {
        const BETWEEN: char = '\u{1e}';
        if lines.is_empty() {
            return Vec::new();
        }
        let text = self.redact(&lines.join(&BETWEEN.to_string()));
        text.split(BETWEEN).map(str::to_owned).collect()
    }

    /// A header: a value of any length is gone that is known under its name, and a secret is one in a name, too.
    fn header(&self, (name, value): (String, String)) -> (String, String) {
        let shown = self.redact(&name);
        if SECRET_HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header)) {
            return (shown, PLACEHOLDER.to_owned());
        }
        let before = format!("{name}: ");
        let line = self.redact(&format!("{before}{value}"));
        let value = line
            .strip_prefix(&before)
            .map_or_else(|| self.redact(&value), str::to_owned);
        (shown, value)
    }

    /// The beginning of a body, which ends where it was cut.
    fn beginning(&self, mut body: String) -> String {
        body.push(CUT);
        let shown = self.redact(&body);
        shown.strip_suffix(CUT).unwrap_or(&shown).to_owned()
    }

    fn exchange(&self, exchange: Exchange) -> Exchange {
        let Exchange {
            curl,
            attempt,
            status,
            headers,
            body,
            whole_body,
            head_ms,
            time_to_first_token_ms,
            inter_token_ms,
            took_ms,
            failure,
        } = exchange;
        let headers = headers.into_iter().map(|header| self.header(header)).collect();
        Exchange {
            curl: self.redact(&curl),
            attempt,
            status,
            headers,
            body: match &whole_body {
                None => self.redact(&body),
                Some(_) => self.beginning(body),
            },
            whole_body,
            head_ms,
            time_to_first_token_ms,
            inter_token_ms,
            took_ms,
            failure: failure.map(|failure| self.redact(&failure)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::{Stage, WholeBody},
        verdict::CauseCode,
    };

    const SECRET: &str = "correct-horse-battery";

    #[test]
    fn a_learned_secret_leaves_no_trace_in_any_field_of_a_decision() {
        let redactor = Redactor::new();
        redactor.learn(SECRET);
        let mut decision = Decision::new(
            Stage::Request,
            format!("check {SECRET}"),
            format!("sentence {SECRET}"),
            Finding::broken(SECRET, SECRET, Cause::new(CauseCode::ModelNotServed).because(SECRET)),
        );
        decision.exchange = Some(Box::new(Exchange {
            curl: format!("curl -H 'token: {SECRET}'"),
            attempt: 1,
            status: Some(200),
            headers: vec![("x-echo".into(), SECRET.into())],
            body: SECRET.into(),
            whole_body: None,
            head_ms: None,
            time_to_first_token_ms: None,
            inter_token_ms: None,
            took_ms: 1,
            failure: Some(SECRET.into()),
        }));
        let json = serde_json::to_string(&redactor.event(Event::Decided { decision })).unwrap();
        assert!(!json.contains(SECRET), "{json}");
        assert_eq!(json.matches(PLACEHOLDER).count(), 9);
    }

    #[test]
    fn a_secret_that_is_also_a_word_of_ours_does_not_break_the_event() {
        let redactor = Redactor::new();
        redactor.learn("deployment");
        let event = Event::Entered {
            stage: Stage::Deployment,
        };
        assert_eq!(redactor.event(event.clone()), event);
    }

    #[test]
    fn a_private_key_across_lines_of_evidence_is_gone() {
        let lines = [
            "-----BEGIN PRIVATE KEY-----",
            "MIIEvQ",
            "-----END PRIVATE KEY-----",
            "after",
        ]
        .map(str::to_owned);
        let kept = Redactor::new().lines(&lines);
        assert_eq!(kept, [PLACEHOLDER, "after"]);
    }

    fn answered(headers: &[(&str, &str)], body: &str, whole_body: Option<WholeBody>) -> Exchange {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Exchange {
            curl: String::new(),
            attempt: 1,
            status: None,
            headers: headers.iter().map(owned).collect(),
            body: body.to_owned(),
            whole_body,
            head_ms: None,
            time_to_first_token_ms: None,
            inter_token_ms: None,
            took_ms: 0,
            failure: None,
        }
    }

    #[test]
    fn headers_that_are_secrets_by_name_are_gone_whatever_they_hold() {
        let exchange = answered(&[("Set-Cookie", "a=b"), ("server", "envoy")], "", None);
        let headers = Redactor::new().exchange(exchange).headers;
        assert_eq!(headers[0].1, PLACEHOLDER);
        assert_eq!(headers[1].1, "envoy");
    }

    #[test]
    fn a_short_value_that_we_sent_in_a_header_is_gone_where_that_header_comes_back_and_a_secret_where_it_names_one() {
        let redactor = Redactor::new();
        redactor.learn(SECRET);
        redactor.learn_header("x-key", "ab");
        let exchange = answered(&[("x-key", "ab"), ("x-other", "ab"), (SECRET, "c")], "", None);
        let headers = redactor.exchange(exchange).headers;
        let shown: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(shown, [("x-key", PLACEHOLDER), ("x-other", "ab"), (PLACEHOLDER, "c")]);
    }

    #[test]
    fn of_a_secret_on_the_edge_of_a_body_that_was_cut_nothing_is_left() {
        let redactor = Redactor::new();
        redactor.learn(SECRET);
        let whole = WholeBody {
            bytes: 100,
            digest: "sha256:0".into(),
        };
        let exchange = answered(&[], &format!("said {}", &SECRET[..SECRET.len() - 1]), Some(whole));
        assert_eq!(redactor.exchange(exchange).body, format!("said {PLACEHOLDER}"));
    }
}
