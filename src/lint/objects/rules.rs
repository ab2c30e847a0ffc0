//! The rules of the family, with their examples.

use crate::lint::{Rule, Severity};

/// The rules.
pub(super) static ALL: &[&Rule] = &[
    &POOL_SELECTS_NONE,
    &POOL_PORT,
    &PICKER_SERVICE,
    &PICKER_PORT,
    &PICKER_POOL,
    &SERVICE_SELECTS_NONE,
    &SERVICE_PORT,
    &ROUTE_BACKEND,
    &ROUTE_PARENT,
    &ROUTE_GROUP,
    &DESTINATION_HOST,
    &POLICY_TARGET,
    &MODEL_POOL,
    &REQUEST_HOST,
    &NO_SECRET,
    &NO_CONFIG_MAP,
    &NO_SERVICE_ACCOUNT,
    &BINDING_INCOMPLETE,
    &ROLE_MISSING,
    &BINDING_SUBJECT,
    &PICKER_ACCESS,
];

pub(super) static POOL_SELECTS_NONE: Rule = Rule {
    code: "pool-selects-no-pod",
    severity: Severity::Break,
    about: "A pool selects by labels that no pod of the reader's path has: it is empty, and every request fails.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-    matchLabels:\n-      app: small\n+    matchLabels:\n+      app: smaller\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-    matchLabels:\n-      app: small\n+    matchLabels: {app: small}\n",
    )],
};

pub(super) static POOL_PORT: Rule = Rule {
    code: "pool-port-unserved",
    severity: Severity::Break,
    about: "A pool sends to a port on which its pods are told not to listen. Where they are told nothing and only declare another port, it is milder.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-    - number: 8000\n+    - number: 8080\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-    - number: 8000\n+    - number: 0x1f40\n",
    )],
};

pub(super) static PICKER_SERVICE: Rule = Rule {
    code: "pool-picker-missing",
    severity: Severity::Break,
    about: "A pool refers to a Service as its endpoint picker that no step makes.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-    name: small-epp\n-    port:\n+    name: small-picker\n+    port:\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-    name: small-epp\n-    port:\n+    kind: Service\n+    name: small-epp\n+    port:\n",
    )],
};

pub(super) static PICKER_PORT: Rule = Rule {
    code: "pool-picker-port-missing",
    severity: Severity::Break,
    about: "A pool refers to a port of its endpoint picker's Service that the Service does not have.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-      number: 9002\n+      number: 9003\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-      number: 9002\n+      number: 9090\n",
    )],
};

pub(super) static PICKER_POOL: Rule = Rule {
    code: "picker-pool-missing",
    severity: Severity::Break,
    about: "The endpoint picker is told of a pool (name, namespace, group) that no step makes: it waits for it for ever.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-            - --pool-name\n-            - small\n+            - --pool-name\n+            - large\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-            - --pool-name\n-            - small\n+            - --poolName=small\n",
    )],
};

pub(super) static SERVICE_SELECTS_NONE: Rule = Rule {
    code: "service-selects-no-pod",
    severity: Severity::Break,
    about: "A Service selects by labels that no pod of the reader's path has: it has no endpoints.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-  selector:\n-    inferencepool: small-epp\n-  ports:\n+  selector:\n+    inferencepool: small\n+  ports:\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-  selector:\n-    inferencepool: small-epp\n-  ports:\n+  selector: {inferencepool: small-epp}\n+  ports:\n",
    )],
};

pub(super) static SERVICE_PORT: Rule = Rule {
    code: "service-port-unserved",
    severity: Severity::Break,
    about: "A Service sends to a named port that none of its pods has. Where it sends to a number that none of them declares, it is milder.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-      port: 9090\n+      port: 9090\n+      targetPort: prometheus\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-      port: 9090\n+      port: 9090\n+      targetPort: metrics\n",
    )],
};

pub(super) static ROUTE_BACKEND: Rule = Rule {
    code: "route-backend-missing",
    severity: Severity::Break,
    about: "A route sends to a backend of a group, kind and name that no step makes: its condition `ResolvedRefs` is False, and requests are answered with 500.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-        - group: inference.networking.k8s.io\n+        - group: inference.networking.x-k8s.io\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-        - group: inference.networking.k8s.io\n-          kind: InferencePool\n+        - kind: InferencePool\n+          group: inference.networking.k8s.io\n",
    )],
};

