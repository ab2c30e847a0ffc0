use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Response, request::Parts},
};
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::images::store::sha256;

/// What a test's registry answers.
type Answer = http::response::Builder;

/// A registry on this machine; `answer` is given each request and what the registry is called, and says status, headers and
/// body.
async fn registry(
    answer: impl Fn(&Parts, &str) -> (Answer, Vec<u8>) + Clone + Send + Sync + 'static,
) -> (Upstream, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let name = listener.local_addr().unwrap().to_string();
    let of = name.clone();
    let router = Router::new().fallback(async move |request: Request| -> Response<Body> {
        let (response, body) = answer(&request.into_parts().0, &of);
        response.body(Body::from(body)).unwrap()
    });
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let host = Host::with_variables([("HOME", "/nowhere")]);
    (Upstream::new(&host).unwrap(), name)
}

fn image(registry: &str) -> ImageRef {
    format!("{registry}/a/b:v1").parse().unwrap()
}

fn status(code: u16) -> Answer {
    Response::builder().status(code)
}

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[tokio::test]
async fn the_head_of_a_manifest_says_the_digest_and_nothing_is_pulled() {
    let (upstream, name) = registry(|asked, _| {
        assert_eq!(
            (asked.method.as_str(), asked.uri.path()),
            ("HEAD", "/v2/a/b/manifests/v1")
        );
        (status(200).header("docker-content-digest", DIGEST), Vec::new())
    })
    .await;
    assert_eq!(
        upstream.leads_to(&image(&name)).await,
        Ok(Said::Digest(DIGEST.to_owned()))
    );
}

#[tokio::test]
async fn where_the_head_gives_no_digest_the_manifest_itself_does() {
    let (upstream, name) = registry(|_, _| (status(200), b"{}".to_vec())).await;
    assert_eq!(upstream.leads_to(&image(&name)).await, Ok(Said::Digest(sha256(b"{}"))));
}

