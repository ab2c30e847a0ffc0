//! Charts: installed by `helm`, from the release's own tree where they are not published yet.

use std::{fs, path::Path, sync::Arc};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::ListParams};
use serde_json::Value;
use url::Url;

use super::{
    Carried, Deployer, Ownership,
    failure::{refused, tool_failed, unset},
    noting::Making,
};
use crate::{
    cluster::{
        inventory::{HelmRelease, Made},
        resources::persistently,
    },
    host::{Call, HostError},
    manifest::{self, Object},
    plan::{Action, Chart, Step},
    record::{Deviation, DeviationKind, Stage},
    release::RepoPath,
    verdict::{Cause, CauseCode, Fault},
};

/// The variable that names a mirror of chart registries, such as `https://mirror.example/charts`: a chart is below it under
/// the name of its own registry.
const MIRROR: &str = "QUICKPROOF_CHARTS_URL";

impl Deployer {
    pub(super) async fn install_chart(&self, step: &Step) -> Result<Carried, Fault> {
        let Action::Helm {
            release,
            chart,
            version,
            values,
            set,
            namespace,
            makes_namespace,
        } = &step.action
        else {
            return Err(unset("release"));
        };
        let expected = format!("helm installs {release}");
        let namespace = namespace.as_deref().unwrap_or(&self.site.namespace);
        self.site
            .events
            .waiting(Stage::Deployment, format!("helm release {release}"), "installing");
        if *makes_namespace {
            self.ensure_namespace_named(namespace).await?;
        }
        let call = self
            .helm()?
            .args(["install", release, "--namespace", namespace, "--output", "json"]);
        let mut call = self.with_values(call, values, set);
        call = match chart {
            Chart::Tree { directory } => call.arg(self.package(directory, version.as_deref(), &expected).await?),
            Chart::Published { reference } => {
                let call = self.fetched(call, reference, step, &expected)?;
                match version {
                    Some(version) => call.args(["--version", version]),
                    None => call,
                }
            }
        };
        let installing = self.site.host.run(&call);
        let makings = self.about_to_install(release, namespace, &expected).await?;
        let ended = self.noted(makings, &expected, installing).await?;
        let ended = ended.map_err(|error| tool_failed(&error, expected.clone()))?;
        if !ended.status.success() {
            let said = ended.last_words();
            let cause = match self.unmatched_kind(&said).await {
                Some(unknown) => unknown.because(said),
                None => self.failed_for(&said, CauseCode::HelmFailed).await,
            };
            return Err(Fault::new(expected, format!("helm ends with {}", ended.status), cause));
        }
        let answer: Value = serde_json::from_slice(&ended.stdout).map_err(|error| {
            Fault::new(
                expected.clone(),
                format!("helm's answer: {error}"),
                CauseCode::HostToolFailed,
            )
        })?;
        let rendered = answer["manifest"].as_str().unwrap_or_default();
        let source = format!("helm release {release}");
        let mut objects = manifest::read(&source, rendered.as_bytes())
            .map_err(|error| Fault::new(expected.clone(), error.to_string(), CauseCode::HelmFailed))?;
        for object in &mut objects {
            let named = object.namespace().is_some();
            let value = Arc::make_mut(&mut object.value);
            if let Some(metadata) = value["metadata"].as_object_mut().filter(|_| !named) {
                metadata.insert("namespace".into(), Value::String(namespace.to_owned()));
            }
        }
        let count = objects.len();
        self.deployed(|deployed| deployed.objects.extend(objects));
        Ok(Carried {
            sentence: Some(format!("helm release {release} is installed, {count} objects")),
        })
    }

    /// The objects that a chart of the tree would make, as helm renders it, without a word to the cluster.
    ///
    /// # Errors
    /// It cannot be rendered.
    pub(crate) async fn rendered(&self, step: &Step) -> Result<Vec<Object>, Fault> {
        let Action::Helm {
            release,
            chart: Chart::Tree { directory },
            version,
            values,
            set,
            namespace,
            ..
        } = &step.action
        else {
            return Ok(Vec::new());
        };
        let expected = format!("helm renders the chart of {release}");
        let package = self.package(directory, version.as_deref(), &expected).await?;
        let namespace = namespace.as_deref().unwrap_or(&self.site.namespace);
        let call = self
            .helm()?
            .args(["template", release, "--skip-tests", "--namespace", namespace]);
        let call = self.with_values(call, values, set);
        let ended = self.site.host.run_ok(&call.arg(package)).await;
        let ended = ended.map_err(|error| tool_failed(&error, expected.clone()))?;
        manifest::read("rendered chart", &ended.stdout)
            .map_err(|error| Fault::new(expected, error.to_string(), CauseCode::HelmFailed))
    }

