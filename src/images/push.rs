//! Talks to a registry that speaks the OCI distribution specification 1.1, over plain HTTP on this machine.

use std::io;

use reqwest::{
    Body, Client, Method, RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
};

use super::{
    ImageRef, ImagesError,
    oci::PackedImage,
    store::{Store, at},
};
use crate::host::files;

/// The most bytes of a manifest, as registries take them.
pub(super) const MOST_MANIFEST: u64 = 4 << 20;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                         application/vnd.docker.distribution.manifest.v2+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json";

/// A client of one registry.
#[derive(Debug, Clone)]
pub(super) struct RegistryClient {
    http: Client,
    base: Url,
}

impl RegistryClient {
    /// A client of the registry at `base`, such as `http://127.0.0.1:32768/`.
    pub(super) fn new(base: Url) -> Result<Self, ImagesError> {
        // A proxy that the environment names has no business with this machine's own registry.
        let http = Client::builder().no_proxy().build()?;
        Ok(Self { http, base })
    }

    /// Whether the registry answers.
    pub(super) async fn answers(&self) -> bool {
        let asked = self.request(Method::GET, "v2/");
        match asked {
            Ok(request) => request
                .send()
                .await
                .is_ok_and(|answer| answer.status() == StatusCode::OK),
            Err(_) => false,
        }
    }

    /// The digest that the registry has under a name, whatever host the name says; `None` where it has none.
    pub(super) async fn digest(&self, name: &ImageRef) -> Result<Option<String>, ImagesError> {
        let path = format!("v2/{}/manifests/{}", name.repository(), name.reference());
        let answer = self
            .request(Method::HEAD, &path)?
            .header(ACCEPT, MANIFESTS)
            .send()
            .await?;
        match answer.status() {
            StatusCode::OK => {
                let digest = answer.headers().get("docker-content-digest");
                Ok(digest.and_then(|value| Some(value.to_str().ok()?.to_owned())))
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(refused(&path, &answer)),
        }
    }

    /// Puts an image under a name; blobs that the registry has are not sent again.
    #[tracing::instrument(level = "debug", skip_all, fields(image = %name))]
    pub(super) async fn push(&self, store: &Store, name: &ImageRef, image: &PackedImage) -> Result<(), ImagesError> {
        let layers = image.layers.iter().map(|layer| (&layer.digest, layer.size));
        for (digest, size) in layers.chain([(&image.config.0, image.config.1)]) {
            self.push_blob(store, name, digest, size).await?;
        }
        let path = store.blob(&image.digest);
        let manifest = files::read(&path, MOST_MANIFEST).map_err(io::Error::from);
        let manifest = manifest.map_err(at(&path))?;
        let path = format!("v2/{}/manifests/{}", name.repository(), name.reference());
        let put = self
            .request(Method::PUT, &path)?
            .header(CONTENT_TYPE, MANIFEST)
            .body(manifest);
        expect(&path, put.send().await?, StatusCode::CREATED)?;
        Ok(())
    }

    /// Takes a name away again, with all tags of the same image; one that is not there is away already.
    pub(super) async fn withdraw(&self, name: &ImageRef) -> Result<(), ImagesError> {
        let Some(digest) = self.digest(name).await? else {
            return Ok(());
        };
        let path = format!("v2/{}/manifests/{digest}", name.repository());
        let answer = self.request(Method::DELETE, &path)?.send().await?;
        expect(&path, answer, StatusCode::ACCEPTED).map(drop)
    }

    async fn push_blob(&self, store: &Store, name: &ImageRef, digest: &str, size: u64) -> Result<(), ImagesError> {
        let path = format!("v2/{}/blobs/{digest}", name.repository());
        let there = self.request(Method::HEAD, &path)?.send().await?;
        match there.status() {
            StatusCode::OK => return Ok(()),
            StatusCode::NOT_FOUND => {}
            _ => return Err(refused(&path, &there)),
        }
        let path = format!("v2/{}/blobs/uploads/", name.repository());
        let begun = self
            .request(Method::POST, &path)?
            .header(CONTENT_LENGTH, 0)
            .send()
            .await?;
        let begun = expect(&path, begun, StatusCode::ACCEPTED)?;
        let location = begun.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        // The location may be relative to the address asked.
        let location = location.and_then(|location| begun.url().join(location).ok());
        let Some(mut location) = location else {
            return Err(refused(&path, &begun));
        };
        location.query_pairs_mut().append_pair("digest", digest);
        let file = store.blob(digest);
        let blob = files::open(&file).map_err(io::Error::from).map_err(at(&file))?;
        let body = Body::from(tokio::fs::File::from_std(blob));
        let put = self
            .http
            .put(location)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, size)
            .body(body);
        expect(&path, put.send().await?, StatusCode::CREATED)?;
        Ok(())
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, ImagesError> {
        let url = self.base.join(path).map_err(|_| ImagesError::RegistryAnswer {
            asked: path.to_owned(),
            status: 0,
        })?;
        Ok(self.http.request(method, url))
    }
}

fn expect(path: &str, answer: Response, status: StatusCode) -> Result<Response, ImagesError> {
    if answer.status() == status {
        return Ok(answer);
    }
    Err(refused(path, &answer))
}

fn refused(path: &str, answer: &Response) -> ImagesError {
    ImagesError::RegistryAnswer {
        asked: path.to_owned(),
        status: answer.status().as_u16(),
    }
}

#[cfg(test)]
mod tests {
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{body_bytes, method, path, query_param},
    };

