//! Plans drawn from whole trees: the embedded one, a miniature of our own, and a real release where its tree is there.

use std::path::{Path, PathBuf};

use quickproof::{
    cli, guide,
    plan::{self, Action, Chart, Options, Plan, PlanError, Step},
    release::{MemoryTree, Release, ReleaseError},
    verdict::{CauseCode, Finding, Weight},
};
use rstest::rstest;

use crate::upstream::{self, GIE};

fn mini() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/trees/mini")
}

fn release(directory: &Path, tag: &str) -> Result<Release, ReleaseError> {
    crate::open(directory, Some(tag))
}

fn options() -> Options {
    Options {
        variant: "sim".into(),
        provider: "istio".into(),
        ..Options::default()
    }
}

fn printed(plan: &Plan) -> String {
    let mut out = String::new();
    cli::plan::print(plan, &mut out).unwrap();
    out
}

fn causes(plan: &Plan) -> Vec<(String, CauseCode)> {
    let cause = |step: &Step| match &step.known {
        Some(Finding::Broken(fault)) => Some((step.from.to_string(), fault.cause.code)),
        _ => None,
    };
    plan.steps.iter().filter_map(cause).collect()
}

#[test]
fn the_plan_of_the_embedded_quickstart_is_this() {
    let plan = plan::draw(&Release::embedded(), &options()).unwrap();
    insta::assert_snapshot!(printed(&plan));
}

#[test]
fn the_embedded_quickstart_is_understood_and_nothing_in_it_is_known_to_fail() {
    let options = Options {
        profile: Some("small".into()),
        built: true,
        ..options()
    };
    let plan = plan::draw(&Release::embedded(), &options).unwrap();
    for step in &plan.steps {
        assert!(!matches!(step.action, Action::Unsupported { .. }), "{step:?}");
        assert_eq!(step.known, None, "{}", step.check);
    }
    let Some(Action::Request(request)) = plan
        .steps
        .iter()
        .map(|step| &step.action)
        .find(|action| matches!(action, Action::Request(_)))
    else {
        panic!("the embedded quickstart sends a request");
    };
    let body = request
        .body
        .as_ref()
        .unwrap()
        .resolve(&guide::Variables::new())
        .unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&body).unwrap()["model"],
        "quickproof/sim-model"
    );
}

#[test]
fn another_namespace_reaches_every_object_of_the_embedded_quickstart() {
    let options = Options {
        namespace: Some("elsewhere".into()),
        ..options()
    };
    let plan = plan::draw(&Release::embedded(), &options).unwrap();
    for step in &plan.steps {
        if let Action::Apply { objects, namespace } = &step.action {
            assert!(
                objects.is_empty() || namespace.as_deref() == Some("elsewhere"),
                "{}",
                step.check
            );
            assert!(
                !serde_json::to_string(&objects.iter().map(|object| &*object.value).collect::<Vec<_>>())
                    .unwrap()
                    .contains("default.")
            );
        }
    }
    assert!(plan.ledger.iter().any(|entry| entry.subject == "$NAMESPACE"));
}

#[test]
fn the_plan_of_the_miniature_release_is_this() {
    let options = Options {
        profile: Some("small".into()),
        helm_set: vec!["inferenceExtension.sidecar.image=docker.io/sidecar:v2".into()],
        built: true,
        ..options()
    };
    let plan = plan::draw(&release(&mini(), "v1.5.0").unwrap(), &options).unwrap();
    insta::assert_snapshot!(printed(&plan));
}

#[test]
fn what_is_wrong_with_the_miniature_release_is_known_at_its_lines() {
    let plan = plan::draw(&release(&mini(), "v1.5.0").unwrap(), &options()).unwrap();
    let wanted = [
        ("site-src/guides/index.md:5", CauseCode::GuideReferenceMissing),
        ("site-src/_includes/check.md:4", CauseCode::ToolFlagRemoved),
        ("site-src/guides/index.md:111", CauseCode::GuideReferenceElsewhere),
        ("site-src/guides/index.md:112", CauseCode::GuideReferenceMissing),
        ("site-src/guides/index.md:113", CauseCode::ShellVariableUnset),
    ];
    let seen = causes(&plan);
    let seen: Vec<_> = seen.iter().map(|(place, cause)| (place.as_str(), *cause)).collect();
    assert_eq!(seen, wanted);
    let request = plan
        .steps
        .iter()
        .find(|step| matches!(step.action, Action::Request(_)))
        .unwrap();
    assert_eq!(request.from.to_string(), "site-src/_includes/request.md:8");
    assert_eq!(request.check, "request:/v1/completions");
    let unsupported: Vec<_> = plan
        .steps
        .iter()
        .filter(|step| matches!(step.action, Action::Unsupported { .. }))
        .map(|step| step.command.as_str())
        .collect();
    assert_eq!(unsupported, [""; 0]);
}

