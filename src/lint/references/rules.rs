//! The rules of the family, with their examples.

use crate::lint::{Rule, Severity};

/// The rules.
pub(super) static ALL: &[&Rule] = &[
    &FILE_MISSING,
    &REFERENCE_BRANCH,
    &REFERENCE_LATEST,
    &REFERENCE_OTHER_TAG,
    &RELEASE_COMPUTED,
    &TOOL_VERSION_COMPUTED,
    &CHART_UNPINNED,
    &CHART_OTHER_RELEASE,
    &CHART_EPP_FOREIGN,
    &CHART_MISSING,
    &CHART_VALUE_UNKNOWN,
    &INCLUDE_MISSING,
    &TAB_MISSING,
    &CONFLICT_MARKER,
    &FENCE_OPEN,
    &LINK_MISSING,
    &LINK_BRANCH,
];

pub(super) static FILE_MISSING: Rule = Rule {
    code: "guide-file-missing",
    severity: Severity::Break,
    about: "A command of the guide names a file of the release's own tag that the release does not have: the command ends with 404. In the cleanup it is milder: the quickstart has worked by then.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-    kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${IGW_LATEST_RELEASE}/config/manifests/model/sim.yaml\n+    kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${IGW_LATEST_RELEASE}/config/manifests/model/simulator.yaml\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-    kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${IGW_LATEST_RELEASE}/config/manifests/model/sim.yaml\n+    kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${IGW_LATEST_RELEASE}/config/manifests/model/cpu.yaml\n",
    )],
};

pub(super) static REFERENCE_BRANCH: Rule = Rule {
    code: "guide-reference-branch",
    severity: Severity::BreakLater,
    about: "A command of a release's guide names a file of a branch: a reader gets what the branch holds that day, and a failure once the file moves.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-    kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${IGW_LATEST_RELEASE}/config/manifests/model/sim.yaml\n+    kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/heads/main/config/manifests/model/sim.yaml\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-    kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${IGW_LATEST_RELEASE}/config/manifests/model/sim.yaml\n+    kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/v1.5.0/config/manifests/model/sim.yaml\n",
    )],
};

pub(super) static REFERENCE_LATEST: Rule = Rule {
    code: "guide-reference-latest",
    severity: Severity::BreakLater,
    about: "A command of a release's guide names an asset of the latest release: with the next release a reader of this guide gets the other one's.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/${IGW_LATEST_RELEASE}/manifests.yaml\n+kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/latest/download/manifests.yaml\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/${IGW_LATEST_RELEASE}/manifests.yaml\n+kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/v1.5.0/manifests.yaml\n",
    )],
};

pub(super) static REFERENCE_OTHER_TAG: Rule = Rule {
    code: "guide-reference-other-tag",
    severity: Severity::Drift,
    about: "A command of a release's guide names a file of another tag of the same project: what is documented is not what was released.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/${IGW_LATEST_RELEASE}/manifests.yaml\n+kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/v1.4.0/manifests.yaml\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/${IGW_LATEST_RELEASE}/manifests.yaml\n+kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/v1.5.0/manifests.yaml\n",
    )],
};

pub(super) static RELEASE_COMPUTED: Rule = Rule {
    code: "guide-release-computed",
    severity: Severity::BreakLater,
    about: "The guide of a release computes the newest release and uses the files of that one: with the next release, and before this one is published, its commands lead to another release's files.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-IGW_LATEST_RELEASE=v1.5.0\n+IGW_LATEST_RELEASE=$(curl -s https://api.github.com/repos/kubernetes-sigs/gateway-api-inference-extension/releases \\\n+  | jq -r '.[0].tag_name')\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-IGW_LATEST_RELEASE=v1.5.0\n+export IGW_LATEST_RELEASE=v1.5.0\n",
    )],
};

pub(super) static TOOL_VERSION_COMPUTED: Rule = Rule {
    code: "tool-version-computed",
    severity: Severity::BreakLater,
    about: "The version of a tool is what a page on the web says at that moment: a later version was never tried with this release.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-    ISTIO_VERSION=1.28.0\n+    ISTIO_VERSION=$(curl https://storage.example/istio/1.28-dev)\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-    ISTIO_VERSION=1.28.0\n+    ISTIO_VERSION=1.28.1\n",
    )],
};

pub(super) static CHART_UNPINNED: Rule = Rule {
    code: "chart-unpinned",
    severity: Severity::BreakLater,
    about: "A chart is installed without a version, or in one that is built anew from a branch: a later one was never tried with this release.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-    --version ${IGW_LATEST_RELEASE} \\\n+    --set provider.name=istio \\\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-    --version ${IGW_LATEST_RELEASE} \\\n+    --version=v1.5.0 \\\n",
    )],
};

pub(super) static CHART_OTHER_RELEASE: Rule = Rule {
    code: "chart-other-release",
    severity: Severity::Degraded,
    about: "The guide of a release installs the chart, and so the endpoint picker, of another release of the same project: what was released is not what a reader runs.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-    --version ${IGW_LATEST_RELEASE} \\\n+    --version v1.5.1 \\\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-    --version ${IGW_LATEST_RELEASE} \\\n+    --version v1.5.0 \\\n",
    )],
};

