//! Every combination of variant and provider that the real releases offer, planned to the last command.

use std::{fs, path::Path};

use quickproof::{
    plan::{self, Action, Offer, Options, Phase},
    release::{Address, Found, Published},
    verdict::{CauseCode, Fault, Finding},
};
use rstest::rstest;

use crate::upstream::{self, GIE};

/// Commands that need not be understood: what is in the step's file, what its command begins with, and why. Each must be
/// met at least once.
const ALLOWED: &[(&str, &str, &str)] = &[];

/// The trees, and what each offers.
const TREES: &[(&str, &str, &[&str], &[&str])] = &[
    (GIE, "v0.2.0", &["cpu", "gpu"], &["envoy-gateway"]),
    (GIE, "v0.3.0", &["cpu", "gpu"], &["gke", "istio", "kgateway"]),
    (GIE, "v0.5.1", &["cpu", "gpu", "sim"], &["gke", "istio", "kgateway"]),
    (
        GIE,
        "v1.0.0",
        &["cpu", "gpu", "sim"],
        &["agentgateway", "gke", "istio", "kgateway"],
    ),
    (
        GIE,
        "v1.2.0",
        &["cpu", "gpu", "sim"],
        &["gke", "istio", "kgateway", "nginx-gateway-fabric"],
    ),
    (
        GIE,
        "v1.3.0",
        &["cpu", "gpu", "sim"],
        &["gke", "istio", "kgateway", "nginx-gateway-fabric"],
    ),
    (
        GIE,
        "v1.3.1-rc.1",
        &["cpu", "gpu", "sim"],
        &["gke", "istio", "kgateway", "nginx-gateway-fabric"],
    ),
    (
        GIE,
        "v1.5.0",
        &["cpu", "gpu", "sim"],
        &["agentgateway", "gke", "istio", "nginx-gateway-fabric"],
    ),
    (
        GIE,
        "v1.6.0",
        &["echo"],
        &[
            "agentgateway",
            "envoy-ai-gateway",
            "gke",
            "istio",
            "nginx-gateway-fabric",
        ],
    ),
    (
        "llm-d-router",
        "v0.10.0",
        &["cpu", "gpu", "sim"],
        &["agentgateway", "gke", "istio", "nginx-gateway-fabric"],
    ),
];

#[test]
fn every_combination_of_every_real_release_is_understood_to_its_last_command() {
    let mut met = vec![0; ALLOWED.len()];
    let mut trees = 0;
    let mut stray = Vec::new();
    for (repository, tag, variants, providers) in TREES {
        let Some(directory) = upstream::tree(repository, tag) else {
            continue;
        };
        trees += 1;
        let release = crate::open(&directory, Some(tag)).unwrap();
        assert_eq!(release.tag.as_ref().map(ToString::to_string).as_deref(), Some(*tag));
        let layout = release.layout(None).unwrap();
        let plans = plan::draw_all(&release, &layout, &Options::default()).unwrap();
        let wanted: Vec<Offer> = variants
            .iter()
            .flat_map(|variant| {
                providers.iter().map(|provider| Offer {
                    variant: (*variant).into(),
                    provider: (*provider).into(),
                })
            })
            .collect();
        let offers: Vec<&Offer> = plans.iter().map(|(offer, _)| offer).collect();
        assert_eq!(offers, wanted.iter().collect::<Vec<_>>(), "{tag}");
        for (offer, plan) in &plans {
            let plan = plan.as_ref().unwrap_or_else(|error| panic!("{tag} {offer:?}: {error}"));
            assert!(plan.steps.len() > 5, "{tag} {offer:?}");
            assert!(plan.wanted.is_empty());
            for step in plan.steps.iter().chain(&plan.cleanup) {
                let Action::Unsupported { why } = &step.action else {
                    continue;
                };
                let allowed = ALLOWED
                    .iter()
                    .position(|(file, command, _)| step.from.file.contains(file) && step.command.starts_with(command));
                match allowed {
                    Some(number) => met[number] += 1,
                    None => stray.push(format!("{tag} {offer:?} {}: {}: {why}", step.from, step.command)),
                }
            }
        }
    }
    assert!(stray.is_empty(), "{}", stray.join("\n"));
    if trees == TREES.len() {
        for ((file, command, _), met) in ALLOWED.iter().zip(met) {
            assert!(met > 0, "{file} `{command}` is allowed and never met");
        }
    }
}

