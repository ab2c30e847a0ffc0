//! What the container engine is that node containers run in: which kinds of machine there are, and which one this is.

use serde::Deserialize;

use super::{ClusterError, SHORT};
use crate::host::{Host, docker};

/// The control-group hierarchy that containers run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cgroup {
    /// Version 1, or hybrid.
    V1,
    /// Version 2, unified.
    V2,
}

/// What the engine says of itself and of the machine it runs on, which need not be this one.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Engine {
    #[serde(default)]
    server_version: String,
    #[serde(default)]
    cgroup_version: String,
    #[serde(default)]
    cgroup_driver: String,
    #[serde(default)]
    operating_system: String,
    #[serde(default)]
    architecture: String,
    /// Names and values.
    #[serde(default)]
    driver_status: Option<Vec<Vec<String>>>,
    /// Such as `name=rootless`.
    #[serde(default)]
    security_options: Option<Vec<String>>,
}

impl Engine {
    /// Asks the engine what it is.
    ///
    /// # Errors
    /// No container engine answers.
    pub(crate) async fn ask(host: &Host) -> Result<Self, ClusterError> {
        let call = docker(["info", "--format", "{{json .}}"]);
        let ended = host.run(&call.time_limit(SHORT)).await?;
        let away = || ClusterError::EngineAway {
            said: ended.last_words(),
        };
        let engine: Self = serde_json::from_slice(&ended.stdout).map_err(|_| away())?;
        // With no engine, `docker info` prints empty fields, and in some releases exits with 0.
        match (ended.status.success(), engine.server_version.as_str()) {
            (true, version) if !version.is_empty() => Ok(engine),
            _ => Err(away()),
        }
    }

    /// Its hierarchy of control groups. What does not say that it is the old one is the new one.
    pub(crate) fn cgroup(&self) -> Cgroup {
        match self.cgroup_version.as_str() {
            "1" => Cgroup::V1,
            _ => Cgroup::V2,
        }
    }

    /// What tells one kind of machine from another, as one sentence without a full stop.
    pub(crate) fn sentence(&self) -> String {
        let status = self.driver_status.iter().flatten();
        // Source: moby, `daemon/containerd/service.go` (`driver-type`); the classic stores have no such line.
        let store = if status.flatten().any(|word| word == "io.containerd.snapshotter.v1") {
            "containerd's image store"
        } else {
            "its own image store"
        };
        let cgroup = match self.cgroup() {
            Cgroup::V1 => "cgroup v1",
            Cgroup::V2 => "cgroup v2",
        };
        let is_rootless = self
            .security_options
            .iter()
            .flatten()
            .any(|option| option.contains("rootless"));
        let rootless = if is_rootless { ", rootless" } else { "" };
        format!(
            "the engine is {}, with {store}, {cgroup} by {}{rootless}, on {} ({})",
            self.server_version, self.cgroup_driver, self.operating_system, self.architecture
        )
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::classic(
        json!({"ServerVersion": "28.5.2", "CgroupVersion": "1", "CgroupDriver": "cgroupfs", "DriverStatus": [["Backing Filesystem", "extfs"]],
            "SecurityOptions": ["name=seccomp,profile=builtin"], "OperatingSystem": "Debian", "Architecture": "x86_64"}),
        Cgroup::V1,
        "the engine is 28.5.2, with its own image store, cgroup v1 by cgroupfs, on Debian (x86_64)"
    )]
    #[case::new_and_rootless(
        json!({"ServerVersion": "29.1.0", "CgroupVersion": "2", "CgroupDriver": "systemd",
            "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]], "SecurityOptions": ["name=rootless", "name=cgroupns"],
            "OperatingSystem": "Ubuntu", "Architecture": "aarch64"}),
        Cgroup::V2,
        "the engine is 29.1.0, with containerd's image store, cgroup v2 by systemd, rootless, on Ubuntu (aarch64)"
    )]
    #[case::that_says_little(
        json!({"ServerVersion": "1", "DriverStatus": null, "SecurityOptions": null}),
        Cgroup::V2,
        "the engine is 1, with its own image store, cgroup v2 by , on  ()"
    )]
    fn an_engine_is_told_from_others(#[case] info: serde_json::Value, #[case] cgroup: Cgroup, #[case] said: &str) {
        let engine: Engine = serde_json::from_value(info).unwrap();
        assert_eq!((engine.cgroup(), engine.sentence().as_str()), (cgroup, said));
    }
}
