//! The rules of the family.

use crate::lint::{Rule, Severity};

/// All of them.
pub(super) const ALL: &[&Rule] = &[
    &TAG_FLOATING,
    &TAG_ABSENT,
    &STAGING,
    &OWN_TAG,
    &CANDIDATE,
    &TAG_FORM,
    &UNRELEASED,
    &INVALID,
    &POLICY_NEEDLESS,
    &POLICY_STALE,
    &PINS,
];

pub(super) static TAG_FLOATING: Rule = Rule {
    code: "image-tag-floating",
    severity: Severity::BreakLater,
    about: "An image has a tag that moves (`latest`, a branch): what runs tomorrow is not what was tested.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: ghcr.io/llm-d/llm-d-inference-sim:latest\n-          imagePullPolicy: IfNotPresent\n+          imagePullPolicy: Always\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.1\n",
    )],
};

pub(super) static TAG_ABSENT: Rule = Rule {
    code: "image-tag-absent",
    severity: Severity::BreakLater,
    about: "An image has no tag, which means `latest`: what runs tomorrow is not what was tested.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: docker.io/example/git\n-          imagePullPolicy: IfNotPresent\n+          imagePullPolicy: Always\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: docker.io/example/git:v2.1.0\n",
    )],
};

pub(super) static STAGING: Rule = Rule {
    code: "image-staging",
    severity: Severity::BreakLater,
    about: "An image comes from a staging registry or from a continuous build. Nothing there was promoted, and it is deleted after some time.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: us-central1-docker.pkg.dev/k8s-staging-images/example/sim:v0.8.2\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: registry.k8s.io/example/sim:v0.8.2\n",
    )],
};

pub(super) static OWN_TAG: Rule = Rule {
    code: "image-own-tag-other",
    severity: Severity::Degraded,
    about: "An image that the release publishes itself bears another tag than the release: the quickstart of one release runs a part of another.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: registry.k8s.io/gateway-api-inference-extension/epp:v1.4.0\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: registry.k8s.io/gateway-api-inference-extension/epp:v1.5.0\n",
    )],
};

pub(super) static CANDIDATE: Rule = Rule {
    code: "image-candidate-in-final",
    severity: Severity::Degraded,
    about: "A final release names an image of one of its release candidates, which is not what was promoted.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: registry.k8s.io/gateway-api-inference-extension/epp:v1.5.0-rc.1\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: registry.k8s.io/gateway-api-inference-extension/epp:v1.5.0\n",
    )],
};

pub(super) static TAG_FORM: Rule = Rule {
    code: "image-tag-form",
    severity: Severity::Break,
    about: "The tag of an image has a form that this project's tags never have, such as a missing `v`, so there is no such image and the pod never starts. Which form an image's tags have is data: `manifests/lint/images.yaml`.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: ghcr.io/llm-d/llm-d-inference-sim:0.8.2\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n",
    )],
};

pub(super) static UNRELEASED: Rule = Rule {
    code: "image-version-unreleased",
    severity: Severity::Degraded,
    about: "An image names a version that its project never released, so that it either does not exist or is nobody's release. Which versions these are is data: `manifests/lint/images.yaml`.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: docker.io/vllm/vllm-openai:v0.9.3\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: docker.io/vllm/vllm-openai:v0.9.2\n",
    )],
};

pub(super) static INVALID: Rule = Rule {
    code: "image-invalid",
    severity: Severity::Break,
    about: "The name of an image is none (`distribution/reference`): the kubelet says InvalidImageName, and the pod never starts.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: ghcr.io/llm-d/Sim:v0.8.2\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: ghcr.io/llm-d/sim:v0.8.2\n",
    )],
};

pub(super) static POLICY_NEEDLESS: Rule = Rule {
    code: "image-pull-needless",
    severity: Severity::Hygiene,
    about: "`imagePullPolicy: Always` for an image that is pinned by digest: each start asks the registry for what cannot have changed, and fails when it does not answer.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: ghcr.io/llm-d/sim@sha256:abababababababababababababababababababababababababababababababab\n-          imagePullPolicy: IfNotPresent\n+          imagePullPolicy: Always\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: ghcr.io/llm-d/sim@sha256:abababababababababababababababababababababababababababababababab\n",
    )],
};

pub(super) static POLICY_STALE: Rule = Rule {
    code: "image-pull-stale",
    severity: Severity::Drift,
    about: "`imagePullPolicy: IfNotPresent` for a tag that moves: each node keeps whichever image it saw first.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: ghcr.io/llm-d/llm-d-inference-sim:latest\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: ghcr.io/llm-d/llm-d-inference-sim:latest\n-          imagePullPolicy: IfNotPresent\n+          imagePullPolicy: Always\n",
    )],
};

pub(super) static PINS: Rule = Rule {
    code: "image-pins-differ",
    severity: Severity::Drift,
    about: "Files of one release pin one image to different versions: what was tested with one of them was not with the other.",
    bad: &[(
        "config/manifests/other.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: other\nspec:\n  containers:\n    - name: sim\n      image: ghcr.io/llm-d/llm-d-inference-sim:v0.7.1\n",
    )],
    good: &[(
        "config/manifests/other.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: other\nspec:\n  containers:\n    - name: sim\n      image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n",
    )],
};
