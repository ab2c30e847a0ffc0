//! The Prow job that this process is part of, as its environment says: where its artifacts go, and where they will be read.
//!
//! Nothing here is uploaded: Prow's sidecar does that once the job is over.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::host::Host;

/// A Prow job whose artifacts are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProwJob {
    /// Its directory of artifacts.
    pub(super) artifacts: PathBuf,
    /// The address at which that directory will be read; `None` where the job does not say enough.
    address: Option<String>,
}

/// What `JOB_SPEC` says, as far as it says where artifacts go. Source: Prow, `pkg/pod-utils/downwardapi/jobspec.go`.
#[derive(Debug, Deserialize)]
struct JobSpec {
    r#type: String,
    job: String,
    buildid: String,
    refs: Option<Refs>,
    decoration_config: Option<DecorationConfig>,
}

#[derive(Debug, Deserialize)]
struct Refs {
    org: String,
    repo: String,
    #[serde(default)]
    pulls: Vec<Pull>,
}

#[derive(Debug, Deserialize)]
struct Pull {
    number: u64,
}

#[derive(Debug, Deserialize)]
struct DecorationConfig {
    gcs_configuration: Option<Storage>,
}

#[derive(Debug, Deserialize)]
struct Storage {
    bucket: String,
    #[serde(default)]
    path_prefix: String,
    #[serde(default)]
    path_strategy: String,
    #[serde(default)]
    default_org: String,
    #[serde(default)]
    default_repo: String,
}

impl ProwJob {
    /// The job that the environment tells of; `None` outside of Prow, and in a job that is not decorated and keeps nothing.
    pub(super) fn of(host: &Host) -> Option<Self> {
        let said = |name| host.variable(name).filter(|value| !value.is_empty());
        said("PROW_JOB_ID")?;
        let artifacts = said("ARTIFACTS")?.into();
        let spec = said("JOB_SPEC").and_then(|text| serde_json::from_str::<JobSpec>(text).ok());
        Some(Self {
            artifacts,
            address: spec.and_then(|spec| spec.address()),
        })
    }

    /// Where the artifacts keep what a run came to.
    pub(super) fn metadata(&self) -> PathBuf {
        self.artifacts.join("metadata.json")
    }

    /// The file that Prow's page shows as a link, and the address in it: that of a run's text report. `None` where the report is
    /// not among the artifacts, or nobody knows where they will be.
    pub(super) fn link_to(&self, run: &Path) -> Option<(PathBuf, String)> {
        let below = run.strip_prefix(&self.artifacts).ok()?.to_str()?;
        let address = format!("{}/{below}/report.txt", self.address.as_ref()?);
        let name = format!("quickproof-{}.link.txt", run.file_name()?.to_str()?);
        Some((self.artifacts.join(name), address))
    }
}

impl JobSpec {
    /// The address of the artifacts, in a public bucket of Google Cloud Storage.
    fn address(&self) -> Option<String> {
        let storage = self.decoration_config.as_ref()?.gcs_configuration.as_ref()?;
        let bucket = storage.bucket.strip_prefix("gs://").unwrap_or(&storage.bucket);
        if bucket.is_empty() || bucket.contains("://") {
            return None;
        }
        let of_job = match self.r#type.as_str() {
            "periodic" | "postsubmit" => "logs".to_owned(),
            "batch" => "pr-logs/pull/batch".to_owned(),
            "presubmit" => {
                let refs = self.refs.as_ref()?;
                let repository = storage.repository(refs)?;
                format!("pr-logs/pull/{repository}/{}", refs.pulls.first()?.number)
            }
            _ => return None,
        };
        let path = [
            bucket,
            &storage.path_prefix,
            &of_job,
            &self.job,
            &self.buildid,
            "artifacts",
        ];
        let parts = path.iter().flat_map(|part| part.split('/'));
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        Some(format!("https://storage.googleapis.com/{}", parts.join("/")))
    }
}

