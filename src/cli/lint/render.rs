//! Charts rendered for lint: `helm template`, where helm is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::task::JoinSet;

use crate::{
    host::{Call, Host, files, in_words},
    images,
    lint::{self, ChartUse, Combination, NotRendered, Rendered},
    manifest,
    release::{Release, RepoPath},
};

/// How long one call of helm may take; packaging a chart that has dependencies elsewhere asks a registry.
const HELM_LIMIT: Duration = Duration::from_mins(1);

/// helm, with nothing of the user's own configuration.
#[derive(Clone)]
struct Helm {
    host: Host,
    program: PathBuf,
    /// Where it may write.
    scratch: PathBuf,
}

/// Renders every chart of the tree that a plan installs, each with the values it is installed with.
///
/// helm is never built for this, which takes minutes. A chart that cannot be rendered is in the result, with the reason.
pub(super) async fn charts(host: &Host, release: &Release, combinations: &[Combination]) -> Rendered {
    let uses: BTreeSet<ChartUse> = combinations.iter().flat_map(Combination::charts).collect();
    if uses.is_empty() {
        return Rendered::new();
    }
    let not_tried = |uses: BTreeSet<ChartUse>, why: String| -> Rendered {
        let why = NotRendered::NotTried(why);
        uses.into_iter().map(|chart| (chart, Err(why.clone()))).collect()
    };
    let (program, scratch) = match (images::found(host, "helm").await, tempfile::tempdir()) {
        (Ok(program), Ok(scratch)) => (program, scratch),
        (Err(error), _) => return not_tried(uses, in_words(&error)),
        (_, Err(error)) => return not_tried(uses, in_words(&error)),
    };
    let helm = Helm {
        host: host.clone(),
        program,
        scratch: scratch.path().to_owned(),
    };
    // helm writes beside what it reads, and a chart may lean on its neighbours (`file://../x`).
    let mut rendered = Rendered::new();
    let homes: BTreeSet<RepoPath> = uses.iter().filter_map(|chart| chart.directory.parent()).collect();
    for home in &homes {
        if let Err(error) = release
            .tree
            .materialize(home, &helm.scratch.join("tree").join(home.as_str()))
        {
            return not_tried(uses, in_words(&error));
        }
    }
    for file in uses.iter().flat_map(|chart| &chart.values) {
        if let Err(error) = copy(release, file, &helm.scratch.join("tree").join(file.as_str())) {
            return not_tried(uses, in_words(error.as_ref()));
        }
    }
    let mut by_package: BTreeMap<(RepoPath, Option<String>), Vec<ChartUse>> = BTreeMap::new();
    for chart in uses {
        let package = (chart.directory.clone(), chart.version.clone());
        by_package.entry(package).or_default().push(chart);
    }
    let mut working = JoinSet::new();
    for (number, ((directory, version), uses)) in by_package.into_iter().enumerate() {
        let helm = helm.clone();
        working.spawn(async move { helm.render(&directory, version.as_deref(), uses, number).await });
    }
    while let Some(done) = working.join_next().await {
        rendered.extend(done.into_iter().flatten());
    }
    rendered
}

/// Puts one file of the tree on disk.
fn copy(release: &Release, file: &RepoPath, to: &Path) -> anyhow::Result<()> {
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(to, release.tree.read(file)?)?;
    Ok(())
}

impl Helm {
    /// Packages a chart as publication would, and renders the package for each use.
    async fn render(
        self,
        directory: &RepoPath,
        version: Option<&str>,
        uses: Vec<ChartUse>,
        number: usize,
    ) -> Vec<(ChartUse, Result<std::sync::Arc<[crate::manifest::Object]>, NotRendered>)> {
        let package = match self.package(directory, version, number).await {
            Ok(package) => package,
            Err(why) => {
                return uses.into_iter().map(|chart| (chart, Err(why.clone()))).collect();
            }
        };
        let mut working = JoinSet::new();
        for chart in uses {
            let (helm, package) = (self.clone(), package.clone());
            working.spawn(async move {
                let objects = helm.template(&chart, &package).await;
                (chart, objects)
            });
        }
        working.join_all().await
    }

    async fn package(
        &self,
        directory: &RepoPath,
        version: Option<&str>,
        number: usize,
    ) -> Result<PathBuf, NotRendered> {
        let packages = self.scratch.join(format!("packages-{number}"));
        fs::create_dir_all(&packages).map_err(|error| NotRendered::NotTried(error.to_string()))?;
        let mut call = self
            .call(&["package", "--dependency-update", "--destination"])
            .arg(packages.display().to_string());
        if let Some(version) = version {
            call = call.args(["--version", version, "--app-version", version]);
        }
        let chart = self.scratch.join("tree").join(directory.as_str());
        let ended = self.host.run_ok(&call.arg(chart.display().to_string())).await;
        ended.map_err(|error| {
            // With a dependency elsewhere it may as well be a registry that does not answer: no fault is proven then.
            if leans_on_a_registry(&chart) {
                NotRendered::NotTried(in_words(&error))
            } else {
                NotRendered::Fails(in_words(&error))
            }
        })?;
        only_file(&packages)
            .ok_or_else(|| NotRendered::NotTried("helm says it packaged the chart, and no file is there".into()))
    }

    async fn template(
        &self,
        chart: &ChartUse,
        package: &Path,
    ) -> Result<std::sync::Arc<[crate::manifest::Object]>, NotRendered> {
        let mut call = self
            .call(&["template", "--include-crds"])
            .args([chart.release.clone(), package.display().to_string()]);
        for file in &chart.values {
            let file = self.scratch.join("tree").join(file.as_str());
            call = call.arg("--values").arg(file.display().to_string());
        }
        for value in &chart.set {
            call = call.args(["--set", value]);
        }
        if let Some(namespace) = &chart.namespace {
            call = call.args(["--namespace", namespace]);
        }
        let ended = self
            .host
            .run(&call)
            .await
            .map_err(|error| NotRendered::NotTried(in_words(&error)))?;
        if !ended.status.success() {
            return Err(NotRendered::Fails(ended.last_words()));
        }
        lint::rendered(&chart.directory, &String::from_utf8_lossy(&ended.stdout))
            .map_err(|error| NotRendered::Fails(error.to_string()))
    }

    fn call(&self, arguments: &[&str]) -> Call {
        let home = self.scratch.join("helm").display().to_string();
        Call::new(self.program.display().to_string())
            .args(arguments.iter().copied())
            .variable("HELM_CACHE_HOME", format!("{home}/cache"))
            .variable("HELM_CONFIG_HOME", format!("{home}/config"))
            .variable("HELM_DATA_HOME", format!("{home}/data"))
            .time_limit(HELM_LIMIT)
    }
}

/// The most bytes of a `Chart.yaml`.
const MOST_CHART: u64 = 1 << 20;

/// Whether a chart has a dependency that is not beside it; one whose `Chart.yaml` cannot be read has none.
fn leans_on_a_registry(chart: &Path) -> bool {
    let read = files::read(&chart.join("Chart.yaml"), MOST_CHART).ok();
    let read = read.and_then(|bytes| manifest::document::<serde_json::Value>("Chart.yaml", &bytes).ok());
    let dependencies = read.map(|chart| chart["dependencies"].clone()).unwrap_or_default();
    dependencies.as_array().into_iter().flatten().any(|dependency| {
        let repository = dependency["repository"].as_str().unwrap_or_default();
        !repository.is_empty() && !repository.starts_with("file://")
    })
}

fn only_file(directory: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(directory).ok()?;
    Some(entries.next()?.ok()?.path())
}
