//! The rules of the family, each with the function of Kubernetes that it stands for.

use crate::lint::{Rule, Severity};

/// All of them.
pub(super) const ALL: &[&Rule] = &[
    &UNREADABLE,
    &FIELD_UNKNOWN,
    &FIELD_TYPE,
    &NAME_INVALID,
    &LABEL_INVALID,
    &SELECTOR_MISMATCH,
    &RESTART_POLICY,
    &INIT_RESTART_POLICY,
    &PULL_POLICY,
    &CONTAINER_DUPLICATE,
    &IMAGE_ABSENT,
    &PORT_INVALID,
    &PORT_DUPLICATE,
    &PORT_NUMBER_TWICE,
    &PORT_NAME_SHARED,
    &PORT_UNNAMED,
    &SERVICE_WITHOUT_PORTS,
    &VOLUME_DUPLICATE,
    &MOUNT_WITHOUT_VOLUME,
    &MOUNT_PATH_TWICE,
    &ENV_TWO_SOURCES,
    &ENV_TWICE,
    &PROBE_HANDLER,
    &QUANTITY_INVALID,
    &REQUEST_ABOVE_LIMIT,
];

pub(super) static UNREADABLE: Rule = Rule {
    code: "yaml-unreadable",
    severity: Severity::Break,
    about: "A file that should be YAML is none, so that nothing can apply it.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-  replicas: 2\n+  replicas: [2\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-  replicas: 2\n+  replicas: 1\n",
    )],
};

pub(super) static FIELD_UNKNOWN: Rule = Rule {
    code: "field-unknown",
    severity: Severity::Break,
    about: "An object has a field that its kind does not have, often for a slip of the pen or of the indent. kubectl asks the server for strict validation since v1.25 (KEP-2885), and the object is refused; without, the field is silently dropped.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          imagePullPolicy: IfNotPresent\n+          imagePulPolicy: IfNotPresent\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          imagePullPolicy: IfNotPresent\n+          imagePullPolicy: Always\n",
    )],
};

pub(super) static FIELD_TYPE: Rule = Rule {
    code: "field-type",
    severity: Severity::Break,
    about: "A field has a value of another type than its kind wants, such as a bare number where text belongs. The server cannot read the object and refuses it.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-            - \"8000\"\n+            - 8000\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-            - \"8000\"\n+            - '8000'\n",
    )],
};

pub(super) static NAME_INVALID: Rule = Rule {
    code: "name-invalid",
    severity: Severity::Break,
    about: "The name of an object or a container has characters that names must not have, or is too long (`k8s.io/apimachinery/pkg/util/validation`). It is refused.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-        - name: sim\n+        - name: sim_one\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-        - name: sim\n+        - name: sim-one\n",
    )],
};

pub(super) static LABEL_INVALID: Rule = Rule {
    code: "label-invalid",
    severity: Severity::Break,
    about: "A label's key or value, or an annotation's key, is none (`k8s.io/apimachinery/pkg/util/validation`). The object is refused.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-  name: small\n-spec:\n+  name: small\n+  labels:\n+    version: v1+x\n+spec:\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-  name: small\n-spec:\n+  name: small\n+  labels:\n+    version: v1-x\n+spec:\n",
    )],
};

pub(super) static SELECTOR_MISMATCH: Rule = Rule {
    code: "selector-mismatch",
    severity: Severity::Break,
    about: "A workload has no selector, or one that does not match the labels of its own pod template (`ValidateDeploymentSpec`). It is refused.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-    matchLabels:\n-      app: small\n+    matchLabels:\n+      app: large\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-    matchLabels:\n-      app: small\n+    matchLabels:\n+      app: small # the same\n",
    )],
};

pub(super) static RESTART_POLICY: Rule = Rule {
    code: "restart-policy-invalid",
    severity: Severity::Break,
    about: "The pods of a Deployment, StatefulSet or DaemonSet are always restarted, those of a Job never or on failure; the template says something else (`ValidatePodTemplateSpecForReplicaSet`, `validateJobSpec`). It is refused.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-    spec:\n-      containers:\n+    spec:\n+      restartPolicy: OnFailure\n+      containers:\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-    spec:\n-      containers:\n+    spec:\n+      restartPolicy: Always\n+      containers:\n",
    )],
};

pub(super) static INIT_RESTART_POLICY: Rule = Rule {
    code: "init-restart-policy",
    severity: Severity::Break,
    about: "An init container's `restartPolicy` is `Always`, which makes it a sidecar (KEP-753), or absent. Any other value is refused up to Kubernetes v1.33, and later unless it is one of those of KEP-5307, where that is switched on.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-      containers:\n-        - name: sim\n+      initContainers:\n+        - name: first\n+          image: docker.io/example/first:v1.0.0\n+          restartPolicy: IfNotPresent\n+      containers:\n+        - name: sim\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-      containers:\n-        - name: sim\n+      initContainers:\n+        - name: first\n+          image: docker.io/example/first:v1.0.0\n+          restartPolicy: Always\n+      containers:\n+        - name: sim\n",
    )],
};

