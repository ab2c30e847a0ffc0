//! Asking an API server what it would say to objects: creations that it only pretends to carry out.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use kube::{
    Client, Error,
    api::{DynamicObject, PostParams, Request},
};

use crate::{
    cluster::{
        mark::FIELD_MANAGER,
        resources::{Resource, Resources, Trouble, persistently},
        watching::Placement,
    },
    manifest::Object,
};

/// How long an API server that is away is asked again: somebody waits for the answer.
const ASKED_FOR: Duration = Duration::from_secs(10);
/// How many questions are under way at once.
const AT_ONCE: usize = 8;

/// What an API server said to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It would be made.
    Taken,
    /// It is no valid object, in the API server's words.
    Refused {
        /// Its words.
        message: String,
    },
    /// That cannot be told by this cluster as it is.
    Open {
        /// Why.
        why: String,
    },
}

/// Asks for each object in the namespace beside it where the object names none. Nothing is stored, so an
/// object never sees another. Fields that the API does not know are refused, as kubectl has them refused.
///
/// # Errors
/// The API server is away, or does not know who asks.
pub(crate) async fn rehearse(client: &Client, objects: &[(&Object, &str)]) -> Result<Vec<Answer>, Trouble> {
    let resources = Resources::new(client.clone());
    let asking = objects
        .iter()
        .map(|(object, namespace)| one(client, &resources, object, object.namespace().unwrap_or(namespace)));
    futures::stream::iter(asking).buffered(AT_ONCE).try_collect().await
}

async fn one(client: &Client, resources: &Resources, object: &Object, namespace: &str) -> Result<Answer, Trouble> {
    let kind = || resources.of_kind(object.api_version(), object.kind());
    let Some(resource) = persistently(ASKED_FOR, kind).await? else {
        let why = format!("the cluster does not serve {} {}", object.api_version(), object.kind());
        return Ok(Answer::Open { why });
    };
    let namespace = (resource.placement == Placement::Namespaced).then_some(namespace);
    match persistently(ASKED_FOR, || creation(client, &resource, object, namespace)).await {
        Ok(_) => Ok(Answer::Taken),
        Err(Trouble::Refused {
            code: 400 | 422,
            message,
        }) => Ok(Answer::Refused { message }),
        Err(Trouble::Refused { code, message }) if code != 401 => Ok(Answer::Open {
            why: format!("the API server answers {code}: {message}"),
        }),
        Err(trouble) => Err(trouble),
    }
}

/// Pretends to create an object, strictly.
async fn creation(
    client: &Client,
    resource: &Resource,
    object: &Object,
    namespace: Option<&str>,
) -> Result<DynamicObject, Error> {
    let parameters = PostParams {
        dry_run: true,
        field_manager: Some(FIELD_MANAGER.to_owned()),
    };
    let url = <DynamicObject as kube::Resource>::url_path(&resource.api, namespace);
    let body = serde_json::to_vec(&*object.value).map_err(Error::SerdeError)?;
    let mut request = Request::new(url)
        .create(&parameters, body)
        .map_err(Error::BuildRequest)?;
    let strict = format!("{}&fieldValidation=Strict", request.uri());
    *request.uri_mut() = strict
        .parse()
        .map_err(|error| Error::HttpError(http::Error::from(error)))?;
    client.request(request).await
}