impl Storage {
    /// How the path of a pull request names its repository; `None` where that is not known. Source: Prow,
    /// `pkg/pod-utils/gcs/target.go`.
    fn repository(&self, refs: &Refs) -> Option<String> {
        let of_default = (refs.org == self.default_org, refs.repo == self.default_repo);
        match (self.path_strategy.as_str(), of_default) {
            ("legacy" | "single", (true, true)) => Some(String::new()),
            ("legacy", (true, false)) => Some(refs.repo.clone()),
            ("legacy" | "single" | "explicit", _) => Some(format!("{}_{}", refs.org, refs.repo)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn job(spec: &str) -> Option<ProwJob> {
        let variables = [
            ("PROW_JOB_ID", "1f"),
            ("ARTIFACTS", "/logs/artifacts"),
            ("JOB_SPEC", spec),
        ];
        ProwJob::of(&Host::with_variables(variables))
    }

    fn spec(kind: &str, strategy: &str, bucket: &str) -> String {
        format!(
            r#"{{"type":"{kind}","job":"j","buildid":"17","prowjobid":"1f",
                "refs":{{"org":"kubernetes-sigs","repo":"gie","pulls":[{{"number":9}}]}},
                "decoration_config":{{"gcs_configuration":{{"bucket":"{bucket}","path_strategy":"{strategy}",
                    "default_org":"kubernetes","default_repo":"kubernetes"}}}}}}"#
        )
    }

    #[rstest]
    #[case::periodic("periodic", "legacy", "b", Some("b/logs/j/17"))]
    #[case::tag("postsubmit", "legacy", "gs://b", Some("b/logs/j/17"))]
    #[case::pull_request("presubmit", "legacy", "b", Some("b/pr-logs/pull/kubernetes-sigs_gie/9/j/17"))]
    #[case::explicit("presubmit", "explicit", "b", Some("b/pr-logs/pull/kubernetes-sigs_gie/9/j/17"))]
    #[case::unknown_strategy("presubmit", "later", "b", None)]
    #[case::batch("batch", "single", "b", Some("b/pr-logs/pull/batch/j/17"))]
    #[case::another_store("periodic", "legacy", "s3://b", None)]
    #[case::unknown_job("later", "legacy", "b", None)]
    fn a_link_leads_where_prow_uploads(
        #[case] kind: &str,
        #[case] strategy: &str,
        #[case] bucket: &str,
        #[case] place: Option<&str>,
    ) {
        let job = job(&spec(kind, strategy, bucket)).unwrap();
        let link = job.link_to(Path::new("/logs/artifacts/7f3a"));
        let expected = place.map(|place| {
            let address = format!("https://storage.googleapis.com/{place}/artifacts/7f3a/report.txt");
            (PathBuf::from("/logs/artifacts/quickproof-7f3a.link.txt"), address)
        });
        assert_eq!(link, expected);
        assert_eq!(job.link_to(Path::new("/tmp/7f3a")), None, "it is no artifact");
    }

    #[test]
    fn the_default_repository_stands_in_no_path() {
        let spec = spec("presubmit", "legacy", "b").replace("kubernetes-sigs", "kubernetes");
        let in_org = job(&spec).unwrap().address.unwrap();
        assert!(in_org.ends_with("/pull/gie/9/j/17/artifacts"), "{in_org}");
        let default = job(&spec.replace("gie", "kubernetes")).unwrap().address.unwrap();
        assert!(default.ends_with("/pull/9/j/17/artifacts"), "{default}");
    }

    #[test]
    fn a_job_that_says_nothing_of_its_storage_has_artifacts_and_no_link() {
        for said in ["", "no JSON", "{}", r#"{"type":"periodic","job":"j","buildid":"1"}"#] {
            let job = job(said).unwrap();
            assert_eq!(job.metadata(), Path::new("/logs/artifacts/metadata.json"));
            assert_eq!(job.address, None, "{said}");
        }
    }

    #[test]
    fn without_a_prow_job_there_is_none() {
        let artifacts = Host::with_variables([("ARTIFACTS", "/logs/artifacts")]);
        assert_eq!(ProwJob::of(&artifacts), None);
        let undecorated = Host::with_variables([("PROW_JOB_ID", "1f"), ("ARTIFACTS", "")]);
        assert_eq!(ProwJob::of(&undecorated), None);
    }
}
