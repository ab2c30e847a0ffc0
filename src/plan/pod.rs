//! `kubectl run … -- …`: a pod that a reader starts only to send a request from inside the cluster.

use super::{
    Action,
    planner::{Invocation, NotPlanned, Planned, Planner},
};
use crate::{
    guide::{Argument, Arguments, Program, Reading, Session, script},
    record::DeviationKind,
    verdict::{Cause, CauseCode, Fault},
};

/// Flags of `kubectl run` that say where the pod runs and how it is looked at, and nothing of what is asked.
const OF_A_POD: &[&str] = &[
    "-n",
    "-i",
    "-t",
    "--rm",
    "--restart",
    "--image",
    "--env",
    "--command",
    "-q",
    "--attach",
];

/// Why no pod is made.
const NO_POD: &str = "a pod that only sends a request adds an image and nothing to what is tested";

impl Planner<'_> {
    /// `kubectl run NAME … -- sh -c 'curl …'`: the request is sent by us. A shell that is only opened is left out.
    pub(super) fn pod(
        &mut self,
        run: &Invocation<'_>,
        arguments: &Arguments,
        inner: &[Argument],
    ) -> Result<Planned, NotPlanned> {
        arguments.only(OF_A_POD)?;
        let name = arguments.positional.get(1).map(Argument::shown).unwrap_or_default();
        if inner.first().is_some_and(|program| program.is("curl")) {
            self.say_no_pod(run, &name);
            return self.curl(&Invocation {
                words: inner,
                input: None,
                ..*run
            });
        }
        let is_shell = inner.first().is_some_and(|program| {
            let program = program.shown();
            matches!(program.rsplit('/').next(), Some("sh" | "bash" | "ash"))
        });
        match inner {
            [_] if is_shell => {
                self.deviate(
                    DeviationKind::LeftOut,
                    format!("pod {name}"),
                    "no shell is opened in a pod; what the guide types there is done by quickproof",
                    NO_POD,
                    Some(run.at),
                );
                let why = NO_POD.to_owned();
                Ok(Planned::new("the pod is left out", Action::LeftOut { why }))
            }
            [_, flag, text] if is_shell && flag.is("-c") => {
                let text = text.text()?;
                self.say_no_pod(run, &name);
                self.asked_in_a_pod(run, arguments, &text)
            }
            _ => Err(NotPlanned::Unsupported("it runs a program in a pod".into())),
        }
    }

    fn say_no_pod(&mut self, run: &Invocation<'_>, name: &str) {
        self.deviate(
            DeviationKind::Substituted,
            format!("run {name}"),
            "the request is sent by quickproof and not by a pod",
            NO_POD,
            Some(run.at),
        );
    }

    /// The request of a text that the pod's shell reads; of variables it knows those of `--env` alone.
    fn asked_in_a_pod(
        &mut self,
        run: &Invocation<'_>,
        arguments: &Arguments,
        text: &str,
    ) -> Result<Planned, NotPlanned> {
        let mut session = Session::new(&[]);
        for variable in arguments.values("--env") {
            let variable = variable.passed()?;
            let Some((name, _)) = variable.start().split_once('=') else {
                return Err(NotPlanned::Unsupported("`--env` lacks `NAME=`".into()));
            };
            session.set(name, variable.without(name.len() + 1));
        }
        let commands = script(&run.at.file, text, run.at.line);
        let [command] = commands.as_slice() else {
            return Err(NotPlanned::Unsupported(format!(
                "the pod runs {} commands",
                commands.len()
            )));
        };
        let reading = session.read(command);
        let Reading::Programs(programs) = &reading else {
            return Err(NotPlanned::Unsupported(format!("the pod runs `{}`", command.raw)));
        };
        if let Some(unset) = reading.unset().first() {
            let name = &unset.name;
            return Err(Fault::new(
                format!("`{name}` is set in the pod"),
                format!("no `--env` gives `{name}` to the pod, so its shell puts nothing in its place"),
                Cause::new(CauseCode::ShellVariableUnset).because(command.raw.clone()),
            )
            .into());
        }
        let is_shown_by = |program: &Program| matches!(program.name.as_str(), "jq" | "head" | "cat");
        match programs.as_slice() {
            [asks, shows @ ..] if asks.name == "curl" && shows.iter().all(is_shown_by) => {
                asks.is_clear()?;
                self.curl(&Invocation {
                    at: run.at,
                    words: &asks.words,
                    input: None,
                    single_quoted: &[],
                })
            }
            _ => Err(NotPlanned::Unsupported(format!("the pod runs `{}`", command.raw))),
        }
    }
}
