//! A provider that guides have no tab for: another's tab is followed, and what is the other's is replaced.

use super::{
    Action, PlanError, Provider, Step,
    draft::{Draft, Drawn, Stop},
};
use crate::{
    guide::{Guide, Pipeline, Simple},
    manifest::Object,
    record::{DeviationKind, Provenance},
    release::{Release, RepoPath},
};

/// Sees to it that the release ships what takes the place of the other provider's files.
///
/// # Errors
/// It ships none of it: the provider cannot be tried with this release, and nobody promised that it can.
pub(super) fn possible(release: &Release, provider: &Provider) -> Result<(), PlanError> {
    let Some(stand_in) = &provider.stand_in else {
        return Ok(());
    };
    if stand_in.files.values().any(|file| release.tree.exists(file)) {
        return Ok(());
    }
    Err(PlanError::NotShipped {
        provider: provider.name.clone(),
        files: stand_in
            .files
            .values()
            .map(|file| format!("`{file}`"))
            .collect::<Vec<_>>()
            .join(", "),
    })
}

impl Draft<'_> {
    /// Says whose tab is followed.
    pub(super) fn say_stand_in(&mut self, guide: &Guide) {
        let Some(stand_in) = &self.provider.stand_in else {
            return;
        };
        let titles = guide.blocks.iter().flat_map(|block| &block.tabs);
        let mut followed: Vec<String> = titles
            .filter(|title| stand_in.tab.matches(title))
            .map(|title| format!("`{title}`"))
            .collect();
        followed.sort();
        followed.dedup();
        self.deviate(
            DeviationKind::Substituted,
            format!("tab for {}", self.provider.name),
            format!("the tab {} is followed in its place", followed.join(", ")),
            stand_in.why.clone(),
            None,
        );
    }

    /// The command that installs the other provider: our manifests stand in for it.
    pub(super) fn install_by_manifests(&mut self, at: &Provenance, pipeline: &Pipeline) -> Result<Option<Drawn>, Stop> {
        let provider = self.provider;
        let (Some(stand_in), Some(manifests)) = (&provider.stand_in, &provider.manifests) else {
            return Ok(None);
        };
        let names = |simple: &Simple| simple.words.iter().any(|word| word.raw.contains(&stand_in.install));
        if !pipeline.0.iter().any(names) {
            return Ok(None);
        }
        // A test rules it out; were it so all the same, nothing would be installed, and that is no pass.
        let objects = provider
            .objects()
            .map_err(|error| Stop::Unsupported(error.to_string()))?;
        self.images.extend(objects.iter().flat_map(Object::images));
        self.images.extend(manifests.images.iter().cloned());
        self.deviate(
            DeviationKind::Substituted,
            stand_in.install.clone(),
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
        Ok(Some(Drawn::new(self.check("install", at), sentence, action)))
    }

    /// Whether the commands that were drawn install the provider.
    ///
    /// # Errors
    /// It has manifests, and no command was there whose place they could take.
    pub(super) fn installs_manifests(&self) -> Result<(), PlanError> {
        let installed = |step: &Step| matches!(step.action, Action::InstallManifests { .. });
        match &self.provider.stand_in {
            Some(stand_in) if !self.steps.iter().any(installed) => Err(PlanError::NothingToReplace {
                provider: self.provider.name.clone(),
                install: stand_in.install.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// The file that takes the place of one of the other provider's, with an entry in the ledger.
    pub(super) fn in_place_of(&mut self, path: &str, source: &str, at: &Provenance) -> Option<RepoPath> {
        let stand_in = self.provider.stand_in.as_ref()?;
        let other = stand_in.files.get(&path.parse::<RepoPath>().ok()?)?.clone();
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
