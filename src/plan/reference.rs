//! What an address in a guide refers to, told from its form alone.

use url::Url;

/// What an address refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// A file of a repository at a tag, branch or commit.
    File {
        repository: String,
        /// The tag, branch or commit.
        at: String,
        path: String,
    },
    /// A directory of a repository, for kustomize; `at` is `HEAD` where none is named.
    Directory {
        repository: String,
        at: String,
        path: String,
    },
    /// A file attached to a release; `at` is `latest` where none is named.
    Asset {
        repository: String,
        at: String,
        name: String,
    },
    /// The list of releases that the API gives.
    Releases { repository: String },
    /// Something else on the web.
    Elsewhere,
    /// No address: a path.
    Path(String),
}

/// Reads an address or a path as `kubectl -f` and `curl` take it.
pub(crate) fn classify(text: &str) -> Reference {
    let Ok(url) = Url::parse(text) else {
        return Reference::Path(text.to_owned());
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Reference::Elsewhere;
    }
    let parts: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
    let name = |owner: &str, repository: &str| format!("{owner}/{}", repository.trim_end_matches(".git"));
    let file = |owner: &str, repository: &str, rest: &[&str]| {
        // The long form names the kind of reference; a branch of several parts cannot be told from a path.
        let rest = rest
            .strip_prefix(&["refs", "tags"])
            .or_else(|| rest.strip_prefix(&["refs", "heads"]))
            .unwrap_or(rest);
        match rest {
            [at, path @ ..] if !path.is_empty() => Reference::File {
                repository: name(owner, repository),
                at: (*at).to_owned(),
                path: path.join("/"),
            },
            _ => Reference::Elsewhere,
        }
    };
    match (url.host_str().unwrap_or_default(), parts.as_slice()) {
        ("raw.githubusercontent.com", [owner, repository, rest @ ..])
        | ("github.com", [owner, repository, "raw" | "blob", rest @ ..]) => file(owner, repository, rest),
        ("github.com", [owner, repository, "releases", "download", at, asset]) => Reference::Asset {
            repository: name(owner, repository),
            at: (*at).to_owned(),
            name: (*asset).to_owned(),
        },
        ("github.com", [owner, repository, "releases", "latest", "download", asset]) => Reference::Asset {
            repository: name(owner, repository),
            at: "latest".to_owned(),
            name: (*asset).to_owned(),
        },
        ("api.github.com", ["repos", owner, repository, "releases", ..]) => Reference::Releases {
            repository: name(owner, repository),
        },
        ("github.com", [owner, repository, path @ ..]) if !path.is_empty() => Reference::Directory {
            repository: name(owner, repository),
            at: url
                .query_pairs()
                .find_map(|(key, value)| (key == "ref").then(|| value.into_owned()))
                .unwrap_or_else(|| "HEAD".to_owned()),
            path: path.join("/"),
        },
        _ => Reference::Elsewhere,
    }
}

/// The name of a chart of the release's repository in an `oci://` reference, such as `inferencepool`. `charts` are what
/// such references have before the name.
pub(crate) fn own_chart<'a>(reference: &'a str, charts: &[String]) -> Option<&'a str> {
    let rest = reference.strip_prefix("oci://")?;
    let (before, chart) = rest.split_at(rest.rfind('/')? + 1);
    charts.iter().any(|own| before.ends_with(own.as_str())).then_some(chart)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn file(at: &str) -> Reference {
        Reference::File {
            repository: "o/r".into(),
            at: at.into(),
            path: "a/b.yaml".into(),
        }
    }

    fn asset(at: &str) -> Reference {
        Reference::Asset {
            repository: "o/r".into(),
            at: at.into(),
            name: "manifests.yaml".into(),
        }
    }

    fn directory(at: &str) -> Reference {
        Reference::Directory {
            repository: "o/r".into(),
            at: at.into(),
            path: "config/crd".into(),
        }
    }

    #[rstest]
    #[case("https://raw.githubusercontent.com/o/r/refs/tags/v1.5.0/a/b.yaml", file("v1.5.0"))]
    #[case("https://raw.githubusercontent.com/o/r/refs/heads/main/a/b.yaml", file("main"))]
    #[case("https://raw.githubusercontent.com/o/r/v1.5.0/a/b.yaml", file("v1.5.0"))]
    #[case("https://github.com/o/r/raw/main/a/b.yaml", file("main"))]
    #[case("https://github.com/o/r/raw/refs/tags/v1.5.0/a/b.yaml", file("v1.5.0"))]
    #[case("https://github.com/o/r/releases/download/v1.5.0/manifests.yaml", asset("v1.5.0"))]
    #[case("https://github.com/o/r/releases/latest/download/manifests.yaml", asset("latest"))]
    #[case("https://github.com/o/r/config/crd", directory("HEAD"))]
    #[case("https://github.com/o/r/config/crd?ref=v1.5.0", directory("v1.5.0"))]
    #[case("https://api.github.com/repos/o/r/releases", Reference::Releases { repository: "o/r".into() })]
    #[case("https://raw.githubusercontent.com/o/r/v1.5.0", Reference::Elsewhere)]
    #[case("https://a.example/x.yaml", Reference::Elsewhere)]
    #[case("ftp://a.example/x.yaml", Reference::Elsewhere)]
    #[case("manifests/x.yaml", Reference::Path("manifests/x.yaml".into()))]
    #[case("./x.yaml", Reference::Path("./x.yaml".into()))]
    #[case("-", Reference::Path("-".into()))]
    fn addresses_are_told_from_their_form(#[case] text: &str, #[case] reference: Reference) {
        assert_eq!(classify(text), reference);
    }

    #[rstest]
    #[case(
        "oci://registry.k8s.io/gateway-api-inference-extension/charts/inferencepool",
        Some("inferencepool")
    )]
    #[case(
        "oci://a.example/p/k8s-staging-images/gateway-api-inference-extension/charts/standalone",
        Some("standalone")
    )]
    #[case("oci://ghcr.io/nginx/charts/nginx-gateway-fabric", None)]
    #[case("./charts/x", None)]
    fn a_chart_of_the_project_is_known_by_its_repository(#[case] reference: &str, #[case] chart: Option<&str>) {
        let charts = ["/gateway-api-inference-extension/charts/".to_owned()];
        assert_eq!(own_chart(reference, &charts), chart);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(https://github.com)?[a-z/:.?=]{0,40}") {
            classify(&text);
            own_chart(&text, &["/x/".to_owned()]);
        }
    }
}