/// The API server's error of applying an object, or a better one.
///
/// A field that its schema does not have makes the API server answer a server-side apply with 500, as if it were in
/// trouble itself (measured with Kubernetes 1.36). Asked to create the object, it answers 400 and names the field.
pub(super) async fn better_error(
    error: Error,
    client: &Client,
    resource: &Resource,
    object: &Object,
    namespace: Option<&str>,
) -> Error {
    if !matches!(&error, Error::Api(status) if status.code == 500) {
        return error;
    }
    match creation(client, resource, object, namespace).await {
        Err(Error::Api(status)) if matches!(status.code, 400 | 422) => Error::Api(status),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use http::Response;
    use kube::client::Body;
    use rstest::rstest;
    use serde_json::{Value, json};
    use tower_test::mock;

    use super::*;

    /// What a server that knows Things says to a Thing, and how it was asked.
    async fn asked(code: u16, namespace: Option<&str>) -> (Result<Vec<Answer>, Trouble>, String) {
        let (service, mut handle) = mock::pair::<http::Request<Body>, Response<Body>>();
        let server = tokio::spawn(async move {
            let mut last = String::new();
            while let Some((request, respond)) = handle.next_request().await {
                let kinds = json!({"kind": "APIResourceList", "groupVersion": "example.io/v1", "resources": [
                    {"name": "things", "singularName": "thing", "namespaced": true, "kind": "Thing", "verbs": ["create"]}]});
                let (code, body): (u16, Value) = if request.method() == http::Method::GET {
                    (200, kinds)
                } else {
                    last = format!("{} {}", request.method(), request.uri());
                    let bytes = request.into_body().collect_bytes().await.unwrap();
                    let sent: Value = serde_json::from_slice(&bytes).unwrap();
                    match code {
                        201 => (201, sent),
                        code => (
                            code,
                            json!({"kind": "Status", "status": "Failure", "code": code, "message": "spec.a: no", "reason": "x"}),
                        ),
                    }
                };
                let response = Response::builder()
                    .status(code)
                    .body(Body::from(body.to_string().into_bytes()));
                respond.send_response(response.unwrap());
            }
            last
        });
        let mut value = json!({"apiVersion": "example.io/v1", "kind": "Thing", "metadata": {"name": "x"}});
        if let Some(namespace) = namespace {
            value["metadata"]["namespace"] = namespace.into();
        }
        let object = Object {
            value: value.into(),
            file: "a.yaml".into(),
            line: 1,
        };
        let client = Client::new(service, "default");
        let answers = rehearse(&client, &[(&object, "here")]).await;
        drop(client);
        (answers, server.await.unwrap())
    }

    #[rstest]
    #[case::made(201, Answer::Taken)]
    #[case::invalid(422, Answer::Refused { message: "spec.a: no".into() })]
    #[case::of_unknown_fields(400, Answer::Refused { message: "spec.a: no".into() })]
    #[case::there_already(409, Answer::Open { why: "the API server answers 409: spec.a: no".into() })]
    #[case::no_such_namespace(404, Answer::Open { why: "the API server answers 404: spec.a: no".into() })]
    #[case::not_allowed(403, Answer::Open { why: "the API server answers 403: spec.a: no".into() })]
    #[tokio::test]
    async fn only_what_is_wrong_with_the_object_is_its_fault(#[case] code: u16, #[case] answer: Answer) {
        assert_eq!(asked(code, None).await.0.unwrap(), [answer]);
    }

    #[tokio::test]
    async fn it_is_asked_as_a_strict_dry_run_and_nothing_else() {
        let (_, question) = asked(201, None).await;
        assert_eq!(
            question,
            "POST /apis/example.io/v1/namespaces/here/things?&dryRun=All&fieldManager=quickproof&fieldValidation=Strict"
        );
        let (_, elsewhere) = asked(201, Some("there")).await;
        assert!(elsewhere.contains("/namespaces/there/things?"), "{elsewhere}");
    }

    /// What becomes of an error of this code where a creation is answered with `created`.
    async fn bettered(code: u16, created: u16) -> u16 {
        let (service, mut handle) = mock::pair::<http::Request<Body>, Response<Body>>();
        tokio::spawn(async move {
            while let Some((_, respond)) = handle.next_request().await {
                let body = json!({"kind": "Status", "status": "Failure", "code": created, "message": "unknown field", "reason": "x"});
                let response = Response::builder()
                    .status(created)
                    .body(Body::from(body.to_string().into_bytes()));
                respond.send_response(response.unwrap());
            }
        });
        let resource = Resource {
            api: kube::api::ApiResource::from_gvk(&kube::api::GroupVersionKind::gvk("example.io", "v1", "Thing")),
            placement: Placement::Namespaced,
        };
        let object = Object {
            value: json!({"apiVersion": "example.io/v1", "kind": "Thing", "metadata": {"name": "x"}}).into(),
            file: String::new(),
            line: 1,
        };
        let error = Error::Api(Box::new(kube::core::Status::failure("m", "r").with_code(code)));
        match better_error(
            error,
            &Client::new(service, "default"),
            &resource,
            &object,
            Some("here"),
        )
        .await
        {
            Error::Api(status) => status.code,
            other => panic!("{other}"),
        }
    }

    #[rstest]
    #[case::an_unknown_field(500, 400, 400)]
    #[case::truly_in_trouble(500, 500, 500)]
    #[case::there_already(500, 409, 500)]
    #[case::away(503, 400, 503)]
    #[case::refused(403, 400, 403)]
    #[tokio::test]
    async fn a_500_that_is_the_objects_fault_is_told_from_one_that_is_not(
        #[case] code: u16,
        #[case] created: u16,
        #[case] better: u16,
    ) {
        assert_eq!(bettered(code, created).await, better);
    }

    #[tokio::test]
    async fn who_is_not_known_is_told_so() {
        let (answers, _) = asked(401, None).await;
        assert!(
            matches!(answers, Err(Trouble::Refused { code: 401, .. })),
            "{answers:?}"
        );
    }

    #[tokio::test]
    async fn a_kind_that_is_not_served_is_left_open() {
        let (service, mut handle) = mock::pair::<http::Request<Body>, Response<Body>>();
        tokio::spawn(async move {
            while let Some((_, respond)) = handle.next_request().await {
                let body =
                    json!({"kind": "Status", "status": "Failure", "code": 404, "message": "no", "reason": "NotFound"});
                let response = Response::builder()
                    .status(404)
                    .body(Body::from(body.to_string().into_bytes()));
                respond.send_response(response.unwrap());
            }
        });
        let object = Object {
            value: json!({"apiVersion": "example.io/v1", "kind": "Thing", "metadata": {"name": "x"}}).into(),
            file: String::new(),
            line: 1,
        };
        let answers = rehearse(&Client::new(service, "default"), &[(&object, "here")])
            .await
            .unwrap();
        let why = "the cluster does not serve example.io/v1 Thing".into();
        assert_eq!(answers, [Answer::Open { why }]);
    }
}