pub(super) static PULL_POLICY: Rule = Rule {
    code: "pull-policy-invalid",
    severity: Severity::Break,
    about: "`imagePullPolicy` is `Always`, `IfNotPresent` or `Never`; anything else is refused (`validatePullPolicy`).",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          imagePullPolicy: IfNotPresent\n+          imagePullPolicy: Sometimes\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          imagePullPolicy: IfNotPresent\n+          imagePullPolicy: Never\n",
    )],
};

pub(super) static CONTAINER_DUPLICATE: Rule = Rule {
    code: "container-name-duplicate",
    severity: Severity::Break,
    about: "Two containers of one pod have the same name, init containers included (`validateContainers`). The pod is refused.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          resources:\n-            requests:\n-              cpu: 10m\n-              memory: 64Mi\n+        - name: sim\n+          image: docker.io/example/other:v1.0.0\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          resources:\n-            requests:\n-              cpu: 10m\n-              memory: 64Mi\n+        - name: other\n+          image: docker.io/example/other:v1.0.0\n",
    )],
};

pub(super) static IMAGE_ABSENT: Rule = Rule {
    code: "container-without-image",
    severity: Severity::Break,
    about: "A container names no image (`validateContainers`). A workload with it is refused.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.2\n+          image: ghcr.io/llm-d/llm-d-inference-sim:v0.8.1\n",
    )],
};

pub(super) static PORT_INVALID: Rule = Rule {
    code: "port-invalid",
    severity: Severity::Break,
    about: "A port's number is outside 1 to 65535, or its name is none: that of a container's port has at most 15 characters (RFC 6335, `IsValidPortName`). The object is refused.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-            - name: http\n+            - name: inference-over-http\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-            - name: http\n+            - name: inference\n",
    )],
};

pub(super) static PORT_DUPLICATE: Rule = Rule {
    code: "port-duplicate",
    severity: Severity::Break,
    about: "A Service has the same port and protocol twice, or two ports of a Service or of a container have the same name (`ValidateService`, `validateContainerPorts`). The object is refused.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-            - name: http\n-              containerPort: 8000\n+            - name: http\n+              containerPort: 8000\n+            - name: http\n+              containerPort: 8001\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-            - name: http\n-              containerPort: 8000\n+            - name: http\n+              containerPort: 8000\n+            - name: more\n+              containerPort: 8001\n",
    )],
};

pub(super) static PORT_NUMBER_TWICE: Rule = Rule {
    code: "container-port-twice",
    severity: Severity::Hygiene,
    about: "A container lists the same port and protocol twice. The server warns and takes it; with server-side apply, which merges by port, it is refused.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-            - name: http\n-              containerPort: 8000\n+            - name: http\n+              containerPort: 8000\n+            - name: again\n+              containerPort: 8000\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-            - name: http\n-              containerPort: 8000\n+            - name: http\n+              containerPort: 8000\n+            - name: again\n+              containerPort: 8001\n",
    )],
};

pub(super) static PORT_NAME_SHARED: Rule = Rule {
    code: "port-name-shared",
    severity: Severity::Hygiene,
    about: "Two containers of one pod have a port of the same name. A Service or probe that asks for the name gets the first one.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          resources:\n-            requests:\n-              cpu: 10m\n-              memory: 64Mi\n+        - name: other\n+          image: docker.io/example/other:v1.0.0\n+          ports:\n+            - name: http\n+              containerPort: 9000\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-          resources:\n-            requests:\n-              cpu: 10m\n-              memory: 64Mi\n+        - name: other\n+          image: docker.io/example/other:v1.0.0\n+          ports:\n+            - name: other\n+              containerPort: 9000\n",
    )],
};

pub(super) static PORT_UNNAMED: Rule = Rule {
    code: "port-unnamed",
    severity: Severity::Break,
    about: "A Service with several ports has one without a name (`validateServicePort`). It is refused.",
    bad: &[(
        "config/manifests/service.yaml",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: small\nspec:\n  selector:\n    app: small\n  ports:\n    - name: http\n      port: 80\n    - port: 81\n",
    )],
    good: &[(
        "config/manifests/service.yaml",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: small\nspec:\n  selector:\n    app: small\n  ports:\n    - name: http\n      port: 80\n    - name: more\n      port: 81\n",
    )],
};

pub(super) static SERVICE_WITHOUT_PORTS: Rule = Rule {
    code: "service-without-ports",
    severity: Severity::Break,
    about: "A Service has no ports, and is neither headless nor of type ExternalName (`ValidateService`). It is refused.",
    bad: &[(
        "config/manifests/service.yaml",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: small\nspec:\n  selector:\n    app: small\n",
    )],
    good: &[(
        "config/manifests/service.yaml",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: small\nspec:\n  clusterIP: None\n  selector:\n    app: small\n",
    )],
};