/// Every stored tree whose layout reads a guide, as repository and tag.
fn stored() -> Vec<(&'static str, &'static str)> {
    TREES.iter().map(|(repository, tag, ..)| (*repository, *tag)).collect()
}

#[test]
fn what_a_layout_says_of_its_guide_is_true_of_every_stored_release_of_its_range() {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    let layouts = std::fs::read_dir(manifests.join("layouts")).unwrap();
    let layouts: Vec<serde_json::Value> = layouts
        .map(|entry| serde_saphyr::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap())
        .collect();
    for (repository, tag) in stored() {
        let Some(directory) = upstream::tree(repository, tag) else {
            continue;
        };
        let release = crate::open(&directory, Some(tag)).unwrap();
        let read = release.layout(None).unwrap();
        let from = read.from.as_ref().unwrap().to_string();
        let is_of = |layout: &&serde_json::Value| {
            layout["from"] == from.as_str() && layout["repository"].as_str().is_none_or(|of| of.ends_with(repository))
        };
        let mut matching = layouts.iter().filter(is_of);
        let (Some(layout), None) = (matching.next(), matching.next()) else {
            panic!("{tag}: one layout begins at {from}")
        };
        let mut text = match &read.our_guide {
            Some(_) => std::fs::read_to_string(manifests.parent().unwrap().join(read.guide.as_str())).unwrap(),
            None => std::fs::read_to_string(directory.join(read.guide.as_str())).unwrap(),
        };
        for page in std::fs::read_dir(directory.join("site-src/_includes"))
            .into_iter()
            .flatten()
        {
            text.push_str(&std::fs::read_to_string(page.unwrap().path()).unwrap());
        }
        let text = text.to_lowercase();
        let named = |value: &serde_json::Value| text.contains(&value.as_str().unwrap().to_lowercase());
        let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
        for field in ["skip_after", "skip_below", "placeholders"] {
            for one in list(&layout[field]) {
                assert!(named(&one["text"]), "{tag}: {field}: {}", one["text"]);
            }
        }
        let variants = layout["variants"].as_object().cloned().unwrap_or_default();
        for (variant, pattern) in variants {
            // The first release of its range had no simulator.
            let is_later = (tag, variant.as_str()) == ("v0.3.0", "sim");
            assert!(
                is_later || list(&pattern["contains"]).iter().any(named),
                "{tag}: {variant}"
            );
        }
        for pattern in list(&layout["tabs"]) {
            assert!(list(&pattern["contains"]).iter().any(named), "{tag}: {pattern}");
        }
        for (role, words) in layout["sections"].as_object().cloned().unwrap_or_default() {
            assert!(list(&words).iter().any(named), "{tag}: {role}: {words}");
        }
        for variable in list(&layout["environment"]) {
            assert!(named(&variable), "{tag}: {variable}");
        }
    }
}

/// What is known to be wrong with a plan, as `file:line code`.
fn known(directory: &Path, variant: &str, provider: &str) -> Vec<String> {
    let release = crate::open(directory, None).unwrap();
    let options = Options {
        variant: variant.into(),
        provider: provider.into(),
        ..Options::default()
    };
    let plan = plan::draw(&release, &options).unwrap();
    let found = plan.steps.iter().filter_map(|step| match &step.known {
        Some(Finding::Broken(Fault { cause, .. })) => Some(format!("{} {}", step.from, cause.code)),
        Some(Finding::Undecided { .. }) => Some(format!("{} undecided", step.from)),
        _ => None,
    });
    found.collect()
}

