//! The table of causes: code, blame, sentence, next step.
//!
//! `quickproof explain`, the reports and their documentation all come from this one table.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Blame;

/// Why a check is broken: a code of the table, and what shows it in this run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The kind of cause.
    pub code: CauseCode,
    /// Who is to blame, where that is told by who answered; `None`: whoever mostly is ([`CauseCode::blame`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<Blame>,
    /// Lines that show it: messages, log lines, numbers; most telling first. May be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

impl Cause {
    /// A cause without evidence yet.
    pub fn new(code: CauseCode) -> Self {
        Self {
            code,
            by: None,
            evidence: Vec::new(),
        }
    }

    /// Who is to blame.
    pub fn blame(&self) -> Blame {
        self.by.unwrap_or_else(|| self.code.blame())
    }

    /// The same, with this one to blame; `None`: whoever mostly is.
    #[must_use]
    pub(crate) fn blaming(self, by: Option<Blame>) -> Self {
        Self { by, ..self }
    }

    /// Adds a line of evidence.
    #[must_use]
    pub fn because(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }
}

impl From<CauseCode> for Cause {
    fn from(code: CauseCode) -> Self {
        Self::new(code)
    }
}

macro_rules! causes {
    ($($name:ident $code:literal $blame:ident $sentence:literal $next:literal;)*) => {
        /// A kind of cause; its code is stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum CauseCode {
            $(#[doc = $sentence] #[serde(rename = $code)] $name,)*
        }

        impl CauseCode {
            /// Every cause, in the order of the table.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code, such as `pod-image-not-found`.
            pub(crate) fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Who is to blame.
            pub fn blame(self) -> Blame {
                match self { $(Self::$name => Blame::$blame,)* }
            }

            /// What it means, one sentence.
            pub(crate) fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }

            /// What to do next.
            pub(crate) fn next_step(self) -> &'static str {
                match self { $(Self::$name => $next,)* }
            }
        }
    };
}

