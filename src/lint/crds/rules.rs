//! The rules of the family.

use crate::lint::{Rule, Severity};

/// All of them.
pub(super) const ALL: &[&Rule] = &[
    &NAME,
    &STORAGE,
    &BUNDLE_VERSION,
    &RESOURCE,
    &LEFT_OUT,
    &NOT_SERVED,
    &INVALID,
];

const CRD: &str = "config/crd/bases/inferencepools.yaml";
const KUSTOMIZATION: &str = "config/crd/kustomization.yaml";

pub(super) static NAME: Rule = Rule {
    code: "crd-name",
    severity: Severity::Break,
    about: "A definition is not named after what it defines, `PLURAL.GROUP` (`ValidateCustomResourceDefinition`). It is refused.",
    bad: &[(
        CRD,
        "@@\n-  name: inferencepools.inference.networking.k8s.io\n+  name: inferencepool.inference.networking.k8s.io\n",
    )],
    good: &[(
        CRD,
        "@@\n-  name: inferencepools.inference.networking.k8s.io\n+  name: \"inferencepools.inference.networking.k8s.io\"\n",
    )],
};

pub(super) static STORAGE: Rule = Rule {
    code: "crd-storage",
    severity: Severity::Break,
    about: "A definition stores none of its versions, or more than one (`ValidateCustomResourceDefinition`). It is refused.",
    bad: &[(CRD, "@@\n-      storage: true\n+      storage: false\n")],
    good: &[(CRD, "@@\n-      storage: true\n+      storage: yes\n")],
};

pub(super) static BUNDLE_VERSION: Rule = Rule {
    code: "bundle-version-other",
    severity: Severity::Drift,
    about: "The `bundle-version` annotation of a definition is not the release's tag: a gateway or a user who asks a cluster which \
            release its definitions are of is told another.",
    bad: &[(
        CRD,
        "@@\n-    inference.networking.k8s.io/bundle-version: v1.5.0\n+    inference.networking.k8s.io/bundle-version: v1.4.0\n",
    )],
    good: &[(
        CRD,
        "@@\n-    inference.networking.k8s.io/bundle-version: v1.5.0\n+    inference.networking.k8s.io/bundle-version: \"v1.5.0\"\n",
    )],
};

pub(super) static RESOURCE: Rule = Rule {
    code: "crd-resource-missing",
    severity: Severity::Break,
    about: "The kustomization of the definitions names a file that is not there, so that the bundle that the guide applies cannot \
            be built.",
    bad: &[(
        KUSTOMIZATION,
        "resources:\n  - bases/inferencepools.yaml\n  - bases/others.yaml\n",
    )],
    good: &[(KUSTOMIZATION, "resources:\n  - ./bases/inferencepools.yaml\n")],
};

pub(super) static LEFT_OUT: Rule = Rule {
    code: "crd-left-out",
    severity: Severity::Break,
    about: "A definition lies beside those of the bundle, and the kustomization does not name it: no release file holds it. Where \
            the guide creates an object of its kind, that step fails.",
    bad: &[(
        "config/crd/bases/others.yaml",
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  annotations:\n    inference.networking.k8s.io/bundle-version: v1.5.0\n  name: others.inference.networking.k8s.io\nspec:\n  group: inference.networking.k8s.io\n  names:\n    kind: Other\n    plural: others\n  scope: Namespaced\n  versions:\n    - name: v1\n      served: true\n      storage: true\n",
    )],
    good: &[
        (
            "config/crd/bases/others.yaml",
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  annotations:\n    inference.networking.k8s.io/bundle-version: v1.5.0\n  name: others.inference.networking.k8s.io\nspec:\n  group: inference.networking.k8s.io\n  names:\n    kind: Other\n    plural: others\n  scope: Namespaced\n  versions:\n    - name: v1\n      served: true\n      storage: true\n",
        ),
        (
            KUSTOMIZATION,
            "resources:\n  - bases/inferencepools.yaml\n  - bases/others.yaml\n",
        ),
    ],
};

pub(super) static NOT_SERVED: Rule = Rule {
    code: "kind-not-served",
    severity: Severity::Break,
    about: "An object is of a kind or version that the release's own definitions do not serve: applying it ends with `no matches for \
            kind`.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-apiVersion: inference.networking.k8s.io/v1\n+apiVersion: inference.networking.k8s.io/v1alpha2\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-apiVersion: inference.networking.k8s.io/v1\n+apiVersion: \"inference.networking.k8s.io/v1\"\n",
    )],
};

pub(super) static INVALID: Rule = Rule {
    code: "object-invalid",
    severity: Severity::Break,
    about: "An object has a field that the definition of its kind does not know, lacks one that it requires, or has a value that it \
            does not allow. It is refused.",
    bad: &[(
        CRD,
        "@@\n-          type: object\n-          x-kubernetes-preserve-unknown-fields: true\n+          type: object\n+          required: [spec, status]\n+          x-kubernetes-preserve-unknown-fields: true\n",
    )],
    good: &[(
        CRD,
        "@@\n-          type: object\n-          x-kubernetes-preserve-unknown-fields: true\n+          type: object\n+          required: [spec]\n+          x-kubernetes-preserve-unknown-fields: true\n",
    )],
};
