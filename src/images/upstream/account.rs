//! The account that this machine has at a registry, as docker keeps it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

use crate::host::{Call, Host};

/// How long a program that keeps passwords may take.
const HELPER_LIMIT: std::time::Duration = std::time::Duration::from_secs(10);

/// Name and password for a registry; `None` where docker knows none, and then it is asked as anybody asks.
pub(super) async fn of(host: &Host, registry: &str) -> Option<(String, String)> {
    for configuration in host.docker_configurations() {
        if let Some(account) = kept_in(&configuration, registry) {
            return Some(account);
        }
        if let Some(helper) = helper_for(&configuration, registry)
            && let Some(account) = helped(host, helper, registry).await
        {
            return Some(account);
        }
    }
    None
}

/// The names under which docker may keep the account of a registry; that of the default registry has a name of old.
fn is_key_of(key: &str, registry: &str) -> bool {
    let key = key.trim_start_matches("https://").trim_start_matches("http://");
    let key = key.split('/').next().unwrap_or(key);
    key == registry || registry == "docker.io" && ["index.docker.io", "registry-1.docker.io"].contains(&key)
}

/// What stands in the file itself. Source: `cli/config/types/authconfig.go` of docker/cli.
fn kept_in(configuration: &Value, registry: &str) -> Option<(String, String)> {
    let mut all = configuration["auths"].as_object()?.iter();
    let (_, entry) = all.find(|(key, _)| is_key_of(key, registry))?;
    let given = || {
        Some((
            entry["username"].as_str()?.to_owned(),
            entry["password"].as_str()?.to_owned(),
        ))
    };
    let packed = || {
        let pair = BASE64_STANDARD.decode(entry["auth"].as_str()?).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        let (name, password) = pair.split_once(':')?;
        Some((name.to_owned(), password.trim_end_matches('\0').to_owned()))
    };
    given().or_else(packed).filter(|(name, _)| !name.is_empty())
}

/// The program that keeps the account.
fn helper_for<'a>(configuration: &'a Value, registry: &str) -> Option<&'a str> {
    let mut of_registry = configuration["credHelpers"].as_object().into_iter().flatten();
    let own = of_registry.find_map(|(key, helper)| is_key_of(key, registry).then_some(helper));
    own.unwrap_or(&configuration["credsStore"])
        .as_str()
        .filter(|helper| !helper.is_empty())
}

/// Asks that program. One that fails knows nothing, as docker takes it. Source: docker-credential-helpers, README.
async fn helped(host: &Host, helper: &str, registry: &str) -> Option<(String, String)> {
    let asked = match registry {
        "docker.io" => "https://index.docker.io/v1/",
        other => other,
    };
    let call = Call::new(format!("docker-credential-{helper}")).arg("get").input(asked);
    let ended = host.run_ok(&call.time_limit(HELPER_LIMIT)).await.ok()?;
    let said: Value = serde_json::from_slice(&ended.stdout).ok()?;
    let (name, password) = (said["Username"].as_str()?, said["Secret"].as_str()?);
    host.redactor().learn(password);
    // A token that only another token is had for, which nobody asks for here.
    (name != "<token>").then(|| (name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::host::fake::script;

    #[rstest]
    #[case::by_its_host("ghcr.io", Some(("u", "p")))]
    #[case::the_default_one_by_its_name_of_old("docker.io", Some(("d", "with:colon")))]
    #[case::as_an_address("r.example:5000", Some(("n", "w")))]
    #[case::none("quay.io", None)]
    #[case::no_pair("bad.example", None)]
    fn accounts_are_found_as_docker_keeps_them(#[case] registry: &str, #[case] account: Option<(&str, &str)>) {
        let packed = |pair: &str| json!({ "auth": BASE64_STANDARD.encode(pair) });
        let configuration = json!({"auths": {
            "ghcr.io": packed("u:p"),
            "https://index.docker.io/v1/": packed("d:with:colon"),
            "https://r.example:5000/v2/": {"username": "n", "password": "w"},
            "bad.example": {"auth": "%"},
        }});
        let found = kept_in(&configuration, registry);
        let found = found
            .as_ref()
            .map(|(name, password)| (name.as_str(), password.as_str()));
        assert_eq!(found, account);
    }

    #[tokio::test]
    async fn a_program_that_keeps_passwords_is_asked_and_what_it_says_is_a_secret() {
        let directory = tempfile::tempdir().unwrap();
        let answer = r#"[ "$1" = get ]; grep -qx r.example; echo '{"Username":"u","Secret":"opensesame"}'"#;
        script(&directory.path().join("docker-credential-safe"), answer).await;
        std::fs::write(
            directory.path().join("config.json"),
            r#"{"credHelpers":{"r.example":"safe"},"credsStore":"nowhere"}"#,
        )
        .unwrap();
        let here = directory.path().to_str().unwrap();
        let path = format!("{here}:/usr/bin:/bin");
        let host = Host::with_variables([("PATH", &path), ("DOCKER_CONFIG", here)]);
        let account = of(&host, "r.example").await;
        assert_eq!(account, Some(("u".to_owned(), "opensesame".to_owned())));
        assert_eq!(host.redactor().redact("an opensesame"), "an [redacted]");
        assert_eq!(
            of(&host, "other.example").await,
            None,
            "a program that is not there knows nothing"
        );
    }
}