    use super::*;
    use crate::{
        host::Host,
        images::{
            layer::{Content, Layer},
            oci::assemble,
            recipe::RunConfig,
        },
    };

    fn made(directory: &std::path::Path) -> (Store, PackedImage) {
        let store = Store::of(&Host::with_variables([("XDG_CACHE_HOME", directory.to_str().unwrap())]));
        let mut layer = Layer::default();
        layer.file("/a", Content::Bytes(b"a".to_vec()), 0o755);
        let layer = layer.pack(&store).unwrap();
        let image = assemble(&store, &RunConfig::default(), vec![layer]).unwrap();
        (store, image)
    }

    #[tokio::test]
    async fn only_what_the_registry_lacks_is_sent_and_the_name_loses_its_host() {
        let directory = tempfile::tempdir().unwrap();
        let (store, image) = made(directory.path());
        let server = MockServer::start().await;
        let layer = &image.layers[0].digest;
        let lacking = ResponseTemplate::new(404);
        Mock::given(method("HEAD"))
            .and(path(format!("/v2/x/epp/blobs/{layer}")))
            .respond_with(lacking)
            .expect(1)
            .mount(&server)
            .await;
        Mock::given(method("HEAD"))
            .and(path(format!("/v2/x/epp/blobs/{}", image.config.0)))
            .respond_with(ResponseTemplate::new(200))
            .expect(1)
            .mount(&server)
            .await;
        let begun = ResponseTemplate::new(202).insert_header("location", "/v2/x/epp/blobs/uploads/1?state=s");
        Mock::given(method("POST"))
            .and(path("/v2/x/epp/blobs/uploads/"))
            .respond_with(begun)
            .expect(1)
            .mount(&server)
            .await;
        let bytes = std::fs::read(store.blob(layer)).unwrap();
        Mock::given(method("PUT"))
            .and(path("/v2/x/epp/blobs/uploads/1"))
            .and(query_param("state", "s"))
            .and(query_param("digest", layer.as_str()))
            .and(body_bytes(bytes))
            .respond_with(ResponseTemplate::new(201))
            .expect(1)
            .mount(&server)
            .await;
        let manifest = std::fs::read(store.blob(&image.digest)).unwrap();
        Mock::given(method("PUT"))
            .and(path("/v2/x/epp/manifests/v1"))
            .and(body_bytes(manifest))
            .respond_with(ResponseTemplate::new(201))
            .expect(1)
            .mount(&server)
            .await;

        let client = RegistryClient::new(server.uri().parse().unwrap()).unwrap();
        client
            .push(&store, &"registry.k8s.io/x/epp:v1".parse().unwrap(), &image)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_name_is_withdrawn_by_its_digest_and_an_absent_one_needs_nothing() {
        let server = MockServer::start().await;
        let there = ResponseTemplate::new(200).insert_header("docker-content-digest", "sha256:1");
        Mock::given(method("HEAD"))
            .and(path("/v2/x/manifests/stale"))
            .respond_with(there)
            .mount(&server)
            .await;
        Mock::given(method("DELETE"))
            .and(path("/v2/x/manifests/sha256:1"))
            .respond_with(ResponseTemplate::new(202))
            .expect(1)
            .mount(&server)
            .await;
        let client = RegistryClient::new(server.uri().parse().unwrap()).unwrap();
        client.withdraw(&"ghcr.io/x:stale".parse().unwrap()).await.unwrap();
        client.withdraw(&"ghcr.io/x:absent".parse().unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn a_name_that_is_not_there_has_no_digest_and_a_refusal_is_an_error_with_its_status() {
        let server = MockServer::start().await;
        let there = ResponseTemplate::new(200).insert_header("docker-content-digest", "sha256:1");
        Mock::given(method("HEAD"))
            .and(path("/v2/x/manifests/there"))
            .respond_with(there)
            .mount(&server)
            .await;
        Mock::given(method("HEAD"))
            .and(path("/v2/x/manifests/broken"))
            .respond_with(ResponseTemplate::new(500))
            .mount(&server)
            .await;
        let client = RegistryClient::new(server.uri().parse().unwrap()).unwrap();
        let name = |tag: &str| format!("ghcr.io/x:{tag}").parse::<ImageRef>().unwrap();
        assert_eq!(
            client.digest(&name("there")).await.unwrap().as_deref(),
            Some("sha256:1")
        );
        assert_eq!(client.digest(&name("absent")).await.unwrap(), None);
        let error = client.digest(&name("broken")).await.unwrap_err();
        assert!(matches!(error, ImagesError::RegistryAnswer { status: 500, .. }));
    }
}
