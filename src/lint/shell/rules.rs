//! The rules of the family, with their examples.

use crate::lint::{Rule, Severity};

/// The rules.
pub(super) static ALL: &[&Rule] = &[
    &VARIABLE_PROTECTED,
    &VARIABLE_UNSET,
    &VARIABLE_SET_LATER,
    &FLAG_REMOVED,
    &FILE_NOT_DOWNLOADED,
    &PLACEHOLDER,
    &CONTINUATION_BROKEN,
    &ARGUMENT_QUOTED,
    &PICKER_FLAG,
];

pub(super) static VARIABLE_PROTECTED: Rule = Rule {
    code: "variable-in-single-quotes",
    severity: Severity::Break,
    about: "A variable of the guide stands in single quotes, where bash puts nothing in its place: the program gets the variable's name, and a request asks for a model of that name.",
    bad: &[
        (
            "site-src/guides/index.md",
            "@@\n-IP=$(kubectl get gateway/inference-gateway -o jsonpath='{.status.addresses[0].value}')\n+MODEL=demo/model\n+IP=$(kubectl get gateway/inference-gateway -o jsonpath='{.status.addresses[0].value}')\n",
        ),
        (
            "site-src/guides/index.md",
            "@@\n-\"model\": \"demo/model\",\n+\"model\": \"${MODEL}\",\n",
        ),
    ],
    good: &[
        (
            "site-src/guides/index.md",
            "@@\n-IP=$(kubectl get gateway/inference-gateway -o jsonpath='{.status.addresses[0].value}')\n+MODEL=demo/model\n+IP=$(kubectl get gateway/inference-gateway -o jsonpath='{.status.addresses[0].value}')\n",
        ),
        (
            "site-src/guides/index.md",
            "@@\n-\"model\": \"demo/model\",\n+\"model\": \"'${MODEL}'\",\n",
        ),
    ],
};

pub(super) static VARIABLE_UNSET: Rule = Rule {
    code: "variable-not-set",
    severity: Severity::Break,
    about: "A command uses a variable that no command of the reader's path sets, and that the reader is not asked to set: bash puts nothing in its place.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-    helm install small \\\n+    helm install small --set provider.name=${PROVIDER} \\\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-    helm install small \\\n+    export PROVIDER=istio\n+    helm install small --set provider.name=${PROVIDER} \\\n",
    )],
};

pub(super) static VARIABLE_SET_LATER: Rule = Rule {
    code: "variable-set-later",
    severity: Severity::Break,
    about: "A command uses a variable that only a later command sets: bash puts nothing in its place.",
    bad: &[
        (
            "site-src/guides/index.md",
            "@@\n-    helm install small \\\n+    helm install small --set provider.name=${PROVIDER} \\\n",
        ),
        (
            "site-src/guides/index.md",
            "@@\n-IP=$(kubectl get gateway/inference-gateway -o jsonpath='{.status.addresses[0].value}')\n+PROVIDER=istio\n+IP=$(kubectl get gateway/inference-gateway -o jsonpath='{.status.addresses[0].value}')\n",
        ),
    ],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-    helm install small \\\n+    PROVIDER=istio\n+    helm install small --set provider.name=${PROVIDER} \\\n",
    )],
};

pub(super) static FLAG_REMOVED: Rule = Rule {
    code: "tool-flag-removed",
    severity: Severity::Break,
    about: "A command gives a flag that the tool no longer has: it ends with an error. In the prerequisites it is milder: the quickstart works all the same.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-IP=$(kubectl get gateway/inference-gateway -o jsonpath='{.status.addresses[0].value}')\n+kubectl version --short\n+IP=$(kubectl get gateway/inference-gateway -o jsonpath='{.status.addresses[0].value}')\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-IP=$(kubectl get gateway/inference-gateway -o jsonpath='{.status.addresses[0].value}')\n+kubectl version\n+IP=$(kubectl get gateway/inference-gateway -o jsonpath='{.status.addresses[0].value}')\n",
    )],
};

pub(super) static FILE_NOT_DOWNLOADED: Rule = Rule {
    code: "downloaded-file-misnamed",
    severity: Severity::Break,
    about: "A command unpacks a file, and what was downloaded right before has another name.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-    ISTIO_VERSION=1.28.0\n-    curl -L https://istio.io/downloadIstio | ISTIO_VERSION=${ISTIO_VERSION} sh -\n+    ISTIO_VERSION=1.28.0\n+    wget https://downloads.example/istio-$ISTIO_VERSION-win.zip\n+    unzip istioctl-$ISTIO_VERSION-win.zip\n+    curl -L https://istio.io/downloadIstio | ISTIO_VERSION=${ISTIO_VERSION} sh -\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-    ISTIO_VERSION=1.28.0\n-    curl -L https://istio.io/downloadIstio | ISTIO_VERSION=${ISTIO_VERSION} sh -\n+    ISTIO_VERSION=1.28.0\n+    wget https://downloads.example/istio-$ISTIO_VERSION-win.zip\n+    unzip istio-$ISTIO_VERSION-win.zip\n+    curl -L https://istio.io/downloadIstio | ISTIO_VERSION=${ISTIO_VERSION} sh -\n",
    )],
};

pub(super) static PLACEHOLDER: Rule = Rule {
    code: "placeholder-in-command",
    severity: Severity::Degraded,
    about: "A command holds a text in angle brackets that a reader must replace by hand; as it is, bash reads a redirection.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-    kubectl create secret generic hf-token --from-literal=token=$HF_TOKEN\n+    kubectl create secret generic hf-token --from-literal=token=<YOUR_TOKEN>\n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-    kubectl create secret generic hf-token --from-literal=token=$HF_TOKEN\n+    kubectl create secret generic hf-token --from-literal=token=\"$HF_TOKEN\"\n",
    )],
};

pub(super) static CONTINUATION_BROKEN: Rule = Rule {
    code: "continuation-broken",
    severity: Severity::Break,
    about: "Blanks stand behind the backslash at the end of a line: the command ends there, and its next line is taken for another.",
    bad: &[(
        "site-src/guides/index.md",
        "@@\n-    --set provider.name=istio \\\n+    --set provider.name=istio \\ \n",
    )],
    good: &[(
        "site-src/guides/index.md",
        "@@\n-    --set provider.name=istio \\\n+    --set provider.name=none \\\n",
    )],
};

pub(super) static ARGUMENT_QUOTED: Rule = Rule {
    code: "argument-quoted",
    severity: Severity::Break,
    about: "An argument of a container holds quotes of its own around a value: no shell takes them away, and the program gets them as a part of the value.",
    bad: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-            - --port\n-            - \"8000\"\n+            - --port=8000\n+            - --mode=\"echo\"\n",
    )],
    good: &[(
        "config/manifests/model/sim.yaml",
        "@@\n-            - --port\n-            - \"8000\"\n+            - --port=8000\n+            - \"--mode=echo\"\n",
    )],
};

pub(super) static PICKER_FLAG: Rule = Rule {
    code: "picker-flag-form",
    severity: Severity::Break,
    about: "A flag of the endpoint picker is written in the form of older releases (`-poolName`): the program does not know it and ends. Which form a release has is data of its layout.",
    bad: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-            - --pool-name\n+            - -poolName\n",
    )],
    good: &[(
        "rendered/config/charts/inferencepool",
        "@@\n-            - --pool-name\n-            - small\n+            - --pool-name=small\n",
    )],
};