causes! {
    ShellVariableInSingleQuotes "shell-variable-in-single-quotes" Guide
        "A variable stands inside single quotes, so the shell passes its name on and not its value."
        "Close the single quotes around it: '\"'\"${NAME}\"'\"', or write the value itself.";
    ShellVariableUnset "shell-variable-unset" Guide
        "A command uses a variable that no earlier command of the chosen tabs sets."
        "Set it in an earlier block of the same tab, or write its value.";
    GuideCommandFailed "guide-command-failed" Guide
        "A command of the guide fails when it is run as written."
        "Run the command by hand on the kept cluster (`--keep`) and correct it at the line named.";
    GuideCommandUnsupported "guide-command-unsupported" Harness
        "quickproof does not know how to carry out a command of the guide, so nothing can be said about it."
        "Report the command, or run the guide by hand; a pass is not possible while a command is left out.";
    GuideCommandCutShort "guide-command-cut-short" Guide
        "A command ends before its last line, so that bash runs a part of it and takes the rest for another."
        "End each line of it but the last with a backslash, and nothing behind it.";
    HereDocumentNeverEnds "here-document-never-ends" Guide
        "A here-document is never closed, so that bash takes everything after it for its text."
        "End it with a line that is its word and nothing else: no blanks, no quotes.";
    GuideCommandUnknown "guide-command-unknown" Guide
        "A command names a program, a verb or a flag that does not exist."
        "Correct the word at the line named.";
    GuideReferenceMissing "guide-reference-missing" Guide
        "The guide names a file, include, chart or asset that does not exist in the release."
        "Correct the path at the line named, or add the file to the release.";
    GuideReferenceElsewhere "guide-reference-elsewhere" Guide
        "The guide names a file or chart of a branch or of another release, so that what a reader runs is not this release."
        "Name the tag under test at the line named.";
    GuideTabMissing "guide-tab-missing" Guide
        "The guide offers a choice of tabs and none of them is for the variant or the provider under test."
        "Add the tab, or name it in the layout if it is there under another title.";
    ToolFlagRemoved "tool-flag-removed" Guide
        "A command uses a flag that current versions of the tool no longer have."
        "Drop the flag.";
    ManifestUnreadable "manifest-unreadable" Manifest
        "A manifest of the release is not YAML, or a document in it is no object."
        "Correct it at the line named.";
    ObjectRefused "object-refused" Manifest
        "The API server refuses an object of the release as invalid."
        "Correct the field named in the message; compare with the schema of the kind.";
    ObjectKindUnknown "object-kind-unknown" Manifest
        "An object has a kind that the cluster does not know: its CRD is missing or serves another version."
        "Install the CRD in an earlier step of the guide, or use the version that it serves.";
    ObjectForbidden "object-forbidden" Cluster
        "The API server does not allow quickproof to create or read an object (403)."
        "Run with an account that may, or grant the verb and resource named.";
    ObjectConflict "object-conflict" Cluster
        "An object of the same name exists and belongs to somebody else; it was left untouched."
        "Use another namespace (`-n`), another cluster, or remove the object.";
    HelmFailed "helm-failed" Chart
        "helm refuses to install the chart as the guide installs it."
        "Read helm's message; reproduce with `helm template` and the same values.";
    ProviderInstallFailed "provider-install-failed" Gateway
        "The gateway provider's own installer failed."
        "Read its message; check that the provider's version fits the cluster's version.";
    PodImageNotFound "pod-image-not-found" Image
        "A container image that the release names is not in the registry."
        "Promote the image, or correct its name or tag where it is asked for.";
    PodImageInvalid "pod-image-invalid" Manifest
        "A container image name cannot be parsed."
        "Correct the image name.";
    PodImagePull "pod-image-pull" Cluster
        "A container image could not be pulled for a reason other than that it does not exist."
        "Check that the nodes reach the registry and may read from it.";
    PodCrash "pod-crash" Image
        "A container ends again and again, so its Deployment will never be ready."
        "Read the container's last words; check its arguments and its configuration.";
    PodArgumentUnknown "pod-argument-unknown" Manifest
        "A container ends because it does not know one of its command-line flags."
        "Correct the flag in the container's arguments, or use an image that has it.";
    PodConfigurationRefused "pod-configuration-refused" Manifest
        "A container ends because it cannot use the configuration that it is given: a file that is not there, or what stands in it."
        "Correct what its last words name, in the ConfigMap or in the argument that names the file; or use an image that knows it.";
    PodOutOfMemory "pod-out-of-memory" Manifest
        "A container is killed for using more memory than its limit."
        "Raise the memory limit.";
    PodConfigMissing "pod-config-missing" Manifest
        "A pod asks for a Secret, ConfigMap, key, volume claim or account that does not exist."
        "Create it in an earlier step, or correct the name.";
    PodVolumeUnbound "pod-volume-unbound" Cluster
        "A pod's volume claim exists, and nothing in the cluster gives it a volume."
        "Use a cluster with a provisioner for the claim's storage class, or make the volume before.";
    PodKilledByProbe "pod-killed-by-probe" Manifest
        "A container runs, and its liveness or startup probe has it killed again and again."
        "Compare the probe's port, path and times with what the container serves and how long it takes to start; read its log.";
    PodProbeRefused "pod-probe-refused" Manifest
        "A container runs, and its readiness or startup probe is refused for good: what it asks for is not there."
        "Compare the probe's path, port and scheme with what the container serves; read its log.";
    PodUnschedulable "pod-unschedulable" Cluster
        "No node can take a pod: it asks for more than any node has left."
        "Use a larger cluster, or lower the request with a recorded override (`--set`, `--profile small`).";
    PodRefused "pod-refused" Cluster
        "The cluster refuses to create a pod (quota, admission or policy)."
        "Read the message; relax the policy or use another namespace.";
    PodNotReady "pod-not-ready" Image
        "A container runs and never becomes ready."
        "Read its log and its readiness probe.";
    PodSlow "pod-slow" Cluster
        "Pods were not ready when time was up, and were still getting on: no node yet, images on their way, a log that went on."
        "Give it more time (`--timeout`), or see what is slow: the way to the registry, the node, the model's download.";
    GatewayClassMissing "gateway-class-missing" Gateway
        "No controller has taken the Gateway's class."
        "Install the gateway provider; check `gatewayClassName`.";
    GatewayNotAccepted "gateway-not-accepted" Manifest
        "The Gateway's controller refuses it as it is written: its parameters, or an address that it asks for."
        "Read the condition's reason and message, and correct the Gateway.";
    GatewayListenerInvalid "gateway-listener-invalid" Manifest
        "A listener of the Gateway cannot be served as it is written."
        "Read the reason of the listener's condition; correct its protocol, its port, or the kinds of routes that it allows.";
    GatewayListenerConflict "gateway-listener-conflict" Manifest
        "A listener of the Gateway contradicts another, or asks for a port that cannot be had."
        "Give listeners of one port the same protocol and different host names, or use another port.";
    GatewayCertificateMissing "gateway-certificate-missing" Manifest
        "A listener of the Gateway names a certificate that does not exist, is none, or may not be used from its namespace."
        "Make the Secret in an earlier step, correct its name, or add a ReferenceGrant.";
    GatewayNotProgrammed "gateway-not-programmed" Gateway
        "The Gateway is not programmed at its current generation."
        "Read the condition's message and the provider's log.";
    GatewayWithoutAddress "gateway-without-address" Cluster
        "The Gateway got no address: no LoadBalancer provider answered, and no stand-in was possible."
        "Install a LoadBalancer provider, or run in a kind cluster that quickproof makes.";
    GatewayUnreachable "gateway-unreachable" Cluster
        "Nothing answers at the Gateway's address from this machine."
        "Check the route from this machine to the address; see how it was reached in the report.";
    RequestPortNotServed "request-port-not-served" Guide
        "The guide's request goes to a port that no listener of the Gateway, or no port of the Service, has."
        "Make the port of the request and the one of the Gateway's listener (or of the Service) the same.";
    ServiceSelectsNoPod "service-selects-no-pod" Manifest
        "The Service that the guide's request goes to selects no Ready pod."
        "Make the Service's selector and the labels of its pods equal.";
    GatewayAnsweredError "gateway-answered-error" Gateway
        "The gateway itself answered with an error; the request reached no model server."
        "Look at HTTPRoute, InferencePool and the gateway's access log.";
    RouteNotAccepted "route-not-accepted" Manifest
        "An HTTPRoute is not accepted by the Gateway that it names."
        "Read the condition; check parentRefs and the listener's allowedRoutes.";
    RouteBackendUnresolved "route-backend-unresolved" Manifest
        "An HTTPRoute's backend does not resolve."
        "Correct group, kind or name of the backendRef; compare with the InferencePool that exists.";
    RouteParentWithoutStatus "route-parent-without-status" Manifest
        "An HTTPRoute names a parent that no controller has answered for at the current generation."
        "Check that the Gateway named in parentRefs exists.";
    PoolNotAccepted "pool-not-accepted" Manifest
        "An InferencePool is not accepted, or its references do not resolve."
        "Read the condition; check endpointPickerRef (name and port).";
    PoolSelectsNoPod "pool-selects-no-pod" Manifest
        "The InferencePool's selector matches no pod."
        "Make selector and pod labels equal.";
    PoolSelectsForeignPod "pool-selects-foreign-pod" Manifest
        "The InferencePool's selector also matches pods that are not the guide's model servers, so requests may be sent to them."
        "Select by a label that only the model server's pods have; in a shared cluster, use a namespace of its own.";
    PoolPortRefused "pool-port-refused" Manifest
        "The endpoint picker chose a pod that refuses connections on the pool's target port."
        "Make targetPorts equal to the model server's container port.";
    EndpointPickerBypassed "endpoint-picker-bypassed" EndpointPicker
        "Answers come although the endpoint picker was not asked: the pool fails open."
        "Make the endpoint picker run and be reachable; a 200 proves nothing while the pool fails open.";
    EndpointPickerUnreachable "endpoint-picker-unreachable" EndpointPicker
        "The gateway cannot talk to the endpoint picker, so requests with a body fail."
        "Check the endpoint picker's Service, port and TLS settings (with Istio: the DestinationRule).";
    EndpointPickerBreaksProtocol "endpoint-picker-breaks-protocol" EndpointPicker
        "The endpoint picker answers the gateway in a way that their protocol does not have, so that the gateway ends the request."
        "Read the gateway's log beside the endpoint picker's, and see whether a later release of the endpoint picker mends it.";
    FailureModeNotKept "failure-mode-not-kept" Gateway
        "While the endpoint picker is away, the gateway does otherwise than the pool's failure mode says."
        "See whether the gateway's version honours `failureMode` of the InferencePool, and what it made of it in its own configuration.";
    EmptyPoolAnsweredOtherwise "empty-pool-answered-otherwise" EndpointPicker
        "While the pool has no pod, requests are not refused as they must be."
        "See in the answer's headers and body who gave it, and read the endpoint picker's log of that time.";
    EndpointPickerNotCounting "endpoint-picker-not-counting" EndpointPicker
        "The endpoint picker's request counter did not rise by the number of requests sent."
        "Check which endpoint picker the pool refers to; look at its log.";
    EndpointPickerOtherBuild "endpoint-picker-other-build" Image
        "The running endpoint picker says that it was built from another tag."
        "Correct the image tag in the chart's values, or promote the right image.";
    EndpointPickerGaugeWrong "endpoint-picker-gauge-wrong" EndpointPicker
        "The endpoint picker counts another number of ready pods than Kubernetes does, so it picks among others than those of the pool."
        "Compare its log with the pool's selector and port; its account must be allowed to watch pods.";
    PickNotAsAsked "pick-not-as-asked" EndpointPicker
        "A request that names the pod that must serve it was served by another."
        "See whether the endpoint picker reads the header that names it, and which pod it says that it picked.";
    PickNotHonoured "pick-not-honoured" Gateway
        "Requests were served by other pods than those that the endpoint picker picked."
        "See whether the gateway's version supports the destination that the endpoint picker names, and its configuration overrides the endpoint.";
    ImageOther "image-other" Image
        "A container runs another image than the one that was meant: its digest differs."
        "See what the tag leads to now and what the node has cached, and pin the digest.";
    ModelNotServed "model-not-served" Guide
        "The model server says that the model asked for does not exist."
        "Ask for a model (or adapter) that the model server's arguments serve.";
    ModelServerError "model-server-error" ModelServer
        "The model server answered with an error."
        "Read the answer and the model server's log.";
    AnswerMalformed "answer-malformed" ModelServer
        "The answer is not what the OpenAI API promises."
        "Compare the answer in the report with the expectation.";
    EndpointNotAnswering "endpoint-not-answering" Cluster
        "Nothing came back: the request could not be sent, nobody listens at the address, or it stayed silent."
        "Check the address, that the server runs, and the way to it from this machine; repeat the request with the `curl` line.";
    AddressWrong "address-wrong" CommandLine
        "What is at the address is no endpoint of the OpenAI API, or speaks another protocol than the address says."
        "See in the evidence what answered, and correct the address: `https://` where the port speaks TLS, and only what stands before `/v1`.";
    CredentialsRefused "credentials-refused" CommandLine
        "The endpoint answers 401 or 403 to whatever is asked: it takes no request without the right key."
        "Set `OPENAI_API_KEY`, which is sent as a bearer token, or give the header that it wants (`--header 'NAME: VALUE'`).";
    CertificateNotTrusted "certificate-not-trusted" CommandLine
        "The server's certificate is none that this machine trusts for this name."
        "Give the certificate of who signed it (`--cacert FILE`), use a name that it is for, or do without looking at it (`--insecure`).";
    EndpointNotReady "endpoint-not-ready" Cluster
        "The endpoint says that it cannot answer now (429, 503): it loads its model, or takes no more requests."
        "Wait until it serves (`--wait 5m`), or ask for less at the same moment; see its log.";
    HostExhausted "host-exhausted" Host
        "This machine has no descriptors, ports or memory left for another connection."
        "Raise its limits (`ulimit -n`), or send less at the same moment.";
    AnswerCutOff "answer-cut-off" ModelServer
        "An answer was begun, or its connection taken, and it did not come to its end."
        "Look for a pod that ended at that time, and for time limits of the gateway and of the route.";
    AnswerStatusUnexpected "answer-status-unexpected" ModelServer
        "The answer has another status than its request must get."
        "See in the answer's headers and body who gave it, and read the log of that one.";
    RequestNotRefused "request-not-refused" ModelServer
        "A request that must be refused was answered with a success."
        "Send the request again with the `curl` line, and see what the model server makes of it.";
    AnswerHeadersWrong "answer-headers-wrong" Gateway
        "The answer's headers contradict each other or its body, or belong to another connection."
        "Compare them with those that the model server sends when it is asked directly; what is added between is the gateway's.";
    AnswerWrongModel "answer-wrong-model" ModelServer
        "The answer names another model than the one that was asked for."
        "Check which models each pod of the pool serves, and which rewrites of model names apply.";
    AnswerTextWrong "answer-text-wrong" ModelServer
        "The answer says nothing where tokens were generated, or not what it must echo."
        "Compare the text in the report with the prompt; ask the model server directly.";
    TokenCountWrong "token-count-wrong" ModelServer
        "The answer's token counts are missing, do not add up, or are over what the request allows."
        "Compare `usage` in the report with the request's `max_tokens`; ask the model server directly.";
    ErrorBodyMalformed "error-body-malformed" ModelServer
        "An error does not say what is wrong in a form that clients of the OpenAI API read."
        "Compare its body with `{\"error\": {\"message\", \"type\", \"code\"}}`.";
    StreamMalformed "stream-malformed" ModelServer
        "A stream came to its end and is not what the OpenAI API promises."
        "Compare its events in the report with the expectation; ask the model server directly, past the gateway.";
    StreamTruncated "stream-truncated" ModelServer
        "A stream was truncated: it was cut off or ended without `[DONE]`, so what came is not the whole answer."
        "Look for a pod that ended at that time, and for time limits of the gateway and of the route.";
    StreamError "stream-error" ModelServer
        "A stream that began with a success tells an error."
        "Read the error in the report and the model server's log.";
    ExpectationNotMet "expectation-not-met" ModelServer
        "The answer is well formed and is not what the scenario expects of it."
        "Compare the answer in the report with the scenario (`quickproof scenario show NAME`).";
    ServiceLevelNotMet "service-level-not-met" ModelServer
        "Under load too few requests have an answer that is right and in time."
        "See in the load's figures which times grow or which answers are wrong; see whether the machine beneath was busy.";
    LoadHeldBack "load-held-back" ModelServer
        "Under load answers come so slowly that requests pile up and are sent late or never."
        "Ask for a lower rate, or find what is slow: compare the times with one request at a time, and see how busy the machine beneath is.";
    AnswerFromOutsidePool "answer-from-outside-pool" EndpointPicker
        "A pod that is not a Ready endpoint of the pool served the request."
        "Check the pool's selector and the gateway's cluster configuration.";
    TooFewPodsServed "too-few-pods-served" EndpointPicker
        "All requests were served by fewer pods than expected."
        "Look at the endpoint picker's scores and at the pods' queue metrics.";
    ApiServerAway "api-server-away" Cluster
        "The Kubernetes API server does not answer, or only that it cannot."
        "Check the cluster; nothing is said about the release.";
    KubeconfigUnusable "kubeconfig-unusable" Host
        "The kubeconfig cannot be used: the file, the context in it, or the credentials that it leads to."
        "Name a context that the file has, or log in again: `kubectl --context NAME version` must work.";
    NotTheApiServer "not-the-api-server" Cluster
        "Something else answered in place of the Kubernetes API server, or its answer was cut: a login page, a proxy, another server."
        "See what answers at the address of the kubeconfig (`kubectl get --raw /version`): log in, or go around the proxy; nothing is said about the release.";
    ApiAnswerTooLong "api-answer-too-long" Cluster
        "An answer of the Kubernetes API server is longer than any that is read, or has no end."
        "See what it answers (`kubectl get --raw PATH`), and use a namespace of its own (`-n`) where it has too many objects.";
    MetricsUnreadable "metrics-unreadable" Harness
        "The endpoint picker's metrics could not be read, although it runs."
        "See the evidence for the HTTP answer; access is granted and taken back by quickproof.";
    ChangeNotTakenBack "change-not-taken-back" Cluster
        "What a scenario changed in the cluster could not be put back as it was, so nothing can be said about the release any more."
        "Run the `kubectl scale` line of the evidence, or take everything away (`quickproof reap`); look why the pods do not come back.";
    ClusterNotCreated "cluster-not-created" Host
        "The kind cluster could not be created."
        "Read kind's message; try `quickproof cluster up` alone.";
    ImagesNotReady "images-not-ready" Host
        "Container images that the plan names could not be pulled or built."
        "Read the message; try `quickproof images build` alone.";
    RegistryNotAnswering "registry-not-answering" Host
        "An image registry does not answer, or not now, or gives no answer that can be used; nothing is said about the image."
        "See what it said; wait until it answers, give access to it (`docker login`), or have images another way (`--images build|present`).";
    HostToolFailed "host-tool-failed" Host
        "A program on this machine that quickproof needs is missing or failed."
        "Install it (`make setup`) or read its message.";
    ReportNotWritten "report-not-written" Host
        "The journal or a report of the run could not be written, so part of what was seen may be lost."
        "Make room, or choose another place with `--output-dir`, `--junit-file` or `--json-file`.";
    HarnessError "harness-error" Harness
        "quickproof itself failed."
        "Report it with the journal of the run.";
    Interrupted "interrupted" Harness
        "The run was interrupted before it was decided."
        "Run it again.";
    StepTimedOut "step-timed-out" Cluster
        "Something that should happen did not happen in time, and nothing said why."
        "Look at what was last seen; raise `--timeout` where the cluster is slow.";
}

impl fmt::Display for CauseCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

impl FromStr for CauseCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|cause| cause.code() == text)
            .ok_or_else(|| format!("no cause is called `{text}`; `quickproof explain` lists them"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_kebab_case_and_read_back() {
        let codes: BTreeSet<_> = CauseCode::ALL.iter().map(|cause| cause.code()).collect();
        assert_eq!(codes.len(), CauseCode::ALL.len());
        for cause in CauseCode::ALL {
            assert!(
                cause.code().chars().all(|c| c.is_ascii_lowercase() || c == '-'),
                "{cause}"
            );
            assert_eq!(cause.code().parse::<CauseCode>().as_ref(), Ok(cause));
            let json = serde_json::to_string(cause).unwrap();
            assert_eq!(json, format!("\"{}\"", cause.code()));
        }
    }

    #[test]
    fn sentences_and_next_steps_are_sentences() {
        for cause in CauseCode::ALL {
            assert!(cause.sentence().ends_with('.'), "{cause}");
            assert!(cause.next_step().ends_with('.'), "{cause}");
        }
    }
}