#[rstest]
#[case::the_crds_of_another_tag("v0.3.0", "gpu", "istio", "site-src/guides/index.md:62 undecided")]
#[case::no_tab_for_the_simulator("v0.5.1", "sim", "istio", "site-src/guides/index.md:257 guide-tab-missing")]
#[case::the_chart_of_another_tag("v1.0.0", "sim", "istio", "site-src/guides/index.md:272 guide-reference-elsewhere")]
#[case::a_missing_include("v1.2.0", "sim", "istio", "site-src/guides/index.md:15 guide-reference-missing")]
#[case::a_gateway_of_another_tag("v1.2.0", "sim", "nginx-gateway-fabric", "site-src/guides/index.md:221 undecided")]
fn what_is_wrong_in_a_real_release_is_known_at_its_line(
    #[case] tag: &str,
    #[case] variant: &str,
    #[case] provider: &str,
    #[case] wanted: &str,
) {
    let Some(directory) = upstream::tree(GIE, tag) else {
        return;
    };
    let found = known(&directory, variant, provider);
    assert!(found.iter().any(|found| found == wanted), "{found:#?}");
}

#[rstest]
#[case("v0.3.0", "gpu", "istio", "Label", "kubectl label gateway llm-gateway")]
#[case(
    "v1.2.0",
    "sim",
    "nginx-gateway-fabric",
    "Inspect",
    "kubectl describe inferencepools"
)]
#[case("v1.5.0", "sim", "agentgateway", "Helm", "helm upgrade -i --create-namespace")]
#[case("v1.6.0", "echo", "istio", "Patch", "kubectl patch gateway")]
fn rare_commands_become_their_actions(
    #[case] tag: &str,
    #[case] variant: &str,
    #[case] provider: &str,
    #[case] action: &str,
    #[case] command: &str,
) {
    let Some(directory) = upstream::tree(GIE, tag) else {
        return;
    };
    let release = crate::open(&directory, None).unwrap();
    let options = Options {
        variant: variant.into(),
        provider: provider.into(),
        ..Options::default()
    };
    let plan = plan::draw(&release, &options).unwrap();
    let step = plan
        .steps
        .iter()
        .find(|step| step.command.starts_with(command))
        .unwrap();
    assert!(format!("{:?}", step.action).starts_with(action), "{step:?}");
}

#[test]
fn downloads_of_istio_for_other_systems_and_of_development_builds_are_left_out_with_their_reasons() {
    let Some(directory) = upstream::tree(GIE, "v1.2.0") else {
        return;
    };
    let release = crate::open(&directory, None).unwrap();
    let options = Options {
        variant: "sim".into(),
        provider: "istio".into(),
        ..Options::default()
    };
    let plan = plan::draw(&release, &options).unwrap();
    let subjects: Vec<&str> = plan.ledger.iter().map(|entry| entry.subject.as_str()).collect();
    for wanted in [
        "# on macOS",
        "# on Windows",
        "istioctl --set tag",
        "istioctl --set hub",
        "storage.googleapis.com/istio-",
    ] {
        assert!(subjects.contains(&wanted), "{wanted}: {subjects:#?}");
    }
    let Some(Action::InstallProvider { arguments, .. }) = plan
        .steps
        .iter()
        .map(|step| &step.action)
        .find(|action| matches!(action, Action::InstallProvider { .. }))
    else {
        panic!("the tab installs Istio");
    };
    let flag = "values.pilot.env.ENABLE_GATEWAY_API_INFERENCE_EXTENSION=true";
    assert_eq!(arguments, &["install", "--set", flag, "-y"]);
}

