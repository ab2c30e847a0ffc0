//! Tokens of registries: what a registry wants to be shown, and where that is had (distribution specification, "Token
//! Authentication").

use std::str::FromStr;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{
    StatusCode,
    header::{HeaderMap, HeaderValue},
};
use serde::Deserialize;
use url::Url;

use super::{Unanswered, Upstream, challenge_in, refuses};
use crate::images::ImageRef;

/// What a registry wants to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password.
    Basic,
    /// A token of another server.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// As whom a registry is asked. The nodes of a cluster of ours, and readers of a guide, have no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// As nobody in particular.
    Anybody,
    /// With this machine's account of docker, where it has one.
    Account,
}

/// A token, under either of the names that servers give it.
#[derive(Deserialize)]
struct Token {
    #[serde(alias = "access_token")]
    token: Option<String>,
}

impl FromStr for Challenge {
    type Err = ();

    /// Reads the value of `WWW-Authenticate` (RFC 9110, 11.6.1), one challenge of it.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (scheme, parameters) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Ok(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(());
        }
        let of = |wanted: &str| {
            let mut all = parameters_of(parameters).into_iter();
            all.find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then_some(value))
        };
        Ok(Self::Bearer {
            realm: of("realm").ok_or(())?,
            service: of("service"),
            scope: of("scope"),
        })
    }
}

/// `name="value", name=value`; what stands between quotes may have commas.
fn parameters_of(text: &str) -> Vec<(String, String)> {
    let (mut all, mut rest) = (Vec::new(), text);
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([',', ' ', '\t']).to_owned();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        all.push((name, value.trim().to_owned()));
        rest = after;
    }
    all
}

impl Upstream {
    /// What opens the repository of an image at a machine, given the answer by which that one asked for it; `None` where there is
    /// no account.
    pub(super) async fn authorization(
        &self,
        image: &ImageRef,
        machine: &Url,
        asked_for: &HeaderMap,
        who: Who,
    ) -> Result<Option<HeaderValue>, Unanswered> {
        let host = image.host();
        // An account is for the registry that the name names, and for no machine that it leads to.
        let is_its = super::address(host, "")?.authority() == machine.authority();
        let basic = match who {
            Who::Account if is_its => super::account::of(&self.host, host).await,
            Who::Account | Who::Anybody => None,
        };
        let basic = basic.map(|(name, password)| {
            let pair = format!("{name}:{password}");
            format!("Basic {}", BASE64_STANDARD.encode(pair))
        });
        if who == Who::Account && basic.is_none() {
            return Ok(None);
        }
        let value = match (challenge_in(asked_for), basic) {
            (Some(Challenge::Basic), Some(basic)) => basic,
            (Some(Challenge::Basic), None) => {
                let what = format!("wants name and password for {image} (`docker login {host}` gives access)");
                return Err(refuses(host, what));
            }
            (Some(Challenge::Bearer { realm, service, scope }), basic) => {
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", image.repository()));
                format!("Bearer {}", self.token(machine, &realm, service, &scope, basic).await?)
            }
            (None, _) => {
                let what = format!("answers 401 for {image} and does not say what it wants");
                return Err(refuses(host, what));
            }
        };
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| refuses(host, "gives a token that no header can hold".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// A token of the server that a registry names.
    async fn token(
        &self,
        machine: &Url,
        realm: &str,
        service: Option<String>,
        scope: &str,
        basic: Option<String>,
    ) -> Result<String, Unanswered> {
        let host = machine.authority();
        let realm: Option<Url> = realm.parse().ok();
        // What began encrypted stays so: a name and a password go there.
        let realm = realm.filter(|realm| realm.scheme() == "https" || realm.scheme() == machine.scheme());
        let Some(mut realm) = realm else {
            return Err(refuses(host, "names no server that gives tokens".to_owned()));
        };
        let service = service.map(|service| ("service", service));
        realm
            .query_pairs_mut()
            .extend_pairs(service)
            .append_pair("scope", scope);
        let server = realm.host_str().unwrap_or(host).to_owned();
        let mut request = self.http.get(realm);
        if let Some(basic) = basic {
            request = request.header(reqwest::header::AUTHORIZATION, basic);
        }
        let answer = self.send(&server, request).await?;
        if answer.status != StatusCode::OK {
            let what = format!(
                "gives no token for {scope} ({}): it is private, or no such repository exists",
                answer.status
            );
            return Err(refuses(&server, what));
        }
        let token: Option<Token> = serde_json::from_slice(&answer.body).ok();
        let Some(token) = token.and_then(|token| token.token) else {
            return Err(refuses(&server, format!("gives an answer without a token for {scope}")));
        };
        self.host.redactor().learn(&token);
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        }
    }

    #[rstest]
    #[case::of_docker_hub(
        r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/x:pull,push""#,
        Some(bearer("https://auth.docker.io/token", Some("registry.docker.io"), Some("repository:library/x:pull,push")))
    )]
    #[case::blanks_and_no_quotes(
        "bearer realm=https://a/t, service = b",
        Some(bearer("https://a/t", Some("b"), None))
    )]
    #[case::a_password("Basic realm=\"r\"", Some(Challenge::Basic))]
    #[case::nowhere_to_ask("Bearer service=\"b\"", None)]
    #[case::another_scheme("Negotiate", None)]
    #[case::nothing("", None)]
    #[case::a_quote_that_does_not_end("Bearer realm=\"https://a", Some(bearer("https://a", None, None)))]
    fn a_challenge_says_what_is_wanted(#[case] text: &str, #[case] wanted: Option<Challenge>) {
        assert_eq!(text.parse().ok(), wanted);
    }
}