/// The checks of every combination of a release, and how many there are.
fn checks(release: &Release) -> (Vec<Vec<String>>, usize) {
    let layout = release.layout(None).unwrap();
    let plans = plan::draw_all(release, &layout, &Options::default()).unwrap();
    let plans = plans.into_iter().filter_map(|(_, plan)| plan.ok());
    let of = |plan: Plan| plan.steps.into_iter().map(|step| step.check).collect::<Vec<_>>();
    let checks: Vec<Vec<String>> = plans.map(of).collect();
    let count = checks.iter().map(Vec::len).sum();
    (checks, count)
}

/// A row of a table over many runs is one check of one release and of the next.
#[test]
fn the_names_of_checks_stay_the_same_when_lines_come_to_the_guide() {
    let stored = ["v0.2.0", "v0.3.0", "v0.5.1", "v1.0.0", "v1.2.0", "v1.3.0", "v1.5.0"];
    let stored = stored.iter().filter_map(|tag| Some((upstream::tree(GIE, tag)?, *tag)));
    let router = upstream::tree("llm-d-router", "v0.10.0").map(|tree| (tree, "v0.10.0"));
    for (tree, tag) in stored.chain(router).chain([(mini(), "v1.5.0")]) {
        let release = release(&tree, tag).unwrap();
        let (guide, mut longer) = (release.layout(None).unwrap().guide.clone(), MemoryTree::default());
        for path in release.tree.all().unwrap() {
            let mut bytes = release.tree.read(&path).unwrap();
            if path == guide {
                bytes.splice(0..0, *b"Words that were added.\n\n");
            }
            longer.insert(path, bytes);
        }
        let longer = Release::new(release.repository.clone(), release.tag.clone(), None, Box::new(longer));
        let (before, after) = (checks(&release), checks(&longer));
        assert!(before.1 > 5, "{tag}: {before:?}");
        assert_eq!(before, after, "{tag}");
    }
}

#[test]
fn the_names_of_checks_are_unique() {
    for release in [Release::embedded(), release(&mini(), "v1.5.0").unwrap()] {
        let plan = plan::draw(&release, &options()).unwrap();
        let mut names: Vec<_> = plan.steps.iter().map(|step| &step.check).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}

#[test]
fn the_token_of_the_gpu_variant_stays_open_until_the_run() {
    let options = Options {
        variant: "gpu".into(),
        ..options()
    };
    let plan = plan::draw(&release(&mini(), "v1.5.0").unwrap(), &options).unwrap();
    let secret = plan.steps.iter().find_map(|step| match &step.action {
        Action::Secret { name, literals, .. } => Some((name.as_str(), literals.clone())),
        _ => None,
    });
    let token = guide::Template(vec![guide::Piece::Variable("HF_TOKEN".into())]);
    assert_eq!(secret, Some(("hf-token", vec![("token".to_owned(), token)])));
}

#[rstest]
#[case::variant(Options { variant: "tpu".into(), ..options() }, "`sim`")]
#[case::provider(Options { provider: "none-such".into(), ..options() }, "`istio`")]
#[case::profile(Options { profile: Some("huge".into()), ..options() }, "`small`")]
#[case::layout(Options { layout: Some("e99".into()), ..options() }, "`e8`")]
#[case::value(Options { helm_set: vec!["novalue".into()], ..options() }, "PATH=VALUE")]
fn an_option_that_names_nothing_is_answered_with_the_way_out(#[case] options: Options, #[case] way_out: &str) {
    let error = plan::draw(&release(&mini(), "v1.5.0").unwrap(), &options).unwrap_err();
    assert!(error.to_string().contains(way_out), "{error}");
}

#[test]
fn a_variant_that_the_guide_has_no_tab_for_is_told_with_its_tabs() {
    let options = Options {
        variant: "cpu".into(),
        ..options()
    };
    let error = plan::draw(&release(&mini(), "v1.5.0").unwrap(), &options).unwrap_err();
    assert!(matches!(error, PlanError::Guide(_)));
    assert!(error.to_string().contains("`Simulator deployment`"), "{error}");
}

#[test]
fn a_tree_that_is_not_the_release_is_refused() {
    let other = release(&mini(), "v1.6.1").unwrap_err();
    assert!(
        matches!(&other, ReleaseError::OtherRelease { found, .. } if found == "v1.5.0"),
        "{other}"
    );
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        release(empty.path(), "v1.5.0"),
        Err(ReleaseError::NoGuide { .. })
    ));
    assert!(matches!(
        release(empty.path(), "v0.0.1"),
        Err(ReleaseError::NoLayoutFor { .. })
    ));
    let none = empty.path().join("none");
    assert!(matches!(release(&none, "v1.5.0"), Err(ReleaseError::Unreadable { .. })));
}

