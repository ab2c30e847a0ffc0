//! Programs that a kubeconfig names for credentials: run as every other program is, with an end in time and in bytes, and ended
//! with the run. kube's own way of running them blocks the task and reads whatever they print.
//!
//! What they print are credentials, so nothing of it is ever shown. They are given no terminal: a program that would ask a
//! person something fails, and says so where it is run by hand.

use std::{process::ExitStatus, sync::Arc, time::Duration};

use http::{HeaderValue, Request, header::AUTHORIZATION};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use kube::{
    Client,
    client::{Body, ClientBuilder},
    config::{AuthInfo, ExecConfig, ExecInteractiveMode},
};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use tower::{BoxError, service_fn};

use crate::host::{Call, Host, HostError};

/// How long a program may take to give credentials, where its caller gives it longer.
const PLUGIN_LIMIT: Duration = Duration::from_mins(1);
/// The most that it may print.
const PLUGIN_BYTES: usize = 1 << 20;
/// How long before their end credentials are asked for anew.
const BEFORE_THE_END: SignedDuration = SignedDuration::from_mins(1);

/// Why a program gave no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The kubeconfig names none, or one that must have a terminal.
    #[error("the kubeconfig asks for credentials in a way that is not possible here: {what}")]
    Impossible {
        /// What is not possible.
        what: &'static str,
    },
    /// It did not end well.
    #[error("`{program}`, which the kubeconfig names for credentials, {what}; run it by hand to see what it says")]
    Failed {
        /// Its name.
        program: String,
        /// What it did instead.
        what: String,
    },
}

/// What a program gives. Source: `client.authentication.k8s.io/v1`, `ExecCredential`.
#[derive(Deserialize)]
struct Printed {
    status: Option<Given>,
}

/// Credentials.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<Timestamp>,
}

impl Given {
    fn has_ended(&self) -> bool {
        let ends = self
            .expiration_timestamp
            .and_then(|ends| ends.checked_sub(BEFORE_THE_END).ok());
        ends.is_some_and(|ends| Timestamp::now() >= ends)
    }
}

/// A program that gives credentials, and those that it gave last.
pub(super) struct Plugin {
    host: Host,
    exec: ExecConfig,
    limit: Duration,
    given: Mutex<Given>,
}

/// Has the program of a kubeconfig's user, where it names one, give credentials within `limit`, which then stand in its place. Those that
/// end are given anew by what is returned.
///
/// # Errors
/// It gives none.
pub(super) async fn resolved(host: &Host, user: &mut AuthInfo, limit: Duration) -> Result<Option<Plugin>, PluginError> {
    if user
        .auth_provider
        .as_ref()
        .is_some_and(|provider| provider.config.contains_key("cmd-path"))
    {
        return Err(PluginError::Impossible {
            what: "by `auth-provider`, which Kubernetes gave up with 1.26; name the program by `exec`",
        });
    }
    // A password or a token in the file goes before it.
    let has_others = user.token.is_some() || user.token_file.is_some() || user.password.is_some();
    let Some(exec) = user.exec.take().filter(|_| !has_others) else {
        return Ok(None);
    };
    let limit = limit.min(PLUGIN_LIMIT);
    let given = ask(host, &exec, limit).await?;
    if let (Some(certificate), Some(key)) = (&given.client_certificate_data, &given.client_key_data) {
        user.client_certificate_data = Some(in_base64(certificate));
        user.client_key_data = Some(in_base64(key).into());
    }
    if given.token.is_some() && given.expiration_timestamp.is_some() {
        return Ok(Some(Plugin {
            host: host.clone(),
            exec,
            limit,
            given: Mutex::new(given),
        }));
    }
    user.token = given.token.map(Into::into);
    Ok(None)
}

fn in_base64(text: &str) -> String {
    let encoded = serde_json::to_value(ByteString(text.as_bytes().to_vec())).unwrap_or_default();
    encoded.as_str().unwrap_or_default().to_owned()
}

/// Runs the program once.
async fn ask(host: &Host, exec: &ExecConfig, limit: Duration) -> Result<Given, PluginError> {
    let Some(program) = exec.command.clone() else {
        return Err(PluginError::Impossible {
            what: "by `exec` without a `command`",
        });
    };
    if exec.interactive_mode == Some(ExecInteractiveMode::Always) {
        return Err(PluginError::Impossible {
            what: "by a program with `interactiveMode: Always`; log in first, and use what it then leaves",
        });
    }
    let info = json!({"apiVersion": exec.api_version, "kind": "ExecCredential",
        "spec": {"interactive": false, "cluster": exec.cluster}});
    let mut call = Call::new(&program)
        .args(exec.args.iter().flatten())
        .variable("KUBERNETES_EXEC_INFO", info.to_string())
        .time_limit(limit)
        .most_output(PLUGIN_BYTES);
    for variable in exec.env.iter().flatten() {
        if let (Some(name), Some(value)) = (variable.get("name"), variable.get("value")) {
            call = call.variable(name, value);
        }
    }
    let failed = |what: String| PluginError::Failed {
        program: program.clone(),
        what,
    };
    let ended = host.run(&call).await.map_err(|error| failed(instead(&error)))?;
    if !ended.status.success() {
        return Err(failed(ends_with(ended.status)));
    }
    // YAML too, as kubectl reads it.
    let printed = serde_saphyr::from_slice::<Printed>(&ended.stdout)
        .ok()
        .and_then(|printed| printed.status);
    let given = printed.ok_or_else(|| failed("prints something else than credentials".to_owned()))?;
    for secret in [&given.token, &given.client_key_data].into_iter().flatten() {
        host.redactor().learn(secret);
    }
    Ok(given)
}