pub(super) static ROUTE_PARENT: Rule = Rule {
    code: "route-parent-missing",
    severity: Severity::Break,
    about: "A route belongs to a Gateway that no step makes: nothing programs it.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-      name: inference-gateway\n+      name: gateway\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-    - group: gateway.networking.k8s.io\n-      kind: Gateway\n-      name: inference-gateway\n+    - name: inference-gateway\n",
    )],
};

pub(super) static DESTINATION_HOST: Rule = Rule {
    code: "destination-rule-host-missing",
    severity: Severity::Break,
    about: "A DestinationRule is for a host that no step makes: its TLS settings hold for nothing, and the mesh refuses the certificate that the endpoint picker signs itself.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-  host: small-epp.default.svc.cluster.local\n+  host: other-epp.default.svc.cluster.local\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-  host: small-epp.default.svc.cluster.local\n+  host: small-epp\n",
    )],
};

pub(super) static POLICY_TARGET: Rule = Rule {
    code: "policy-target-missing",
    severity: Severity::Break,
    about: "A policy is for a target of a group, kind and name that no step makes: it changes nothing. Where traffic flows without the policy, it is milder.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-# Source: inferencepool/templates/httproute.yaml\n+# Source: inferencepool/templates/gke.yaml\n+apiVersion: networking.gke.io/v1\n+kind: HealthCheckPolicy\n+metadata:\n+  name: check\n+spec:\n+  targetRef:\n+    group: inference.networking.k8s.io\n+    kind: InferencePool\n+    name: large\n+---\n+# Source: inferencepool/templates/httproute.yaml\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-# Source: inferencepool/templates/httproute.yaml\n+# Source: inferencepool/templates/gke.yaml\n+apiVersion: networking.gke.io/v1\n+kind: HealthCheckPolicy\n+metadata:\n+  name: check\n+spec:\n+  targetRef:\n+    group: inference.networking.k8s.io\n+    kind: InferencePool\n+    name: small\n+---\n+# Source: inferencepool/templates/httproute.yaml\n",
    )],
};

pub(super) static MODEL_POOL: Rule = Rule {
    code: "model-pool-missing",
    severity: Severity::Break,
    about: "An InferenceModel or InferenceObjective is for a pool that no step makes: nobody reads it. An objective only sets a priority, so there it is milder.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-# Source: inferencepool/templates/httproute.yaml\n+# Source: inferencepool/templates/model.yaml\n+apiVersion: inference.networking.x-k8s.io/v1alpha2\n+kind: InferenceModel\n+metadata:\n+  name: one\n+spec:\n+  modelName: other\n+  poolRef:\n+    name: large\n+---\n+# Source: inferencepool/templates/httproute.yaml\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-# Source: inferencepool/templates/httproute.yaml\n+# Source: inferencepool/templates/model.yaml\n+apiVersion: inference.networking.x-k8s.io/v1alpha2\n+kind: InferenceModel\n+metadata:\n+  name: one\n+spec:\n+  modelName: other\n+  poolRef:\n+    name: small\n+---\n+# Source: inferencepool/templates/httproute.yaml\n",
    )],
};

pub(super) static REQUEST_HOST: Rule = Rule {
    code: "request-host-missing",
    severity: Severity::Break,
    about: "A request of the guide goes to a Service by its name that no step makes.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-curl -i ${IP}:80/v1/completions -H 'Content-Type: application/json' -d '{\n+curl -i http://big-epp:8081/v1/completions -H 'Content-Type: application/json' -d '{\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-curl -i ${IP}:80/v1/completions -H 'Content-Type: application/json' -d '{\n+curl -i http://small-epp:9002/v1/completions -H 'Content-Type: application/json' -d '{\n",
    )],
};

pub(super) static NO_SECRET: Rule = Rule {
    code: "pod-secret-missing",
    severity: Severity::Break,
    about: "A pod asks for a Secret, or a key of it, that no step makes: its container cannot be created.",
    bad: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-                  key: token\n+                  key: hf_api_token\n",
    )],
    good: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-                  key: token\n+                  key: hf_api_token\n+                  optional: true\n",
    )],
};

pub(super) static NO_CONFIG_MAP: Rule = Rule {
    code: "pod-configmap-missing",
    severity: Severity::Break,
    about: "A pod asks for a ConfigMap, or a key of it, that no step makes: its container cannot be created.",
    bad: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-        - name: cache\n-          emptyDir: {}\n+        - name: cache\n+          configMap:\n+            name: adapters\n",
    )],
    good: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-        - name: cache\n-          emptyDir: {}\n+        - name: cache\n+          configMap:\n+            name: kube-root-ca.crt\n",
    )],
};

