//! A provider that guides have no tab for: another's tab is followed, and what is the other's is replaced.

use super::{
    Action, PlanError, Provider, Step,
    planner::{NotPlanned, Planned, Planner},
};
use crate::{
    guide::{Body, Command, Guide, Simple},
    record::{DeviationKind, Provenance},
    release::{Release, RepoPath},
};

/// Sees to it that the release ships what takes the place of the other provider's files.
///
/// # Errors
/// It ships none of it: the provider cannot be tried with this release, and nobody promised that it can.
pub(super) fn possible(release: &Release, provider: &Provider) -> Result<(), PlanError> {
    let Some(borrowed) = &provider.borrowed_tab else {
        return Ok(());
    };
    if borrowed.files.values().any(|file| release.tree.exists(file)) {
        return Ok(());
    }
    Err(PlanError::NotShipped {
        provider: provider.name.clone(),
        files: borrowed
            .files
            .values()
            .map(|file| format!("`{file}`"))
            .collect::<Vec<_>>()
            .join(", "),
    })
}

impl Planner<'_> {
    /// Says whose tab is followed.
    pub(super) fn say_borrowed_tab(&mut self, guide: &Guide) {
        let Some(borrowed) = &self.provider.borrowed_tab else {
            return;
        };
        let titles = guide.blocks.iter().flat_map(|block| &block.tabs);
        let mut followed: Vec<String> = titles
            .filter(|title| borrowed.tab.matches(title))
            .map(|title| format!("`{title}`"))
            .collect();
        followed.sort();
        followed.dedup();
        self.deviate(
            DeviationKind::Substituted,
            format!("tab for {}", self.provider.name),
            format!("the tab {} is followed in its place", followed.join(", ")),
            borrowed.why.clone(),
            None,
        );
    }

    /// The command that installs the other provider: our manifests stand in for it.
    pub(super) fn install_by_manifests(&mut self, command: &Command) -> Result<Option<Planned>, NotPlanned> {
        let (provider, at) = (self.provider, &command.at);
        let (Some(manifests), Body::Pipeline(pipeline)) = (&provider.manifests, &command.body) else {
            return Ok(None);
        };
        let is_in = |simple: &Simple, part: &String| simple.words.iter().any(|word| word.raw.contains(part));
        let mut parts = manifests.in_place_of.iter();
        let Some(install) = parts.find(|part| pipeline.0.iter().any(|simple| is_in(simple, part))) else {
            return Ok(None);
        };
        if self.steps.iter().any(installs) {
            let why = format!("{} stand already", manifests.version);
            self.deviate(
                DeviationKind::LeftOut,
                install.clone(),
                "it is left out",
                why.clone(),
                Some(at),
            );
            return Ok(Some(Planned::new("it is left out", Action::LeftOut { why })));
        }
        // A test rules it out; were it so all the same, nothing would be installed, and that is no pass.
        let objects = provider
            .objects()
            .map_err(|error| NotPlanned::Unsupported(error.to_string()))?;
        self.deviate(
            DeviationKind::Substituted,
            install.clone(),
            format!(
                "{} are installed by {} objects of quickproof's own manifests in its place",
                manifests.version,
                objects.len()
            ),
            manifests.why.clone(),
            Some(at),
        );
        let action = Action::InstallManifests {
            provider: provider.name.clone(),
            objects,
            witness: manifests.witness.clone(),
        };
        let sentence = format!("{} are installed", manifests.version);
        Ok(Some(Planned::new(sentence, action)))
    }

    /// Whether the commands that were drawn install the provider.
    ///
    /// # Errors
    /// It has manifests, and no command was there whose place they could take.
    pub(super) fn installs_manifests(&self) -> Result<(), PlanError> {
        match &self.provider.manifests {
            Some(manifests) if !self.steps.iter().any(installs) => Err(PlanError::NothingToReplace {
                provider: self.provider.name.clone(),
                install: manifests.in_place_of.join("` or `"),
            }),
            _ => Ok(()),
        }
    }

    /// The file that takes the place of one of the other provider's, with an entry in the ledger.
    pub(super) fn in_place_of(&mut self, path: &str, source: &str, at: &Provenance) -> Option<RepoPath> {
        let borrowed = self.provider.borrowed_tab.as_ref()?;
        let other = borrowed.files.get(&path.parse::<RepoPath>().ok()?)?.clone();
        self.deviate(
            DeviationKind::Substituted,
            source,
            format!("`{other}` of the tree is used"),
            format!("`{path}` is of the provider whose tab stands in"),
            Some(at),
        );
        Some(other)
    }
}

fn installs(step: &Step) -> bool {
    matches!(step.action, Action::InstallManifests { .. })
}