fn ends_with(status: ExitStatus) -> String {
    format!("fails ({status})")
}

/// What a program did in place of ending; not with its arguments, which may be secret.
fn instead(error: &HostError) -> String {
    match error {
        HostError::ProgramMissing { .. } => "is not on PATH".to_owned(),
        HostError::TimeLimit { seconds, .. } => format!("did not end within {seconds} s"),
        HostError::TooMuchOutput { mebibytes, .. } => format!("prints more than {mebibytes} MiB"),
        HostError::Start { source, .. } => format!("cannot be run ({source})"),
        HostError::Failed { status, .. } => ends_with(*status),
    }
}

impl Plugin {
    /// The header that says who asks, with credentials that have not ended.
    async fn header(&self) -> Result<HeaderValue, PluginError> {
        let mut given = self.given.lock().await;
        if given.has_ended() {
            *given = ask(&self.host, &self.exec, self.limit).await?;
        }
        let token = given.token.as_deref().unwrap_or_default();
        let header = HeaderValue::try_from(format!("Bearer {token}"));
        let mut header = header.map_err(|_| PluginError::Failed {
            program: self.exec.command.clone().unwrap_or_default(),
            what: "gives a token that cannot be sent".to_owned(),
        })?;
        header.set_sensitive(true);
        Ok(header)
    }

    /// A client whose calls have these credentials.
    pub(super) fn authorizing(self, client: Client) -> Client {
        let (plugin, namespace) = (Arc::new(self), client.default_namespace().to_owned());
        let service = service_fn(move |mut request: Request<Body>| {
            let (plugin, client) = (Arc::clone(&plugin), client.clone());
            async move {
                let header = plugin.header().await?;
                request.headers_mut().insert(AUTHORIZATION, header);
                Ok::<_, BoxError>(client.send(request).await?)
            }
        });
        ClientBuilder::new(service, namespace).build()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::host::fake;

    fn user(program: &str) -> AuthInfo {
        serde_json::from_value(
            json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": program,
            "args": ["hunter2"], "env": [{"name": "WHO", "value": "test"}]}}),
        )
        .unwrap()
    }

    /// What comes of a program with this text.
    async fn asked(text: &str, limit: Duration) -> Result<Given, PluginError> {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("login");
        fake::script(&program, text).await;
        ask(&Host::real(), &user(program.to_str().unwrap()).exec.unwrap(), limit).await
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_program_is_told_who_asks_and_gives_a_token() {
        let text = r#"echo "{\"status\": {\"token\": \"$WHO-$1\"}}"; test -n "$KUBERNETES_EXEC_INFO""#;
        assert_eq!(asked(text, LONG).await.unwrap().token.as_deref(), Some("test-hunter2"));
    }

    #[rstest]
    #[case::waits("exec sleep 600", Duration::from_millis(50), "did not end within")]
    #[case::prints_for_ever("exec yes hunter2", LONG, "prints more than 1 MiB")]
    #[case::complains_for_ever("exec yes hunter2 >&2", LONG, "prints more than 1 MiB")]
    #[case::fails("echo hunter2; echo hunter2 >&2; exit 7", LONG, "fails (exit status: 7)")]
    #[case::prints_something_else("echo hunter2", LONG, "prints something else")]
    #[case::gives_nothing("echo '{}'", LONG, "prints something else")]
    #[tokio::test]
    async fn a_program_that_gives_none_ends_and_nothing_of_it_is_shown(
        #[case] text: &str,
        #[case] limit: Duration,
        #[case] what: &str,
    ) {
        let said = asked(text, limit).await.err().unwrap().to_string();
        assert!(said.contains(what) && !said.contains("hunter2"), "{said}");
    }

    #[tokio::test]
    async fn credentials_that_end_are_asked_for_anew() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("login");
        let ends = Timestamp::now() + SignedDuration::from_secs(30);
        let text = format!(
            r#"echo x >>{}/calls; echo "{{\"status\": {{\"token\": \"t$(wc -l <{0}/calls)\", \"expirationTimestamp\": \"{ends}\"}}}}""#,
            directory.path().display()
        );
        fake::script(&program, &text).await;
        let mut user = user(program.to_str().unwrap());
        let plugin = resolved(&Host::real(), &mut user, LONG).await.unwrap().unwrap();
        assert_eq!(plugin.header().await.unwrap(), "Bearer t2");
        assert_eq!(plugin.header().await.unwrap(), "Bearer t3");
        assert!(user.exec.is_none(), "kube is left nothing to run");
    }

    #[tokio::test]
    async fn a_program_has_no_longer_than_its_caller() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("login");
        fake::script(&program, "exec sleep 600").await;
        let mut user = user(program.to_str().unwrap());
        let given = resolved(&Host::real(), &mut user, Duration::from_millis(50)).await;
        assert!(matches!(given, Err(PluginError::Failed { .. })));
    }

    #[tokio::test]
    async fn a_program_of_the_old_kind_is_refused() {
        let mut user: AuthInfo =
            serde_json::from_value(json!({"auth-provider": {"name": "gcp", "config": {"cmd-path": "yes"}}})).unwrap();
        assert!(matches!(
            resolved(&Host::real(), &mut user, LONG).await,
            Err(PluginError::Impossible { .. })
        ));
    }
}
