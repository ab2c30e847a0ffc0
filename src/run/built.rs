//! Kustomizations of the tree, built by `kubectl kustomize` from copies of what they lead to. Nothing is asked of the web: what
//! would be is refused before, when the plan is drawn.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use crate::{
    host::{Call, Host, HostError, in_words},
    manifest::{self, Object},
    plan::NotBuilt,
    release::{Release, RepoPath, kustomization},
};

/// How long building one may take; the largest upstream takes a fraction of a second.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// What `kubectl kustomize` makes of directories of the tree, or why nothing of one.
pub(crate) async fn built(
    host: &Host,
    release: &Release,
    directories: impl IntoIterator<Item = RepoPath>,
) -> BTreeMap<RepoPath, Result<Arc<[Object]>, NotBuilt>> {
    let directories: Vec<RepoPath> = directories.into_iter().collect();
    let not_tried = |why: &dyn std::error::Error| NotBuilt::NotTried(in_words(why));
    let scratch = match tempfile::tempdir() {
        Ok(scratch) => Arc::new(scratch),
        Err(error) => {
            let why = not_tried(&error);
            return directories
                .into_iter()
                .map(|directory| (directory, Err(why.clone())))
                .collect();
        }
    };
    let mut all = BTreeMap::new();
    let mut working = JoinSet::new();
    for directory in directories {
        if let Err(error) = copy(release, &directory, scratch.path()) {
            all.insert(directory, Err(NotBuilt::NotTried(format!("{error:#}"))));
            continue;
        }
        let (host, scratch) = (host.clone(), scratch.clone());
        working.spawn(async move {
            let objects = build(&host, &directory, scratch.path()).await;
            (directory, objects)
        });
    }
    all.extend(working.join_all().await);
    all
}

/// Puts what a kustomization leads to on disk.
fn copy(release: &Release, directory: &RepoPath, to: &Path) -> anyhow::Result<()> {
    let Some(file) = kustomization::file_in(release, directory) else {
        return Ok(());
    };
    for file in kustomization::walk(release, &file).files {
        let target = to.join(file.as_str());
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(target, release.tree.read(&file)?)?;
    }
    Ok(())
}

async fn build(host: &Host, directory: &RepoPath, scratch: &Path) -> Result<Arc<[Object]>, NotBuilt> {
    let call = Call::new("kubectl")
        .arg("kustomize")
        .arg(scratch.join(directory.as_str()).display().to_string())
        .time_limit(TIME_LIMIT);
    let ended = host
        .run(&call)
        .await
        .map_err(|error: HostError| NotBuilt::NotTried(in_words(&error)))?;
    let root = format!("{}/", scratch.display());
    // Killed, or without a word: that is this machine's, and says nothing of the files.
    if !ended.status.success() && (ended.status.code().is_none() || ended.last_words().trim().is_empty()) {
        return Err(NotBuilt::NotTried(format!(
            "`kubectl kustomize` ended with {}",
            ended.status
        )));
    }
    if !ended.status.success() {
        return Err(NotBuilt::Fails(ended.last_words().replace(&root, "")));
    }
    // Where in the files an object comes from kustomize does not say.
    let source = format!("{directory}/{}", kustomization::FILES[0]);
    let mut objects = manifest::read(&source, &ended.stdout).map_err(|error| NotBuilt::Fails(error.to_string()))?;
    for object in &mut objects {
        object.line = 1;
    }
    Ok(objects.into())
}