#[test]
fn a_guide_of_ours_and_what_publication_changes_stand_in_the_ledger() {
    let Some(directory) = upstream::tree("llm-d-router", "v0.10.0") else {
        return;
    };
    let release = crate::open(&directory, None).unwrap();
    let options = Options {
        variant: "sim".into(),
        provider: "istio".into(),
        ..Options::default()
    };
    let plan = plan::draw(&release, &options).unwrap();
    let subjects: Vec<&str> = plan.ledger.iter().map(|entry| entry.subject.as_str()).collect();
    for wanted in ["manifests/guides/llm-d-router.md", "<RELEASE>", "router.epp.image.tag"] {
        assert!(subjects.contains(&wanted), "{wanted}: {subjects:#?}");
    }
    assert!(
        plan.images()
            .iter()
            .any(|&image| image == "ghcr.io/llm-d/llm-d-router-endpoint-picker:v0.10.0"),
        "{:?}",
        plan.images()
    );
    let broken: Vec<_> = plan.steps.iter().filter(|step| step.known.is_some()).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn after_publication_a_plan_asks_for_what_it_lacks_until_it_lacks_nothing() {
    let Some(directory) = upstream::tree(GIE, "v1.5.0") else {
        return;
    };
    let release = crate::open(&directory, None).unwrap();
    let mut options = Options {
        variant: "sim".into(),
        provider: "istio".into(),
        phase: Phase::AfterPublish,
        ..Options::default()
    };
    let mut rounds = 0;
    let plan = loop {
        let plan = plan::draw(&release, &options).unwrap();
        if plan.wanted.is_empty() {
            break plan;
        }
        rounds += 1;
        assert!(rounds < 5, "{:?}", plan.wanted);
        for address in plan.wanted {
            let found = match &address {
                Address::NewestRelease(_) => Found::Tag("v1.5.0".into()),
                Address::File(url) => match url.split_once("/v1.5.0/config/") {
                    Some((_, path)) => {
                        let path = format!("config/{path}").parse().unwrap();
                        Found::File(release.tree.read(&path).unwrap().into())
                    }
                    None => Found::Absent { status: 404 },
                },
            };
            options.published.insert(address, found);
        }
    };
    assert_eq!(rounds, 2, "the releases first, then the files");
    let charts: Vec<_> = plan
        .steps
        .iter()
        .filter(|step| format!("{:?}", step.action).contains("oci://registry.k8s.io"))
        .collect();
    assert_eq!(charts.len(), 1, "the chart is the published one");
    let missing: Vec<_> = plan
        .steps
        .iter()
        .filter(
            |step| matches!(&step.known, Some(Finding::Broken(Fault { cause, .. })) if cause.code == CauseCode::GuideReferenceMissing),
        )
        .collect();
    assert_eq!(
        missing.len(),
        1,
        "the bundle, which this server does not have: {missing:#?}"
    );
    assert!(
        plan.ledger
            .iter()
            .all(|entry| !entry.subject.contains("raw.githubusercontent.com"))
    );
}

#[test]
fn after_publication_another_newest_release_is_a_finding_and_none_of_its_files_is_read() {
    let Some(directory) = upstream::tree(GIE, "v1.5.0") else {
        return;
    };
    let release = crate::open(&directory, None).unwrap();
    let mut published = Published::default();
    published.insert(
        Address::NewestRelease(release.repository.clone()),
        Found::Tag("v1.4.0".into()),
    );
    let options = Options {
        variant: "sim".into(),
        provider: "istio".into(),
        phase: Phase::AfterPublish,
        published,
        ..Options::default()
    };
    let plan = plan::draw(&release, &options).unwrap();
    assert!(plan.wanted.is_empty(), "{:?}", plan.wanted);
    let elsewhere = plan.steps.iter().filter(
        |step| matches!(&step.known, Some(Finding::Broken(Fault { cause, .. })) if cause.code == CauseCode::GuideReferenceElsewhere),
    );
    assert!(elsewhere.count() >= 5);
}

#[test]
fn what_the_site_of_each_stored_release_renders_pages_with_is_written_down() {
    let Some(trees) = upstream::trees() else { return };
    let written = include_str!("../../docs/guides.md");
    let mut seen = 0;
    for release in fs::read_dir(trees.join(GIE)).unwrap() {
        let Ok(site) = fs::read_to_string(release.unwrap().path().join("mkdocs.yml")) else {
            continue;
        };
        // Not as YAML: it has tags of Python.
        let mut list = "";
        for line in site.lines() {
            if !line.starts_with([' ', '#']) {
                list = line.trim_end_matches(':');
            }
            let item = line
                .strip_prefix("  - ")
                .filter(|_| ["markdown_extensions", "plugins"].contains(&list));
            if let Some(item) = item {
                let name = item.trim_end_matches(':');
                assert!(
                    written.contains(&format!("`{name}`")),
                    "docs/guides.md does not name `{name}`"
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen}");
}