#[tokio::test]
async fn a_registry_that_wants_a_token_is_shown_one_and_it_is_kept_for_the_repository_and_is_a_secret() {
    let (upstream, name) = registry(|asked, name| {
        let token = asked.uri.path() == "/token";
        let shown = asked.headers.get(AUTHORIZATION).map(|shown| shown.to_str().unwrap());
        match (token, shown) {
            (true, None) => {
                let query = asked.uri.query().unwrap();
                assert_eq!(query, "service=s&scope=repository%3Aa%2Fb%3Apull");
                (status(200), br#"{"access_token":"opensesame"}"#.to_vec())
            }
            (false, Some("Bearer opensesame")) => (status(200).header("docker-content-digest", DIGEST), Vec::new()),
            (false, None) => {
                let wanted = format!(r#"Bearer realm="http://{name}/token",service="s""#);
                (status(401).header(WWW_AUTHENTICATE, wanted), Vec::new())
            }
            other => panic!("{other:?}"),
        }
    })
    .await;
    for _ in 0..2 {
        let said = upstream.leads_to(&image(&name)).await;
        assert_eq!(said, Ok(Said::Digest(DIGEST.to_owned())));
    }
    assert_eq!(upstream.authorizations().len(), 1);
    assert_eq!(upstream.host.redactor().redact("opensesame"), "[redacted]");
    assert!(!format!("{upstream:?}").contains("opensesame"));
}

#[tokio::test]
async fn a_registry_that_leads_to_another_machine_is_followed_with_a_token_for_that_one() {
    let (_, second) = registry(|asked, name| match asked.uri.path() {
        "/token" => (status(200), br#"{"token":"of-the-second"}"#.to_vec()),
        path => {
            assert_eq!(path, "/v2/prod/a/b/manifests/v1");
            if asked
                .headers
                .get(AUTHORIZATION)
                .is_some_and(|shown| shown == "Bearer of-the-second")
            {
                return (status(200).header("docker-content-digest", DIGEST), Vec::new());
            }
            let wanted = format!(r#"Bearer realm="http://{name}/token""#);
            (status(401).header(WWW_AUTHENTICATE, wanted), Vec::new())
        }
    })
    .await;
    let (upstream, first) = registry(move |asked, _| {
        assert!(
            asked.headers.get(AUTHORIZATION).is_none(),
            "a token is for whom gave it"
        );
        let location = format!("http://{second}/v2/prod/a/b/manifests/v1");
        (status(307).header(LOCATION, location), Vec::new())
    })
    .await;
    let said = upstream.leads_to(&image(&first)).await;
    assert_eq!(said, Ok(Said::Digest(DIGEST.to_owned())));
}

/// Nodes have no account, and an old one of this machine must not keep a public image away.
#[rstest]
#[case::public(true, Ok(Said::Digest(DIGEST.to_owned())), false)]
#[case::private(false, Ok(Said::Digest(DIGEST.to_owned())), true)]
#[tokio::test]
async fn a_registry_is_asked_as_anybody_first(
    #[case] is_public: bool,
    #[case] wanted: Result<Said, Unanswered>,
    #[case] is_private: bool,
) {
    let (_, name) = registry(move |asked, name| {
        let shown = asked.headers.get(AUTHORIZATION).and_then(|shown| shown.to_str().ok());
        if asked.uri.path() == "/token" {
            return match shown {
                None if is_public => (status(200), br#"{"token":"of-anybody"}"#.to_vec()),
                Some(shown) if shown.starts_with("Basic ") && !is_public => {
                    (status(200), br#"{"token":"of-the-account"}"#.to_vec())
                }
                _ => (status(401), Vec::new()),
            };
        }
        if shown.is_some_and(|shown| shown.starts_with("Bearer of-")) {
            return (status(200).header("docker-content-digest", DIGEST), Vec::new());
        }
        let challenge = format!(r#"Bearer realm="http://{name}/token""#);
        (status(401).header(WWW_AUTHENTICATE, challenge), Vec::new())
    })
    .await;
    let accounts = json!({"auths": {name.clone(): {"auth": "bmFtZTpwYXNzd29yZA=="}}}).to_string();
    let upstream = Upstream::new(&Host::with_variables([("DOCKER_AUTH_CONFIG", accounts.as_str())])).unwrap();
    let image = image(&name);
    assert_eq!(upstream.leads_to(&image).await, wanted);
    assert_eq!(upstream.is_private(&image), is_private);
}

#[rstest]
#[case::it_says_that_it_is_private(403, &[], "answers 403 Forbidden for")]
#[case::it_does_not_say_what_it_wants(401, &[], "does not say what it wants")]
#[case::it_wants_a_password(401, &[("www-authenticate", "Basic realm=\"r\"")], "wants name and password")]
#[case::it_names_no_server(401, &[("www-authenticate", "Bearer realm=\"ftp://a\"")], "names no server that gives tokens")]
#[case::it_leads_in_a_circle(307, &[("location", "/v2/a/b/manifests/v1")], "without end")]
#[case::it_leads_nowhere(302, &[], "leads to nowhere")]
#[case::it_is_none(418, &[], "as no registry does")]
#[tokio::test]
async fn an_answer_that_is_none_says_nothing_of_the_image(
    #[case] code: u16,
    #[case] headers: &'static [(&'static str, &'static str)],
    #[case] said: &str,
) {
    let (upstream, name) = registry(move |_, _| {
        let answer = headers
            .iter()
            .fold(status(code), |answer, (name, value)| answer.header(*name, *value));
        (answer, Vec::new())
    })
    .await;
    let unanswered = upstream.leads_to(&image(&name)).await.unwrap_err();
    assert_eq!(unanswered.host, name);
    assert!(unanswered.what.contains(said), "{unanswered}");
    assert!(!unanswered.may_pass(), "asking again helps nobody");
}

#[rstest]
#[case::broken(503, None, None)]
#[case::too_much(429, Some("7"), Some(7))]
#[case::a_date(429, Some("Thu, 26 Nov 2026 11:00:00 GMT"), None)]
#[tokio::test]
async fn a_registry_that_cannot_now_says_so_and_how_long_it_wants_to_be_left_alone(
    #[case] code: u16,
    #[case] pause: Option<&'static str>,
    #[case] asked_for: Option<u64>,
) {
    let (upstream, name) = registry(move |_, _| {
        let answer = status(code);
        (
            match pause {
                Some(pause) => answer.header(RETRY_AFTER, pause),
                None => answer,
            },
            Vec::new(),
        )
    })
    .await;
    let unanswered = upstream.ask_for_digest(&image(&name)).await.unwrap_err();
    assert!(unanswered.may_pass());
    assert_eq!(unanswered.pause().map(|pause| pause.as_secs()), asked_for);
    assert!(unanswered.what.contains(&code.to_string()), "{unanswered}");
    assert!(matches!(upstream.is_there(&name).await, Seen::Unable(_)));
}

#[rstest]
#[case::as_the_specification_says(200, true)]
#[case::it_wants_a_token(401, true)]
#[case::a_page_of_somebody(403, false)]
#[case::no_registry(404, false)]
#[tokio::test]
async fn a_registry_is_there_where_it_answers_as_one(#[case] code: u16, #[case] answers: bool) {
    let (upstream, name) = registry(move |asked, _| {
        assert_eq!(asked.uri.path(), "/v2/");
        (status(code), Vec::new())
    })
    .await;
    assert_eq!(upstream.is_there(&name).await == Seen::Answers, answers);
}

#[tokio::test]
async fn where_nobody_listens_that_is_said_at_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let name = listener.local_addr().unwrap().to_string();
    drop(listener);
    let upstream = Upstream::new(&Host::with_variables([])).unwrap();
    let Seen::Away(said) = upstream.is_there(&name).await else {
        panic!("nobody listens at {name}");
    };
    assert!(said.starts_with(&format!("{name} does not answer (")), "{said}");
}

#[tokio::test]
async fn a_name_that_pins_a_digest_gets_that_one_or_the_registry_is_wrong() {
    let (upstream, name) = registry(|_, _| (status(200).header("docker-content-digest", DIGEST), Vec::new())).await;
    let pinned = |digest: &str| format!("{name}/a/b@{digest}").parse::<ImageRef>().unwrap();
    assert_eq!(
        upstream.leads_to(&pinned(DIGEST)).await,
        Ok(Said::Digest(DIGEST.to_owned()))
    );
    let other = upstream
        .leads_to(&pinned(&DIGEST.replace("aa", "bb")))
        .await
        .unwrap_err();
    assert!(other.what.contains("another digest than was asked for"), "{other}");
}

#[tokio::test]
async fn the_parts_of_an_index_are_its_manifests_and_their_configurations_and_a_wrong_digest_is_the_registrys_fault() {
    let configuration = DIGEST.replace('a', "c");
    let manifest = json!({"schemaVersion": 2, "config": {"digest": configuration}, "layers": []}).to_string();
    let index = json!({"schemaVersion": 2, "manifests": [{"digest": sha256(manifest.as_bytes())}]}).to_string();
    let bodies = [manifest.clone(), index.clone()];
    let (upstream, name) = registry(move |asked, _| {
        let wanted = asked.uri.path().rsplit('/').next().unwrap();
        let body = bodies.iter().find(|body| sha256(body.as_bytes()) == wanted);
        (
            status(200),
            body.map_or(b"cut".to_vec(), |body| body.clone().into_bytes()),
        )
    })
    .await;
    let image = image(&name);
    let [index, manifest] = [index, manifest].map(|body| sha256(body.as_bytes()));
    let parts = upstream.parts(&image, &index).await.unwrap();
    assert_eq!(parts, [index, manifest.clone(), configuration.clone()].into());
    assert_eq!(
        upstream.parts(&image, &manifest).await.unwrap(),
        [manifest, configuration].into()
    );
    let wrong = upstream.parts(&image, DIGEST).await.unwrap_err();
    assert!(wrong.what.contains(&format!("for {DIGEST}")), "{wrong}");
}

#[tokio::test]
async fn the_size_of_an_image_is_that_of_what_a_node_of_this_kind_fetches() {
    let here = json!({"config": {"digest": DIGEST, "size": 7}, "layers": [{"digest": DIGEST, "size": 1000}, {"digest": DIGEST, "size": 200}]}).to_string();
    let of = |architecture: &str, digest: &str| json!({"digest": digest, "platform": {"os": "linux", "architecture": architecture}});
    let index =
        json!({"manifests": [of("s390x", DIGEST), of(crate::images::machine().unwrap(), &sha256(here.as_bytes()))]});
    let bodies = [here, index.to_string()];
    let digest = sha256(bodies[1].as_bytes());
    let (upstream, name) = registry(move |asked, _| {
        let wanted = asked.uri.path().rsplit('/').next().unwrap();
        let body = bodies.iter().find(|body| sha256(body.as_bytes()) == wanted);
        let answer = status(200).header("docker-content-digest", &digest);
        (answer, body.map_or(Vec::new(), |body| body.clone().into_bytes()))
    })
    .await;
    assert_eq!(upstream.size_of(&image(&name)).await, Ok(Some(1207)));
}

fn unanswered(kind: Why) -> Unanswered {
    Unanswered {
        host: "r.example".to_owned(),
        what: "does not answer".to_owned(),
        kind,
    }
}

/// How often it was asked, how long that took in seconds, and whether there was an answer in the end.
async fn asked(fails: usize, kind: Why) -> (usize, u64, bool) {
    let (began, mut times) = (Instant::now(), 0);
    let said = patiently(|| {
        times += 1;
        std::future::ready(if times > fails { Ok(()) } else { Err(unanswered(kind)) })
    });
    let answered = said.await.is_ok();
    (times, began.elapsed().as_secs(), answered)
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_asked_again_for_half_a_minute_and_a_pause_that_is_asked_for_is_kept() {
    assert_eq!(asked(0, Why::Silent).await, (1, 0, true));
    assert_eq!(asked(2, Why::Unable(None)).await, (3, 3, true));
    assert_eq!(
        asked(1, Why::Unable(Some(Duration::from_secs(20)))).await,
        (2, 20, true)
    );
    assert_eq!(
        asked(1, Why::Unable(Some(Duration::from_hours(1)))).await,
        (1, 0, false)
    );
    assert_eq!(asked(99, Why::Silent).await, (6, 23, false));
    assert_eq!(asked(99, Why::Refuses).await, (1, 0, false));
}

#[rstest]
#[case("docker.io", "https://registry-1.docker.io/v2/a")]
#[case("ghcr.io", "https://ghcr.io/v2/a")]
#[case("r.example:5000", "https://r.example:5000/v2/a")]
#[case("localhost:5000", "http://localhost:5000/v2/a")]
fn a_registry_has_the_address_that_engines_ask(#[case] host: &str, #[case] asked: &str) {
    assert_eq!(address(host, "a").unwrap().as_str(), asked);
}
