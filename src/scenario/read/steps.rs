//! The steps of a scenario, each by its kind, with names by which their checks are told apart.

use super::{
    Reader,
    words::{Mistake, check_name, mistake},
};
use crate::scenario::{
    Change, Step, WithStep,
    file::{StepFile, WithFile},
};

/// The most steps of one scenario, those inside changes counted.
const MOST_STEPS: usize = 50;
/// The most pods that something is scaled to.
const MOST_PODS: u16 = 20;

/// Whether a step must have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// It is the only one.
    Free,
    /// There are others.
    Needed,
}

impl Reader {
    /// The steps that stand at a place.
    pub(super) fn steps(&mut self, at: &str, written: Vec<StepFile>, naming: Naming) -> Result<Vec<Step>, Mistake> {
        let count = written.len();
        self.count += count;
        if count == 0 || self.count > MOST_STEPS {
            let why = format!("a scenario has 1 to {MOST_STEPS} steps, this has {}", self.count);
            return Err(mistake(at, "", why));
        }
        let naming = if count > 1 { Naming::Needed } else { naming };
        let mut steps = Vec::new();
        for (index, step) in written.into_iter().enumerate() {
            let at = format!("{at}/{index}");
            steps.push(match step {
                StepFile::Request(request) => {
                    let at = format!("{at}/request");
                    self.name(&at, request.name.as_deref(), naming)?;
                    Step::Request(Box::new(self.request(&at, *request)?))
                }
                StepFile::Load(load) => {
                    let at = format!("{at}/load");
                    self.name(&at, load.name.as_deref(), naming)?;
                    Step::Load(Box::new(self.load(&at, *load)?))
                }
                StepFile::With(with) => Step::With(Box::new(self.with(&format!("{at}/with"), *with, naming)?)),
            });
        }
        Ok(steps)
    }

    fn name(&mut self, at: &str, name: Option<&str>, naming: Naming) -> Result<(), Mistake> {
        match name {
            Some(name) => {
                check_name(&format!("{at}/name"), name)?;
                if !self.names.insert(name.to_owned()) {
                    let why = format!("another step is called `{name}`");
                    return Err(mistake(format!("{at}/name"), "", why));
                }
                Ok(())
            }
            None if naming == Naming::Needed => {
                let why = "`name` is missing; where there are several steps each has one";
                Err(mistake(at, "", why))
            }
            None => Ok(()),
        }
    }

    fn with(&mut self, at: &str, written: WithFile, naming: Naming) -> Result<WithStep, Mistake> {
        if !self.has_cluster {
            let why = "a step that changes the cluster needs `needs: {capabilities: [cluster]}`";
            return Err(mistake(at, "", why));
        }
        if self.under.is_some() {
            let why = "a change stands inside of another; write one after the other";
            return Err(mistake(at, "", why));
        }
        self.name(at, written.name.as_deref(), naming)?;
        let to = u16::try_from(written.scale.to).ok().filter(|to| *to <= MOST_PODS);
        let to = to.ok_or_else(|| {
            mistake(
                format!("{at}/scale/to"),
                "",
                format!("0 to {MOST_PODS} pods are possible"),
            )
        })?;
        let what = written.scale.what;
        let change = Change::Scale { what, to };
        self.under = Some(change);
        let steps = self.steps(&format!("{at}/steps"), written.steps, naming)?;
        self.under = None;
        Ok(WithStep {
            name: written.name,
            change,
            steps,
        })
    }
}