#[test]
fn the_real_guide_is_understood_to_its_last_command() {
    let Some(tree) = upstream::tree(GIE, "v1.5.0") else {
        return;
    };
    let options = Options {
        profile: Some("small".into()),
        built: true,
        ..options()
    };
    let plan = plan::draw(&release(&tree, "v1.5.0").unwrap(), &options).unwrap();
    assert!(
        !plan
            .steps
            .iter()
            .any(|step| matches!(step.action, Action::Unsupported { .. }))
    );
    assert_eq!(
        causes(&plan),
        [(
            "site-src/_includes/verify-prereqs.md:6".to_owned(),
            CauseCode::ToolFlagRemoved
        )]
    );
    let advisory: Vec<_> = plan
        .steps
        .iter()
        .filter(|step| step.weight == Weight::Advisory)
        .map(|step| &step.from.line)
        .collect();
    assert_eq!(advisory, [&6, &14, &22, &23]);
    let request = plan
        .steps
        .iter()
        .find(|step| matches!(step.action, Action::Request(_)))
        .unwrap();
    assert_eq!(request.from.to_string(), "site-src/_includes/test.md:10");
    let places: Vec<(&str, String)> = plan
        .steps
        .iter()
        .filter_map(|step| {
            let what = match &step.action {
                Action::Apply { objects, .. } => format!("{} objects", objects.len()),
                Action::Helm {
                    release,
                    chart: Chart::Tree { directory },
                    ..
                } => format!("{release} from {directory}"),
                Action::InstallProvider { program, arguments, .. } => format!("{program} {}", arguments[..4].join(" ")),
                Action::Read { into, .. } => into.clone(),
                _ => return None,
            };
            Some((step.check.as_str(), what))
        })
        .collect();
    let flag = "values.pilot.env.ENABLE_GATEWAY_API_INFERENCE_EXTENSION=true";
    let wanted = [
        ("apply:Deployment/vllm-qwen3-32b", "1 objects".to_owned()),
        (
            "apply:CustomResourceDefinition/inferencemodelrewrites.inference.networking.x-k8s.io",
            "4 objects".to_owned(),
        ),
        ("install:istioctl", format!("istioctl install --set {flag} -y")),
        ("apply:Gateway/inference-gateway", "1 objects".to_owned()),
        (
            "helm:vllm-qwen3-32b",
            "vllm-qwen3-32b from config/charts/inferencepool".to_owned(),
        ),
        ("apply:InferenceObjective/small-segment-lora", "3 objects".to_owned()),
        ("read:IP", "IP".to_owned()),
    ];
    assert_eq!(places, wanted);
    assert_eq!(plan.build_ref.as_deref(), Some("v1.5.0"));
    assert_eq!(plan.images().len(), 4);
}

#[rstest]
#[case("v1.0.0")]
#[case("v1.2.0")]
#[case("v0.5.1")]
#[case("v0.3.0")]
#[case("v1.6.0")]
fn a_real_tree_of_another_release_is_refused(#[case] other: &str) {
    let Some(tree) = upstream::tree(GIE, other) else { return };
    let error = release(&tree, "v1.5.0").unwrap_err();
    assert!(
        matches!(&error, ReleaseError::OtherRelease { .. } | ReleaseError::NoGuide { .. }),
        "{error}"
    );
}

#[test]
fn the_standalone_page_is_drawn_with_what_stands_in_for_its_branch() {
    let Some(tree) = upstream::tree(GIE, "v1.5.0") else {
        return;
    };
    let options = Options {
        layout: Some("standalone".into()),
        ..options()
    };
    let plan = plan::draw(&release(&tree, "v1.5.0").unwrap(), &options).unwrap();
    println!("{}", printed(&plan));
    assert!(
        !plan
            .steps
            .iter()
            .any(|step| matches!(step.action, Action::Unsupported { .. }))
    );
    assert_eq!(causes(&plan), []);
    assert_eq!(plan.subject.provider, "none");
    assert!(plan.schemas.is_empty());
    assert!(plan.images().iter().any(|image| image.contains("envoyproxy/envoy")));
    let Some(Action::Helm {
        chart, version, set, ..
    }) = plan
        .steps
        .iter()
        .map(|step| &step.action)
        .find(|action| matches!(action, Action::Helm { .. }))
    else {
        panic!("the page installs a chart");
    };
    let directory = "config/charts/standalone".to_owned();
    assert_eq!(
        (chart, version.as_deref()),
        (&Chart::Tree { directory }, Some("v1.5.0"))
    );
    assert!(set.contains(&"provider.name=".to_owned()));
}

#[test]
fn a_guide_offers_the_combinations_that_it_has_tabs_for() {
    let release = release(&mini(), "v1.5.0").unwrap();
    let offered = plan::offers(&release, &release.layout(None).unwrap()).unwrap();
    let offered: Vec<String> = offered
        .iter()
        .map(|offer| format!("{} {}", offer.variant, offer.provider))
        .collect();
    assert_eq!(offered, ["gpu istio", "sim istio"]);
}

#[test]
fn a_tree_says_itself_which_release_it_is_of() {
    let release = crate::open(&mini(), None).unwrap();
    assert_eq!(release.tag.as_ref().map(ToString::to_string).as_deref(), Some("v1.5.0"));
}
