//! The stand-in internet: one server that plays, under their real names and with TLS of an authority of its own, everything
//! that an ordinary machine's run asks: GitHub, image registries, chart registries, and the hosts that publish helm and istioctl.
//!
//! Its images are those that quickproof makes from packages, under their published names and in an index for two platforms. Nobody
//! that uses quickproof can turn any of this on: the binary runs in a mount namespace of its own, whose `/etc/hosts` names
//! this server, and the nodes get the same by a `kind` that stands before the real one on PATH.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Response, header},
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    bench::{Ran, output, repository, verify_as},
    github::Server,
    published::publish,
};

mod downloads;
mod registries;

use downloads::Downloads;
use registries::Registries;
pub(crate) use registries::Trouble;

/// Names that lead to it; `tests/data/tls/internet.pem` is for these. The key of the authority that signed it
/// (`internet-ca.pem`) was thrown away: another name needs both anew (`openssl req -x509`, `openssl x509 -req`).
const NAMES: [&str; 11] = [
    "github.com",
    "api.github.com",
    "raw.githubusercontent.com",
    "codeload.github.com",
    downloads::ASSETS,
    downloads::HELM,
    "registry-1.docker.io",
    "auth.docker.io",
    "ghcr.io",
    "registry.k8s.io",
    REGION,
];
/// The machine to which `registry.k8s.io` leads, and what its paths begin with there.
const REGION: &str = "us-central1-docker.pkg.dev";
const PRODUCTION: &str = "k8s-artifacts-prod/images/";

struct Stage {
    http: reqwest::Client,
    github: String,
    registries: Registries,
    downloads: Downloads,
}

/// The internet, until it is dropped.
pub(crate) struct Internet {
    _github: Server,
    stage: Arc<Stage>,
    serving: tokio::task::JoinHandle<()>,
    desk: tempfile::TempDir,
}

impl Drop for Internet {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Internet {
    /// An internet in which a tree is published. `node_image` is what stands for kind's own node image; the images that the
    /// release names were handed to our registry before.
    pub(crate) async fn with_published(tree: &Path, node_image: &str) -> Self {
        let github = publish(tree).await;
        let gateway = "{{(index .IPAM.Config 0).Gateway}}";
        let gateway = output("docker", &["network", "inspect", "kind", "--format", gateway]);
        let gateway = gateway.trim();
        let images = output("docker", &["port", "quickproof-registry", "5000/tcp"]);
        let stage = Arc::new(Stage {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            github: github.url.clone(),
            registries: Registries::over(format!("http://{}", images.lines().next().unwrap())),
            downloads: Downloads::of_this_machine().await,
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&stage));
        let listener = Tls::listen(gateway).await;
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let desk = tempfile::tempdir().unwrap();
        let internet = Self {
            _github: github,
            stage,
            serving,
            desk,
        };
        internet.lay_out(gateway, node_image);
        internet
    }