    /// Adds the values of a step: files of the tree, and those that stand on its command line.
    fn with_values(&self, call: Call, values: &[RepoPath], set: &[String]) -> Call {
        let files = values.iter().map(|file| {
            let file = self.site.scratch.join("tree").join(file.as_str());
            ["--values".to_owned(), file.display().to_string()]
        });
        let set = set.iter().map(|value| ["--set".to_owned(), value.clone()]);
        call.args(files.chain(set).flatten())
    }

    /// Adds where a published chart is read: as the guide says, or from the mirror that the environment names.
    fn fetched(&self, call: Call, reference: &str, step: &Step, expected: &str) -> Result<Call, Fault> {
        let Some(mirror) = self.site.host.variable(MIRROR) else {
            return Ok(call.arg(reference));
        };
        let found =
            mirrored(reference, mirror).map_err(|actual| Fault::new(expected, actual, CauseCode::HostToolFailed))?;
        let Some(mirrored) = found else {
            return Ok(call.arg(reference));
        };
        self.site.events.deviate(Deviation {
            kind: DeviationKind::Substituted,
            subject: reference.to_owned(),
            what: format!("the chart is read from `{}`", mirrored.reference),
            why: format!("`{MIRROR}` names a mirror of chart registries"),
            from: Some(step.from.clone()),
        });
        Ok(match mirrored.scheme {
            Scheme::Encrypted => call.arg(mirrored.reference),
            Scheme::Plain => call.arg(mirrored.reference).arg("--plain-http"),
        })
    }

    /// Packages a chart of the tree with the tag as version and appVersion, as publication would. The tree was
    /// materialised below `scratch/tree`; `file://` dependencies are resolved there.
    async fn package(&self, directory: &str, version: Option<&str>, expected: &str) -> Result<String, Fault> {
        let source = self.site.scratch.join("tree").join(directory);
        let packages = self.site.scratch.join("charts");
        fs::create_dir_all(&packages).map_err(|source| {
            tool_failed(
                &HostError::Start {
                    command: format!("mkdir {}", packages.display()),
                    source,
                },
                expected.to_owned(),
            )
        })?;
        let mut call = self
            .helm()?
            .args(["package", "--dependency-update", "--destination"])
            .arg(packages.display().to_string());
        if let Some(version) = version {
            call = call.args(["--version", version, "--app-version", version]);
        }
        let call = call.arg(source.display().to_string());
        let ended = self
            .site
            .host
            .run(&call)
            .await
            .map_err(|error| tool_failed(&error, expected.to_owned()))?;
        if !ended.status.success() {
            return Err(Fault::new(
                expected.to_owned(),
                format!("helm cannot package {directory}"),
                Cause::new(CauseCode::HelmFailed).because(ended.last_words()),
            ));
        }
        packaged(&ended.text(), &packages).ok_or_else(|| {
            Fault::new(
                expected,
                format!("helm does not say where it put the package: {}", ended.text()),
                CauseCode::HostToolFailed,
            )
        })
    }

    /// What is about to be made by installing a chart. In somebody else's cluster the name must be free: helm would refuse,
    /// and the release that is there must not be taken for ours.
    async fn about_to_install(&self, release: &str, namespace: &str, expected: &str) -> Result<Vec<Making>, Fault> {
        if self.site.ownership == Ownership::Ours {
            return Ok(Vec::new());
        }
        let release = self.helm_release(release, namespace);
        let secrets: Api<Secret> = Api::namespaced(self.site.client.clone(), namespace);
        // The labels of every revision. Source: helm v3, `pkg/storage/driver/secrets.go`.
        let its = ListParams::default().labels(&format!("owner=helm,name={}", release.name));
        let found = persistently(self.site.away_limit(), || secrets.list_metadata(&its))
            .await
            .map_err(|trouble| refused(trouble, expected, &format!("helm release {namespace}/{}", release.name)))?;
        if !found.items.is_empty() {
            return Err(Fault::new(
                expected,
                format!(
                    "helm release {namespace}/{} exists and was not made by this step; it was left untouched",
                    release.name
                ),
                CauseCode::ObjectConflict,
            ));
        }
        let record = release.record();
        let made = Made::HelmRelease(release);
        let record = Making::told_by::<Secret>(self, made, Some(namespace), record);
        Ok(vec![record.marked_by(&self.site.run)])
    }