pub(super) static NO_SERVICE_ACCOUNT: Rule = Rule {
    code: "pod-service-account-missing",
    severity: Severity::Break,
    about: "A pod runs as a service account that no step makes: it cannot be created.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-      serviceAccountName: small-epp\n+      serviceAccountName: small\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-      serviceAccountName: small-epp\n+      serviceAccountName: \"small-epp\"\n",
    )],
};

pub(super) static BINDING_INCOMPLETE: Rule = Rule {
    code: "role-ref-incomplete",
    severity: Severity::Hygiene,
    about: "A binding refers to a role without the API group; the API server puts it in (defaults of rbac.authorization.k8s.io/v1), other readers of the file do not.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-roleRef:\n-  apiGroup: rbac.authorization.k8s.io\n-  kind: Role\n+roleRef:\n+  kind: Role\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-roleRef:\n-  apiGroup: rbac.authorization.k8s.io\n-  kind: Role\n+roleRef:\n+  kind: Role\n+  apiGroup: rbac.authorization.k8s.io\n",
    )],
};

pub(super) static ROLE_MISSING: Rule = Rule {
    code: "binding-role-missing",
    severity: Severity::Break,
    about: "A binding gives a role that no step makes: its subjects may do nothing.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-  kind: Role\n-  name: small-epp\n+  kind: Role\n+  name: small\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-  kind: Role\n-  name: small-epp\n+  name: small-epp\n+  kind: Role\n",
    )],
};

pub(super) static BINDING_SUBJECT: Rule = Rule {
    code: "binding-subject-missing",
    severity: Severity::Degraded,
    about: "A binding gives a role to a service account that no step makes; whoever should have it has not.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-  - kind: ServiceAccount\n-    name: small-epp\n-roleRef:\n+  - kind: ServiceAccount\n+    name: small\n+roleRef:\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-  - kind: ServiceAccount\n-    name: small-epp\n-roleRef:\n+  - kind: ServiceAccount\n+    namespace: default\n+    name: small-epp\n+roleRef:\n",
    )],
};

pub(super) static PICKER_ACCESS: Rule = Rule {
    code: "picker-may-not-watch",
    severity: Severity::Break,
    about: "The account of the endpoint picker may not list and watch a kind that the endpoint picker of this release watches: its cache never syncs and it never becomes ready. Which kinds it watches is data of the layouts.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-    resources: [inferencepools]\n+    resources: [gateways]\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-    resources: [inferencepools]\n+    resources: ['*']\n",
    )],
};

pub(super) static ROUTE_GROUP: Rule = Rule {
    code: "route-group-unwatched",
    severity: Severity::Degraded,
    about: "A route of the release sends to a pool of an API group that the endpoint picker of the release does not watch. Said where the pool itself is not known because the guide has another release make it. Which groups it watches is data of the layouts.",
    bad: &[
        (
            "site-src/guides/index.md",
            "@@\n-    --version ${IGW_LATEST_RELEASE} \\\n+    --version v1.4.0 \\\n",
        ),
        (
            "site-src/guides/index.md",
            "@@\n-    kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${IGW_LATEST_RELEASE}/config/manifests/gateway/istio/gateway.yaml\n-    kubectl get gateway inference-gateway\n+    kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${IGW_LATEST_RELEASE}/config/manifests/gateway/istio/gateway.yaml -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${IGW_LATEST_RELEASE}/config/manifests/gateway/istio/route.yaml\n",
        ),
        (
            "config/manifests/gateway/istio/route.yaml",
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: one\nspec:\n  parentRefs:\n    - name: inference-gateway\n  rules:\n    - backendRefs:\n        - group: inference.networking.x-k8s.io\n          kind: InferencePool\n          name: small\n",
        ),
    ],
    good: &[
        (
            "site-src/guides/index.md",
            "@@\n-    --version ${IGW_LATEST_RELEASE} \\\n+    --version v1.4.0 \\\n",
        ),
        (
            "site-src/guides/index.md",
            "@@\n-    kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${IGW_LATEST_RELEASE}/config/manifests/gateway/istio/gateway.yaml\n-    kubectl get gateway inference-gateway\n+    kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${IGW_LATEST_RELEASE}/config/manifests/gateway/istio/gateway.yaml -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${IGW_LATEST_RELEASE}/config/manifests/gateway/istio/route.yaml\n",
        ),
        (
            "config/manifests/gateway/istio/route.yaml",
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: one\nspec:\n  parentRefs:\n    - name: inference-gateway\n  rules:\n    - backendRefs:\n        - group: inference.networking.k8s.io\n          kind: InferencePool\n          name: small\n",
        ),
    ],
};
