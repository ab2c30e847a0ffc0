//! The credentials of this machine, which the redactor learns before anybody uses them: those of the environment, and those
//! that docker and helm keep in files and may repeat in what they print.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

use super::{Host, files};
use crate::redact::{Redactor, is_secret_name};

/// Most bytes of a file of credentials that are read.
const MOST_BYTES: u64 = 1 << 20;

/// What registries' credentials are called in files of docker and helm. Source: `cli/config/types/authconfig.go` of docker/cli.
const OF_REGISTRIES: &[&str] = &["auth", "password", "identitytoken", "registrytoken"];

/// Learns the variables whose name says that they are a secret, and the secrets of those that are addresses.
pub(super) fn learn_variables(redactor: &Redactor, variables: &BTreeMap<String, String>) {
    for (name, value) in variables {
        let lower = name.to_ascii_lowercase();
        if is_secret_name(name) {
            redactor.learn(value);
        } else if value.contains("://") || lower.ends_with("url") || lower.ends_with("proxy") {
            redactor.learn_address(value);
        } else if name == "DOCKER_AUTH_CONFIG" {
            learn_registries(redactor, value);
        }
    }
}

impl Host {
    /// What docker knows of registries: `DOCKER_AUTH_CONFIG`, then its file. The secrets in it are known from now on.
    pub(crate) fn docker_configurations(&self) -> Vec<Value> {
        self.learn_credentials_of_programs();
        let variable = self.variable("DOCKER_AUTH_CONFIG").map(str::to_owned);
        let texts = variable.into_iter().chain(text_of(&docker_configuration(self)));
        texts.filter_map(|text| serde_json::from_str(&text).ok()).collect()
    }
}

/// The file in which docker keeps what it knows of registries.
fn docker_configuration(host: &Host) -> PathBuf {
    let usual = || Path::new(host.variable("HOME").unwrap_or("/")).join(".docker");
    let directory = host.variable("DOCKER_CONFIG").map_or_else(usual, PathBuf::from);
    directory.join("config.json")
}

/// Learns what docker and helm know of registries.
pub(super) fn learn_files(host: &Host) {
    let of = |variable: &str, usual: PathBuf| host.variable(variable).map_or(usual, PathBuf::from);
    let home = PathBuf::from(host.variable("HOME").unwrap_or("/"));
    let docker = docker_configuration(host);
    let helm = of("XDG_CONFIG_HOME", home.join(".config")).join("helm");
    let helm = of("HELM_CONFIG_HOME", helm);
    let registries = of("HELM_REGISTRY_CONFIG", helm.join("registry/config.json"));
    for text in [docker, registries].iter().filter_map(|path| text_of(path)) {
        learn_registries(host.redactor(), &text);
    }
    let repositories = of("HELM_REPOSITORY_CONFIG", helm.join("repositories.yaml"));
    for line in text_of(&repositories).unwrap_or_default().lines() {
        let line = line.trim().trim_start_matches("- ");
        if let Some((_, password)) = line.split_once("password:") {
            host.redactor().learn(password.trim().trim_matches(['"', '\'']));
        }
    }
}

/// A file that is not there, or none of this kind, teaches nothing: whoever reads it says so.
fn text_of(path: &Path) -> Option<String> {
    files::read_text(path, MOST_BYTES).ok()
}

fn learn_registries(redactor: &Redactor, text: &str) {
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let registries = value["auths"].as_object().into_iter().flatten();
    for (name, secret) in registries.filter_map(|(_, registry)| registry.as_object()).flatten() {
        let Some(secret) = secret.as_str().filter(|_| OF_REGISTRIES.contains(&name.as_str())) else {
            continue;
        };
        redactor.learn(secret);
        if name == "auth" {
            let pair = BASE64_STANDARD.decode(secret).unwrap_or_default();
            let pair = String::from_utf8_lossy(&pair).into_owned();
            redactor.learn_address(&format!("{pair}@"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_token("HF_TOKEN", "opensesame", "opensesame")]
    #[case::a_password("PGPASSWORD", "opensesame", "opensesame")]
    #[case::a_mirror("QUICKPROOF_GITHUB_URL", "user:opensesame@mirror", "opensesame")]
    #[case::a_proxy("https_proxy", "http://user:opensesame@proxy:3128", "opensesame")]
    #[case::a_registry("DOCKER_AUTH_CONFIG", r#"{"auths":{"r":{"auth":"dTpvcGVuc2VzYW1l"}}}"#, "opensesame")]
    fn secrets_of_the_environment_are_known(#[case] name: &str, #[case] value: &str, #[case] secret: &str) {
        let host = Host::with_variables([(name, value)]);
        assert_eq!(host.redactor().redact(&format!("a {secret} b")), "a [redacted] b");
    }

    #[tokio::test]
    async fn what_docker_and_helm_know_of_registries_is_known_before_they_run() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path();
        let files = [
            (
                ".docker/config.json",
                r#"{"auths":{"r":{"identitytoken":"of-docker-1"}}}"#,
            ),
            (
                ".config/helm/registry/config.json",
                r#"{"auths":{"r":{"auth":"dTpvZi1oZWxtLTIy"}}}"#,
            ),
            (
                ".config/helm/repositories.yaml",
                "repositories:\n- name: a\n  password: of-helm-333\n",
            ),
        ];
        for (path, text) in files {
            let path = home.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let host = Host::with_variables([("HOME", home.to_str().unwrap()), ("PATH", "/usr/bin:/bin")]);
        host.run(&super::super::Call::new("true")).await.unwrap();
        let shown = host.redactor().redact("of-docker-1 of-helm-22 of-helm-333 u");
        assert_eq!(shown, "[redacted] [redacted] [redacted] u");
    }

    #[rstest]
    #[case::none("")]
    #[case::no_json("{")]
    #[case::other_json("[1]")]
    #[case::no_pair(r#"{"auths":{"r":{"auth":"%"}}}"#)]
    fn a_file_of_another_kind_teaches_nothing(#[case] text: &str) {
        learn_registries(&Redactor::new(), text);
    }
}