    /// How a release stands in the inventory before it is made.
    pub(super) fn helm_release(&self, name: &str, namespace: &str) -> HelmRelease {
        HelmRelease {
            cluster: self.site.reach.clone(),
            program: self.program("helm"),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: None,
        }
    }

    /// A call of helm in this run's cluster.
    pub(super) fn helm(&self) -> Result<Call, Fault> {
        Ok(self.programs()?.helm(&self.program("helm")))
    }
}

/// How a mirror is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Encrypted,
    Plain,
}

/// A chart's place in a mirror.
#[derive(Debug, PartialEq, Eq)]
struct Mirrored {
    reference: String,
    scheme: Scheme,
}

/// The place of a chart in a mirror, below the name of its own registry; `None` where it is in no registry.
///
/// # Errors
/// The mirror is no address of a registry.
fn mirrored(reference: &str, mirror: &str) -> Result<Option<Mirrored>, String> {
    let Some(path) = reference.strip_prefix("oci://") else {
        return Ok(None);
    };
    let none = || format!("`{MIRROR}` is no address of a registry; expected `https://HOST`, with a path or without");
    let url = Url::parse(mirror).map_err(|_| none())?;
    let scheme = match url.scheme() {
        "https" => Scheme::Encrypted,
        "http" => Scheme::Plain,
        _ => return Err(none()),
    };
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(none());
    }
    let host = url.host_str().ok_or_else(none)?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let below = url.path().trim_end_matches('/');
    Ok(Some(Mirrored {
        reference: format!("oci://{host}{port}{below}/{path}"),
        scheme,
    }))
}

/// The package's path in `Successfully packaged chart and saved it to: PATH`, if it lies where it was asked for.
fn packaged(said: &str, packages: &Path) -> Option<String> {
    said.lines()
        .filter_map(|line| line.rsplit_once(": "))
        .map(|(_, path)| path.trim())
        .find(|path| Path::new(path).starts_with(packages))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::encrypted("https://m.example", "oci://m.example/r.example/charts/a", Scheme::Encrypted)]
    #[case::below_a_path(
        "https://m.example/oci/",
        "oci://m.example/oci/r.example/charts/a",
        Scheme::Encrypted
    )]
    #[case::plain("http://127.0.0.1:5000", "oci://127.0.0.1:5000/r.example/charts/a", Scheme::Plain)]
    fn a_chart_is_in_a_mirror_below_its_own_registry(
        #[case] mirror: &str,
        #[case] reference: &str,
        #[case] scheme: Scheme,
    ) {
        let found = mirrored("oci://r.example/charts/a", mirror).unwrap().unwrap();
        assert_eq!((found.reference.as_str(), found.scheme), (reference, scheme));
        assert_eq!(mirrored("https://r.example/charts", mirror), Ok(None));
    }

    #[rstest]
    #[case::no_scheme("m.example")]
    #[case::other_scheme("oci://m.example")]
    #[case::with_a_password("https://me:secret@m.example")]
    #[case::with_a_query("https://m.example?a=b")]
    fn a_mirror_that_is_no_registry_is_said_and_not_repeated(#[case] mirror: &str) {
        let error = mirrored("oci://r.example/charts/a", mirror).unwrap_err();
        assert!(error.contains(MIRROR) && !error.contains("secret"), "{error}");
    }

    #[test]
    fn the_packages_path_is_read_from_helms_words() {
        let said = "Saving 1 charts\nSuccessfully packaged chart and saved it to: /s/charts/inferencepool-v1.5.0.tgz";
        let path = packaged(said, Path::new("/s/charts"));
        assert_eq!(path.as_deref(), Some("/s/charts/inferencepool-v1.5.0.tgz"));
        assert_eq!(packaged(said, Path::new("/other")), None);
    }
}
