//! How the API server is told who asks: what of it is a secret is known to the redactor before it is sent, and what goes
//! wrong is said without repeating what a file holds or a program prints.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use kube::{
    Client,
    client::{AuthError, Body, ClientBuilder, ConfigExt as _},
    config::{AuthInfo, Config, Kubeconfig, KubeconfigError},
};
use serde_json::Value;
use tower::{
    BoxError, Service,
    layer::layer_fn,
    service_fn,
    util::{MapErrLayer, option_layer},
};

use super::{ClusterError, bounded};
use crate::{
    host::in_words,
    record::Events,
    redact::{Redactor, is_secret_name},
};

/// Learns every secret that a kubeconfig holds, whoever's it is.
pub(super) fn learn(config: &Kubeconfig, redactor: &Redactor) {
    // What cannot be written as JSON was none when it was read.
    let config = serde_json::to_value(config).unwrap_or_default();
    let learn = |secret: &Value| {
        if let Some(secret) = secret.as_str() {
            redactor.learn(secret);
        }
    };
    for user in config["users"].as_array().into_iter().flatten() {
        let user = &user["user"];
        for name in ["token", "password", "client-key-data"] {
            learn(&user[name]);
        }
        for (name, secret) in user["auth-provider"]["config"].as_object().into_iter().flatten() {
            if is_secret_name(name) {
                learn(secret);
            }
        }
        for variable in user["exec"]["env"].as_array().into_iter().flatten() {
            if variable["name"].as_str().is_some_and(is_secret_name) {
                learn(&variable["value"]);
            }
        }
    }
    for cluster in config["clusters"].as_array().into_iter().flatten() {
        for name in ["server", "proxy-url"] {
            if let Some(address) = cluster["cluster"][name].as_str() {
                redactor.learn_address(address);
            }
        }
    }
}

/// A client whose credentials the redactor learns with each request, also those that a program or a file gives anew.
pub(super) fn client(
    config: Config,
    context: &str,
    redactor: &Redactor,
    events: &Events,
) -> Result<Client, ClusterError> {
    let unusable = |source: kube::Error| match &source {
        kube::Error::Auth(error) => ClusterError::Credentials {
            context: context.to_owned(),
            what: in_words(error),
        },
        _ => ClusterError::api(format!("context `{context}`"), source),
    };
    let namespace = config.default_namespace.clone();
    let credentials = config.auth_layer().map_err(unusable)?;
    let mut config = config;
    if credentials.is_some() {
        // The layer sends them; what else says who asks, a certificate, is part of the connection.
        config.auth_info = AuthInfo {
            token: None,
            token_file: None,
            username: None,
            password: None,
            exec: None,
            auth_provider: None,
            ..config.auth_info
        };
    }
    let bare = ClientBuilder::try_from(config).map_err(unusable)?.build();
    let send = service_fn(move |request: Request<Body>| {
        let bare = bare.clone();
        async move { bare.send(request).await.map_err(BoxError::from) }
    });
    let redactor = redactor.clone();
    let builder = ClientBuilder::new(send, namespace)
        .with_layer(&layer_fn(move |service| Learned {
            service,
            redactor: redactor.clone(),
            last: Arc::default(),
        }))
        .with_layer(&option_layer(credentials))
        .with_layer(&MapErrLayer::new(said_to_be_of_credentials));
    Ok(bounded::client(builder, events))
}

/// The error of a service; one of credentials says so. No program is behind them, whose output might be one:
/// [`super::plugin`] has run it.
fn said_to_be_of_credentials(error: BoxError) -> BoxError {
    match error.downcast_ref::<AuthError>() {
        Some(failed) => format!("the credentials cannot be had: {}", in_words(failed)).into(),
        None => error,
    }
}

/// What is wrong with a kubeconfig, and where; nothing of what stands in it.
pub(super) fn wrong_with(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(error) => {
            let place = error
                .location()
                .map(|at| format!("line {}, column {}: ", at.line(), at.column()))
                .unwrap_or_default();
            format!("{place}it is no YAML of a kubeconfig; `kubectl config view` says more, and shows no secrets")
        }
        error => in_words(error),
    }
}

/// A service whose requests' credentials are learned before they are sent.
#[derive(Debug, Clone)]
struct Learned<S> {
    service: S,
    redactor: Redactor,
    /// What was learned last: most requests have the same.
    last: Arc<Mutex<Option<HeaderValue>>>,
}

impl<S> Learned<S> {
    fn learn(&self, header: &HeaderValue) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() == Some(header) {
            return;
        }
        let value = String::from_utf8_lossy(header.as_bytes());
        value
            .split_whitespace()
            .skip(1)
            .for_each(|word| self.redactor.learn(word));
        *last = Some(header.clone());
    }
}

impl<S, B> Service<Request<Body>> for Learned<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if let Some(header) = request.headers().get(AUTHORIZATION) {
            self.learn(header);
        }
        Box::pin(self.service.call(request))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::token("{token: opensesame}")]
    #[case::password("{username: u, password: opensesame}")]
    #[case::key("{client-key-data: opensesame}")]
    #[case::provider("{auth-provider: {name: oidc, config: {id-token: opensesame, client-id: public}}}")]
    #[case::program(
        "{exec: {command: c, env: [{name: API_KEY, value: opensesame}, {name: REGION, value: somewhere}]}}"
    )]
    fn every_secret_of_a_kubeconfig_is_known(#[case] user: &str) {
        let config = Kubeconfig::from_yaml(&format!("users:\n- name: u\n  user: {user}\n"));
        let redactor = Redactor::new();
        learn(&config.unwrap(), &redactor);
        assert_eq!(
            redactor.redact("opensesame public somewhere"),
            "[redacted] public somewhere"
        );
    }

    #[tokio::test]
    async fn what_authorizes_a_request_is_known_before_it_is_sent() {
        let redactor = Redactor::new();
        let knows = redactor.clone();
        let service = service_fn(move |_: Request<Body>| {
            let shown = knows.redact("opensesame");
            async move { Ok::<_, BoxError>(Response::new(shown)) }
        });
        let mut learned = Learned {
            service,
            redactor,
            last: Arc::default(),
        };
        let request = Request::builder().header(AUTHORIZATION, "Bearer opensesame");
        let answer = learned.call(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.into_body(), "[redacted]");
    }
}