pub(super) static VOLUME_DUPLICATE: Rule = Rule {
    code: "volume-name-duplicate",
    severity: Severity::Break,
    about: "Two volumes of one pod have the same name (`ValidateVolumes`). The pod is refused.",
    bad: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-        - name: cache\n-          emptyDir: {}\n+        - name: cache\n+          emptyDir: {}\n+        - name: cache\n+          emptyDir: {}\n",
    )],
    good: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-        - name: cache\n-          emptyDir: {}\n+        - name: cache\n+          emptyDir: {}\n+        - name: more\n+          emptyDir: {}\n",
    )],
};

pub(super) static MOUNT_WITHOUT_VOLUME: Rule = Rule {
    code: "mount-without-volume",
    severity: Severity::Break,
    about: "A container mounts a volume that its pod does not have (`ValidateVolumeMounts`). The pod is refused.",
    bad: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-            - name: cache\n-              mountPath: /cache\n+            - name: cash\n+              mountPath: /cache\n",
    )],
    good: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-            - name: cache\n-              mountPath: /cache\n+            - name: cache\n+              mountPath: /cash\n",
    )],
};

pub(super) static MOUNT_PATH_TWICE: Rule = Rule {
    code: "mount-path-duplicate",
    severity: Severity::Break,
    about: "A container mounts two volumes at one path (`ValidateVolumeMounts`). The pod is refused.",
    bad: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-            - name: cache\n-              mountPath: /cache\n+            - name: cache\n+              mountPath: /cache\n+            - name: cache\n+              mountPath: /cache\n",
    )],
    good: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-            - name: cache\n-              mountPath: /cache\n+            - name: cache\n+              mountPath: /cache\n+            - name: cache\n+              mountPath: /again\n",
    )],
};

pub(super) static ENV_TWO_SOURCES: Rule = Rule {
    code: "env-two-sources",
    severity: Severity::Break,
    about: "A variable has both `value` and `valueFrom` (`validateEnvVarValueFrom`). The pod is refused.",
    bad: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-            - name: HF_TOKEN\n-              valueFrom:\n+            - name: HF_TOKEN\n+              value: none\n+              valueFrom:\n",
    )],
    good: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-            - name: HF_TOKEN\n-              valueFrom:\n+            - name: HF_TOKEN\n+              value: \"\"\n+              valueFrom:\n",
    )],
};

pub(super) static ENV_TWICE: Rule = Rule {
    code: "env-twice",
    severity: Severity::Degraded,
    about: "A container sets a variable twice, and only the last one holds. The server warns and takes it; with server-side apply, which merges by name, it is refused.",
    bad: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-            - name: HF_TOKEN\n-              valueFrom:\n+            - name: HF_TOKEN\n+              value: none\n+            - name: HF_TOKEN\n+              valueFrom:\n",
    )],
    good: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-            - name: HF_TOKEN\n-              valueFrom:\n+            - name: HF_HOME\n+              value: /cache\n+            - name: HF_TOKEN\n+              valueFrom:\n",
    )],
};

pub(super) static PROBE_HANDLER: Rule = Rule {
    code: "probe-handler",
    severity: Severity::Break,
    about: "A probe has no handler, or more than one (`validateHandler`). The pod is refused.",
    bad: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-          readinessProbe:\n-            httpGet:\n-              path: /health\n-              port: http\n+          readinessProbe:\n+            periodSeconds: 5\n",
    )],
    good: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-          readinessProbe:\n-            httpGet:\n-              path: /health\n-              port: http\n+          readinessProbe:\n+            tcpSocket:\n+              port: http\n",
    )],
};

pub(super) static QUANTITY_INVALID: Rule = Rule {
    code: "quantity-invalid",
    severity: Severity::Break,
    about: "An amount of a resource is no quantity (`k8s.io/apimachinery/pkg/api/resource`). The object is refused.",
    bad: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-              cpu: \"2\"\n-              memory: 8Gi\n+              cpu: \"2\"\n+              memory: 8GB\n",
    )],
    good: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-              cpu: \"2\"\n-              memory: 8Gi\n+              cpu: \"2\"\n+              memory: 7Gi\n",
    )],
};

pub(super) static REQUEST_ABOVE_LIMIT: Rule = Rule {
    code: "request-above-limit",
    severity: Severity::Break,
    about: "A container requests more of a resource than it is limited to, or another amount of one that cannot be shared, such as a GPU (`validateContainerResourceRequirements`). The pod is refused.",
    bad: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-              cpu: \"2\"\n-              memory: 8Gi\n+              cpu: \"2\"\n+              memory: 16Gi\n",
    )],
    good: &[(
        "config/manifests/model/cpu.yaml",
        "@@\n-              cpu: \"2\"\n-              memory: 8Gi\n+              cpu: \"2\"\n+              memory: 4Gi\n",
    )],
};