pub(super) static CHART_EPP_FOREIGN: Rule = Rule {
    code: "chart-picker-lacks-crd",
    severity: Severity::Break,
    about: "The guide installs the chart of another release, whose endpoint picker watches a kind that this release's CRDs do not have: its cache never syncs and it never becomes ready. Which kinds it watches is data of the layouts.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-    --version ${IGW_LATEST_RELEASE} \\\n+    --version v0.5.1 \\\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-    --version ${IGW_LATEST_RELEASE} \\\n+    --version v1.5.0 \\\n",
    )],
};

pub(super) static CHART_MISSING: Rule = Rule {
    code: "chart-missing",
    severity: Severity::Break,
    about: "The guide installs a chart of the project that the release does not have.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-    oci://registry.k8s.io/gateway-api-inference-extension/charts/inferencepool\n+    oci://registry.k8s.io/gateway-api-inference-extension/charts/inference-pool\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-    oci://registry.k8s.io/gateway-api-inference-extension/charts/inferencepool\n+    oci://registry.k8s.io/gateway-api-inference-extension/charts/inferencepool \\\n+    --set provider.name=istio\n",
    )],
};

pub(super) static CHART_VALUE_UNKNOWN: Rule = Rule {
    code: "chart-value-unknown",
    severity: Severity::Degraded,
    about: "A value is set that the chart does not read: helm takes it without a word and nothing changes.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-    --set experimentalHttpRoute.enabled=true \\\n+    --set experimentalHttpRoute.enabled=true \\\n+    --set inferenceExtension.copies=2 \\\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-    --set experimentalHttpRoute.enabled=true \\\n+    --set experimentalHttpRoute.enabled=true \\\n+    --set inferenceExtension.replicas=2 \\\n",
    )],
};

pub(super) static INCLUDE_MISSING: Rule = Rule {
    code: "include-missing",
    severity: Severity::Degraded,
    about: "A page includes a file that the release does not have. The site leaves it out without a word (the Snippets extension does not check paths), so the published page lacks what it should hold.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-A cluster, `kubectl` and `helm`.\n+--8<-- \"site-src/_includes/prereqs.md\"\n",
    )],
    good: &[
        (
            "site-src/guides/index.md",
            "@@\n-A cluster, `kubectl` and `helm`.\n+--8<-- \"site-src/_includes/prereqs.md\"\n",
        ),
        ("site-src/_includes/prereqs.md", "A cluster, `kubectl` and `helm`.\n"),
    ],
};

pub(super) static TAB_MISSING: Rule = Rule {
    code: "tab-missing",
    severity: Severity::Degraded,
    about: "A set of tabs lacks the one of a variant or provider that another set of the same guide offers: its reader finds no command there.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-### Ask it\n-\n-```bash\n+### Ask it\n+\n+=== \"CPU-Based deployment\"\n+\n+    ```bash\n+    kubectl get nodes\n+    ```\n+\n+Then ask:\n+\n+```bash\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-### Ask it\n-\n-```bash\n+### Ask it\n+\n+=== \"CPU-Based deployment\"\n+\n+    ```bash\n+    kubectl get nodes\n+    ```\n+\n+=== \"Simulator deployment\"\n+\n+    ```bash\n+    kubectl get nodes\n+    ```\n+\n+Then ask:\n+\n+```bash\n",
    )],
};

pub(super) static CONFLICT_MARKER: Rule = Rule {
    code: "conflict-marker",
    severity: Severity::Degraded,
    about: "A page holds a line that git writes where a merge has a conflict: both sides stand in the page, or halves of them.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-### Cleanup\n+>>>>>>> 1234567 (another branch)\n+### Cleanup\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-### Cleanup\n+> A quotation.\n+\n+### Cleanup\n",
    )],
};

pub(super) static FENCE_OPEN: Rule = Rule {
    code: "fence-never-closed",
    severity: Severity::Degraded,
    about: "A block of code is opened and never closed: the rest of the page is shown as code.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-### Cleanup\n+### Cleanup\n+\n+````bash\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-### Cleanup\n+### Cleanup\n+\n+````bash\n+kubectl get nodes\n+````\n",
    )],
};

pub(super) static LINK_MISSING: Rule = Rule {
    code: "page-link-missing",
    severity: Severity::Hygiene,
    about: "A page links to another page of the site that the release does not have.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-A cluster, `kubectl` and `helm`.\n+A cluster, see [troubleshooting](trouble.md).\n",
    )],
    good: &[
        (
            "site-src/guides/index.md",
            "@@\n-A cluster, `kubectl` and `helm`.\n+A cluster, see [troubleshooting](trouble.md).\n",
        ),
        ("site-src/guides/trouble.md", "# Trouble\n"),
    ],
};

pub(super) static LINK_BRANCH: Rule = Rule {
    code: "page-link-branch",
    severity: Severity::Hygiene,
    about: "The guide of a release links to a manifest of a branch, which may say something else than the release's.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-A cluster, `kubectl` and `helm`.\n+A cluster, see [the model](https://github.com/kubernetes-sigs/gateway-api-inference-extension/blob/main/config/manifests/model/sim.yaml).\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-A cluster, `kubectl` and `helm`.\n+A cluster, see [the model](https://github.com/kubernetes-sigs/gateway-api-inference-extension/blob/v1.5.0/config/manifests/model/sim.yaml).\n",
    )],
};
