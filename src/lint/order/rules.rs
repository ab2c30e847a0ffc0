//! The rules of the family, with their examples.

use crate::lint::{Rule, Severity};

/// The rules.
pub(super) static ALL: &[&Rule] = &[
    &OBJECT_MISSING,
    &OBJECT_LATER,
    &STATUS_EARLY,
    &CRD_MISSING,
    &CRD_LATER,
    &CLEANUP_LEAVES,
];

pub(super) static OBJECT_MISSING: Rule = Rule {
    code: "command-object-missing",
    severity: Severity::Break,
    about: "A command of kubectl names an object that no step of the reader's path makes: it ends with NotFound.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-    kubectl get gateway inference-gateway\n+    kubectl label gateway other-gateway a=b\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-    kubectl get gateway inference-gateway\n+    kubectl label gateway inference-gateway a=b\n",
    )],
};

pub(super) static OBJECT_LATER: Rule = Rule {
    code: "command-object-later",
    severity: Severity::Break,
    about: "A command of kubectl names an object that only a later step makes: it ends with NotFound.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-    kubectl get gateway inference-gateway\n+    kubectl get httproute small\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-    kubectl get gateway inference-gateway\n+    kubectl get gateway/inference-gateway\n",
    )],
};

pub(super) static STATUS_EARLY: Rule = Rule {
    code: "status-before-backend",
    severity: Severity::Degraded,
    about: "The reader is asked to look at the status of a route before a step has made the pool it sends to: what the guide says should be there is not there yet.",
    bad: &[
        (
            "config/manifests/gateway/istio/route.yaml",
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: early\nspec:\n  parentRefs:\n    - name: inference-gateway\n  rules:\n    - backendRefs:\n        - group: inference.networking.k8s.io\n          kind: InferencePool\n          name: small\n",
        ),
        (
            "site-src/guides/index.md",
            "@@\n-    kubectl get gateway inference-gateway\n+    kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${IGW_LATEST_RELEASE}/config/manifests/gateway/istio/route.yaml\n+    kubectl get httproute early\n",
        ),
    ],
    good: &[
        (
            "config/manifests/gateway/istio/route.yaml",
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: early\nspec:\n  parentRefs:\n    - name: inference-gateway\n  rules:\n    - backendRefs:\n        - group: inference.networking.k8s.io\n          kind: InferencePool\n          name: small\n",
        ),
        (
            "site-src/guides/index.md",
            "@@\n-    kubectl get httproute small -o yaml\n+    kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${IGW_LATEST_RELEASE}/config/manifests/gateway/istio/route.yaml\n+    kubectl get httproute early\n",
        ),
    ],
};

pub(super) static CRD_MISSING: Rule = Rule {
    code: "crd-not-applied",
    severity: Severity::Break,
    about: "A step makes an object of a kind that the release defines, and no step applies its definition: the API server does \
            not know the kind.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/${IGW_LATEST_RELEASE}/manifests.yaml\n+kubectl get nodes\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/${IGW_LATEST_RELEASE}/manifests.yaml\n+kubectl create -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/${IGW_LATEST_RELEASE}/manifests.yaml\n",
    )],
};

pub(super) static CRD_LATER: Rule = Rule {
    code: "crd-applied-later",
    severity: Severity::Break,
    about: "An object is applied before a step applies the CRD of its kind: the API server does not know the kind.",
    bad: &[
        (
            "config/manifests/pool.yaml",
            "apiVersion: inference.networking.k8s.io/v1\nkind: InferencePool\nmetadata:\n  name: early\nspec:\n  targetPorts:\n    - number: 8000\n  selector:\n    matchLabels:\n      app: small\n  endpointPickerRef:\n    name: small-epp\n    port:\n      number: 9002\n",
        ),
        (
            "site-src/guides/index.md",
            "@@\n-kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/${IGW_LATEST_RELEASE}/manifests.yaml\n+kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${IGW_LATEST_RELEASE}/config/manifests/pool.yaml\n+kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/${IGW_LATEST_RELEASE}/manifests.yaml\n",
        ),
    ],
    good: &[
        (
            "config/manifests/pool.yaml",
            "apiVersion: inference.networking.k8s.io/v1\nkind: InferencePool\nmetadata:\n  name: early\nspec:\n  targetPorts:\n    - number: 8000\n  selector:\n    matchLabels:\n      app: small\n  endpointPickerRef:\n    name: small-epp\n    port:\n      number: 9002\n",
        ),
        (
            "site-src/guides/index.md",
            "@@\n-kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/${IGW_LATEST_RELEASE}/manifests.yaml\n+kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/${IGW_LATEST_RELEASE}/manifests.yaml\n+kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${IGW_LATEST_RELEASE}/config/manifests/pool.yaml\n",
        ),
    ],
};

pub(super) static CLEANUP_LEAVES: Rule = Rule {
    code: "cleanup-leaves-release",
    severity: Severity::Degraded,
    about: "The cleanup leaves a helm release that the guide made: helm refuses to install the same name again.",
    bad: &[("site-src/guides/index.md", "@@\n-helm uninstall small\n+helm list\n")],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-helm uninstall small\n+helm uninstall -n default small\n",
    )],
};