    /// Writes what the host and the nodes need to come here.
    fn lay_out(&self, gateway: &str, node_image: &str) {
        let names: String = NAMES.map(|name| format!("{gateway} {name}\n")).concat();
        fs::write(self.at("names"), &names).unwrap();
        let usual = fs::read_to_string("/etc/hosts").unwrap();
        fs::write(self.at("hosts"), usual + &names).unwrap();
        fs::create_dir(self.at("certs.d")).unwrap();
        fs::create_dir(self.at("bin")).unwrap();
        let text = kind(&self.at("certs.d"), &self.at("names"), node_image);
        fs::write(self.at("bin/kind"), text).unwrap();
        fs::set_permissions(self.at("bin/kind"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn at(&self, name: &str) -> PathBuf {
        self.desk.path().join(name)
    }

    /// Makes trouble for a registry or a repository, and takes every other away.
    pub(crate) fn only_trouble(&self, name: &str, trouble: Trouble) {
        self.stage.registries.only_trouble(name, trouble);
    }

    /// Whether layers of this repository were asked for.
    pub(crate) fn gave(&self, repository: &str) -> bool {
        self.stage.registries.gave(repository)
    }

    /// Runs `quickproof verify ARGS` in this internet.
    pub(crate) fn verify(&self, arguments: &[&str]) -> Ran {
        verify_as(arguments, |command| {
            #[expect(clippy::disallowed_methods, reason = "tests start the binary under test")]
            let mut within = Command::new("unshare");
            let began = r#"mount --bind "$0" /etc/hosts; PATH="$1:$PATH"; shift; exec "$@""#;
            within
                .args(["--mount", "sh", "-ec", began])
                .arg(self.at("hosts"))
                .arg(self.at("bin"));
            within.arg(command.get_program()).args(command.get_args());
            within.current_dir(command.get_current_dir().unwrap());
            within.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            within.env("SSL_CERT_FILE", certificate("internet-ca.pem"));
            // What is downloaded here is for this internet alone.
            within.env("XDG_CACHE_HOME", self.at("cache"));
            within
        })
    }
}

fn certificate(name: &str) -> PathBuf {
    repository().join("tests/data/tls").join(name)
}

/// A kind whose own node image is at hand: one of ours, with the network that such a one needs
/// (`manifests/cluster/kind-own-node.yaml`). It trusts the authority of the test, asks the registries that names name, and
/// knows where those are.
fn kind(certs: &Path, names: &Path, node_image: &str) -> String {
    let real = output("sh", &["-c", "command -v kind"]);
    let mounts = json!([
        {"hostPath": certificate("internet-ca.pem"), "containerPath": "/etc/ssl/certs/ca-certificates.crt"},
        // In place of the directory in which ours say that they ask our registry.
        {"hostPath": certs, "containerPath": "/etc/containerd/certs.d"},
    ]);
    let networking = json!({"disableDefaultCNI": true, "kubeProxyMode": "nftables", "podSubnet": "10.244.0.0/16",
        "serviceSubnet": "10.96.0.0/16"});
    let patch = r#""kind: InitConfiguration\\nskipPhases: [preflight]\\n","#;
    format!(
        r#"#!/bin/sh
set -e
[ "$1 $2" = "create cluster" ] || exec {real} "$@"
config=$(sed -e 's#"nodes":\[{{"role":"control-plane"}}\]#"nodes":[{{"role":"control-plane","extraMounts":{mounts}}}],"networking":{networking}#' \
  -e 's#"kubeadmConfigPatches":\[#&{patch}#')
printf '%s' "$config" | {real} "$@" --image {node_image}
name=$(printf '%s' "$config" | sed 's/.*"name":"\(quickproof-[^"]*\)".*/\1/')
docker exec -i "$name-control-plane" sh -c 'cat >> /etc/hosts' < {names}
"#,
        real = real.trim(),
        names = names.display(),
    )
}

/// Connections that speak TLS. Handshakes wait for nobody.
struct Tls {
    connections: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl Tls {
    async fn listen(address: &str) -> Self {
        let chain = CertificateDer::from_pem_file(certificate("internet.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(certificate("internet.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((address, 443)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, connections) = mpsc::channel(16);
        tokio::spawn(async move {
            // Until nobody takes connections any more: then the port is free for the next.
            while let Some(Ok((connection, from))) = tokio::select! {
                accepted = listener.accept() => Some(accepted),
                () = sender.closed() => None,
            } {
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                tokio::spawn(async move {
                    if let Ok(secured) = acceptor.accept(connection).await {
                        let _ = sender.send((secured, from)).await;
                    }
                });
            }
        });
        Self { connections, address }
    }
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.connections.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}

type Answer = Response<Body>;

async fn answer(State(stage): State<Arc<Stage>>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let host = header(header::HOST).unwrap_or_default().to_owned();
    let path = parts.uri.path().to_owned();
    let has_token = header(header::AUTHORIZATION).is_some();
    let token = || said(200, &[], json!({"token": "of-the-stand-in"}).to_string());
    let wants_token = |realm: &str| {
        let wanted = format!(r#"Bearer realm="{realm}",service="{host}""#);
        said(401, &[("www-authenticate", &wanted)], "")
    };
    match stage.registries.trouble(&host) {
        Some(Trouble::Status(status, headers)) => return said(status, headers, "trouble"),
        Some(Trouble::Silent) => std::future::pending().await,
        _ => {}
    }
    if let Some(answer) = stage.downloads.answer(&host, &path) {
        return answer;
    }
    match (host.as_str(), path.strip_prefix("/v2/")) {
        ("auth.docker.io", _) => token(),
        ("ghcr.io", None) if path == "/token" => token(),
        ("registry-1.docker.io", Some(_)) if !has_token => wants_token("https://auth.docker.io/token"),
        ("ghcr.io", Some(_)) if !has_token => wants_token("https://ghcr.io/token"),
        (_, Some("")) => said(200, &[], "{}"),
        ("registry.k8s.io", Some(rest)) => {
            let location = format!("https://{REGION}/v2/{PRODUCTION}{rest}");
            said(307, &[("location", &location)], "")
        }
        ("registry-1.docker.io" | "ghcr.io", Some(rest)) => {
            stage.registries.answer(rest, &parts.headers, &parts.method).await
        }
        (REGION, Some(rest)) => match rest.strip_prefix(PRODUCTION) {
            Some(chart) if chart.contains("/charts/") => {
                let url = format!("{}/v2/registry.k8s.io/{chart}", stage.github);
                passed_on(stage.http.request(parts.method.clone(), url)).await
            }
            Some(rest) => stage.registries.answer(rest, &parts.headers, &parts.method).await,
            None => said(404, &[], ""),
        },
        _ => {
            let url = format!("{}{}", stage.github, parts.uri);
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            passed_on(stage.http.request(parts.method, url).headers(parts.headers).body(body)).await
        }
    }
}

fn said(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let response = Response::builder().status(status);
    let response = headers
        .iter()
        .fold(response, |response, (name, value)| response.header(*name, *value));
    response.body(body.into()).unwrap()
}

/// What another server answers.
async fn passed_on(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    for name in ["content-type", "content-length", "docker-content-digest"] {
        if let Some(value) = answer.headers().get(name) {
            response = response.header(name, value);
        }
    }
    response.body(Body::from_stream(answer.bytes_stream())).unwrap()
}
