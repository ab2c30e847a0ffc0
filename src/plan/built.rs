//! Objects that are made of others before they are applied: kustomizations of the tree, and CRDs of other projects.

use super::{
    NotBuilt,
    planner::{Invocation, NotPlanned, Planner},
    source::missing,
};
use crate::{
    manifest::Object,
    record::DeviationKind,
    release::{RepoPath, kustomization, schemas::Schema},
    verdict::{Cause, CauseCode, Fault},
};

impl Planner<'_> {
    /// The objects of a kustomization of the tree, as `kubectl kustomize` makes them. What it leads to is looked at first, so
    /// that nothing is asked of the web.
    pub(super) fn built(&mut self, directory: &RepoPath) -> Result<Vec<Object>, NotPlanned> {
        let Some(file) = kustomization::file_in(self.release, directory) else {
            if self.release.tree.list(directory).is_ok_and(|files| !files.is_empty()) {
                return Err(Fault::new(
                    format!("`{directory}` is a kustomization"),
                    "the directory holds no `kustomization.yaml`",
                    CauseCode::GuideReferenceMissing,
                )
                .into());
            }
            return Err(missing(directory.as_str()));
        };
        let walk = kustomization::walk(self.release, &file);
        if let Some(fault) = walk.faults.first() {
            let named = &fault.at;
            let cause = Cause::new(CauseCode::ManifestUnreadable).because(format!(
                "`{}` names `{}`: {}",
                named.file,
                named.name,
                fault.kind.words()
            ));
            let expected = format!("`kubectl kustomize {directory}` succeeds");
            return Err(Fault::new(expected, format!("`{}`: {}", named.name, fault.kind.words()), cause).into());
        }
        if let Some(named) = walk.remote.first() {
            return Err(NotPlanned::Unsupported(format!(
                "`{}` takes `{}` from the web, and only the release's own files are carried out",
                named.file, named.name
            )));
        }
        match self.options.built_kustomizations.get(directory) {
            Some(Ok(objects)) => {
                self.memory.for_objects(objects)?;
                Ok(objects.to_vec())
            }
            Some(Err(NotBuilt::Fails(why))) => {
                let cause = Cause::new(CauseCode::ManifestUnreadable).because(why.clone());
                let expected = format!("`kubectl kustomize {directory}` succeeds");
                Err(Fault::new(expected, why.clone(), cause).into())
            }
            Some(Err(NotBuilt::NotTried(why))) => {
                Err(NotPlanned::Undecided(format!("`{directory}` was not built: {why}")))
            }
            None => {
                if !self.unbuilt.contains(directory) {
                    self.unbuilt.push(directory.clone());
                }
                let why = "`kubectl kustomize` was not asked what it makes of it";
                Err(NotPlanned::Undecided(format!("`{directory}` was not built: {why}")))
            }
        }
    }

    /// The CRDs of another project that an address names, had from its Go module; `None` for any other address.
    pub(super) fn of_schemas(&mut self, source: &str, run: &Invocation<'_>) -> Option<Vec<Object>> {
        let layout = self.layout;
        let (schema, version) = layout
            .schemas
            .iter()
            .find_map(|schema| Some((schema, schema.version_in(source)?)))?;
        let schema = Schema {
            module: schema.module.clone(),
            version,
            folder: schema.folder.clone(),
            files: schema.files.clone(),
            url: (!source.contains("?ref=")).then(|| source.to_owned()),
            step: Some(self.steps.len()),
        };
        let of = if schema.files.is_empty() {
            String::new()
        } else {
            format!("{} of ", schema.files.join(", "))
        };
        let what = format!(
            "the objects are those in {of}`{}` of {} {}",
            schema.folder, schema.module, schema.version
        );
        let why = "a Go module can be had where only package registries are reachable";
        self.deviate(DeviationKind::Substituted, source, what, why, Some(run.at));
        self.schemas.push(schema);
        Some(Vec::new())
    }
}
