//! Whose answers are.

use rstest::rstest;
use serde_json::json;

use super::*;

fn wanted(call: &str) -> Wanted {
    let (method, uri) = call.split_once(' ').unwrap();
    Wanted::of(&method.parse().unwrap(), &uri.parse().unwrap())
}

#[rstest]
#[case("GET /version", Wanted::Version)]
#[case("GET /api", Wanted::Kinds(None))]
#[case("GET /apis", Wanted::Kinds(None))]
#[case("GET /api/v1", Wanted::Kinds(Some("v1".into())))]
#[case("GET /apis/apps/v1", Wanted::Kinds(Some("apps/v1".into())))]
#[case("GET /api/v1/namespaces", Wanted::List)]
#[case("GET /api/v1/namespaces/n/pods?limit=5", Wanted::List)]
#[case("GET /api/v1/namespaces/n/pods?limit=5&watch=true", Wanted::Stream)]
#[case("GET /api/v1/namespaces/n/pods/p/log?container=c", Wanted::Text)]
#[case("DELETE /apis/apps/v1/namespaces/n/deployments/d", Wanted::Deletion)]
#[case("POST /api/v1/namespaces/n/serviceaccounts/a/token", Wanted::Object { api_version: None, name: None })]
#[case("GET /api/v1/namespaces/n", Wanted::Object { api_version: Some("v1".into()), name: Some("n".into()) })]
#[case("PATCH /api/v1/namespaces/n/services/s/status", Wanted::Object { api_version: Some("v1".into()), name: Some("s".into()) })]
#[case("POST /apis/a.io/v2/things", Wanted::Object { api_version: Some("a.io/v2".into()), name: None })]
fn what_is_wanted_is_told_by_the_call(#[case] call: &str, #[case] is: Wanted) {
    assert_eq!(wanted(call), is);
}

/// Whether an answer is the API server's own.
fn is_own(call: &str, code: u16, kind: &str, body: &str) -> Result<String, NoAnswer> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
    let own = own_answer(
        &wanted(call),
        code.try_into().unwrap(),
        &headers,
        body.as_bytes().to_vec(),
    )?;
    Ok(String::from_utf8(own).unwrap())
}

const MAP: &str = "GET /api/v1/namespaces/n/configmaps/c";
const MAPS: &str = "GET /api/v1/namespaces/n/configmaps";

#[rstest]
#[case::version("GET /version", 200, r#"{"major": "1", "gitVersion": "v1.34.0"}"#)]
#[case::kinds_of_the_core(
    "GET /api/v1",
    200,
    r#"{"kind": "APIResourceList", "groupVersion": "v1", "resources": []}"#
)]
#[case::groups("GET /apis", 200, r#"{"kind": "APIGroupList", "apiVersion": "v1", "groups": []}"#)]
#[case::object(MAP, 200, r#"{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c"}}"#)]
#[case::only_its_metadata(
    MAP,
    200,
    r#"{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "c"}}"#
)]
#[case::list(
    MAPS,
    200,
    r#"{"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {}, "items": []}"#
)]
#[case::list_as_go_writes_an_empty_one(MAPS, 200, r#"{"kind": "ThingList", "apiVersion": "v1", "items": null}"#)]
#[case::deleted(
    "DELETE /api/v1/namespaces/n/configmaps/c",
    200,
    r#"{"kind": "Status", "apiVersion": "v1", "status": "Success"}"#
)]
#[case::deleted_and_shown(
    "DELETE /api/v1/namespaces/n/configmaps/c",
    202,
    r#"{"kind": "ConfigMap", "apiVersion": "v1"}"#
)]
#[case::refused(
    MAP,
    422,
    r#"{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 422, "reason": "Invalid"}"#
)]
#[case::log("GET /api/v1/namespaces/n/pods/p/log", 200, "anything at all")]
fn the_api_servers_own_answers_come_through_as_they_are(#[case] call: &str, #[case] code: u16, #[case] body: &str) {
    assert_eq!(is_own(call, code, "application/json", body).as_deref(), Ok(body));
}

#[rstest]
#[case::html(MAP, 200, "text/html; charset=utf-8", "<html>", "an HTML page of 6 bytes")]
#[case::html_that_says_it_is_json(MAP, 200, "application/json", " <html>", "an HTML page of 7 bytes")]
#[case::nothing(MAP, 200, "application/json", "", "an empty body")]
#[case::cut(
    MAP,
    200,
    "application/json",
    r#"{"kind": "Conf"#,
    "JSON that breaks off after 14 bytes"
)]
#[case::something_else(MAP, 200, "text/plain", "ok", "2 bytes that are no JSON")]
#[case::no_content(MAP, 204, "application/json", "", "an empty body")]
#[case::another_page(MAP, 302, "text/html", "<html>", "an HTML page of 6 bytes")]
#[case::no_object(MAP, 200, "application/json", "{}", "JSON that is no object that was asked for")]
#[case::another_object(
    MAP,
    200,
    "application/json",
    r#"{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "d"}}"#,
    "an object of another kind than object that was asked for"
)]
#[case::of_another_version(
    MAP,
    200,
    "application/json",
    r#"{"kind": "ConfigMap", "apiVersion": "v2", "metadata": {"name": "c"}}"#,
    "an object of another kind than object that was asked for"
)]
#[case::a_success_without_an_object(
    MAP,
    200,
    "application/json",
    r#"{"kind": "Status", "apiVersion": "v1", "metadata": {"name": "c"}}"#,
    "an object of another kind than object that was asked for"
)]
#[case::no_list(
    MAPS,
    200,
    "application/json",
    r#"{"kind": "ConfigMap", "apiVersion": "v1"}"#,
    "an object of another kind than list of objects"
)]
#[case::no_version(
    "GET /version",
    200,
    "application/json",
    "{}",
    "JSON that is no version of Kubernetes"
)]
#[case::kinds_of_another_group(
    "GET /apis/apps/v1",
    200,
    "application/json",
    r#"{"kind": "APIResourceList", "groupVersion": "v1", "resources": []}"#,
    "an object of another kind than list of kinds"
)]
#[case::an_error_page(MAP, 404, "text/html", "<html>", "an HTML page of 6 bytes")]
#[case::an_error_of_another_api(MAP, 422, "application/json", r#"{"error": "no"}"#, "JSON that is no `Status`")]
#[case::a_status_of_another_code(
    MAP,
    404,
    "application/json",
    r#"{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 422}"#,
    "JSON that is no `Status`"
)]
fn whatever_else_answers_is_told_by_its_shape(
    #[case] call: &str,
    #[case] code: u16,
    #[case] kind: &str,
    #[case] body: &str,
    #[case] what: &str,
) {
    let said = is_own(call, code, kind, body).unwrap_err();
    let foreign = NoAnswer::Foreign {
        code,
        what: what.to_owned(),
        retry_after: None,
    };
    assert_eq!(said, foreign);
}

#[test]
fn a_pause_that_a_header_asks_for_is_handed_on() {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 429}).to_string();
    let mut headers = HeaderMap::new();
    headers.insert(header::RETRY_AFTER, "7".parse().unwrap());
    let answered = |body: &str| own_answer(&wanted(MAP), StatusCode::TOO_MANY_REQUESTS, &headers, body.into());
    let own: Value = serde_json::from_slice(&answered(&status).unwrap()).unwrap();
    assert_eq!(own["details"]["retryAfterSeconds"], 7);
    assert!(
        matches!(answered("<html>"), Err(NoAnswer::Foreign { retry_after: Some(pause), .. }) if pause.as_secs() == 7)
    );
}
