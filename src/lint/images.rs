//! Images: what the release's manifests and charts ask a registry for.

use super::{Examined, Family, Findings, Rule, Severity, pods};

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "images",
    rules: &[&TAG_FLOATING],
    look,
};

static TAG_FLOATING: Rule = Rule {
    code: "image-tag-floating",
    severity: Severity::BreakLater,
    about: "An image has no tag, or one that moves (`latest`, a branch): what runs is another thing tomorrow.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: ghcr.io/llm-d/llm-d-inference-sim:latest\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.1\n",
    )],
};

fn look(examined: &Examined<'_>, findings: &mut Findings) {
    for object in examined.files.objects() {
        for container in pods::pod_specs(object).iter().flat_map(pods::PodSpec::containers) {
            let Some(image) = container.value["image"].as_str() else {
                continue;
            };
            if image.ends_with(":latest") {
                let place = examined.place(object, &format!("{}/image", container.pointer));
                findings
                    .add(
                        &TAG_FLOATING,
                        place,
                        format!("the image `{image}` of container `{}` moves", container.name()),
                    )
                    .at_most(examined.files.at_most(&object.file));
            }
        }
    }
}
