//! The flags of the programs that guides run, as their `--help` lists them. A flag that is not here makes its command one
//! that is not understood, so what is missing is safe, and added in one place.

use super::{Dialect, Grammar};

/// The grammar of a program's arguments; `None` where it is not known.
pub(super) fn grammar(program: &str) -> Option<&'static Grammar> {
    match program {
        "kubectl" => Some(&KUBECTL),
        "helm" => Some(&HELM),
        "curl" => Some(&CURL),
        _ => None,
    }
}

/// Source: `kubectl --help` (v1.34), `kubectl options`, and `kubectl VERB --help` of the verbs that guides use.
static KUBECTL: Grammar = Grammar {
    dialect: Dialect::Go,
    verbs: "alpha annotate api-resources api-versions apply attach auth autoscale certificate cluster-info completion \
        config cordon cp create debug delete describe diff drain edit events exec explain expose get help kustomize \
        label logs options patch plugin port-forward proxy replace rollout run scale set taint top uncordon version wait",
    valued: "-n|--namespace -f|--filename -k|--kustomize -o|--output -l|--selector -p|--patch -c|--container \
        --cluster --context --env --field-manager --field-selector --for --from-env-file --from-file \
        --from-literal --grace-period --image --kubeconfig --port --replicas --restart --since --sort-by --tail \
        --target-port --timeout --type --user",
    bare: "-i|--stdin -t|--tty -w|--watch -A|--all-namespaces -R|--recursive -h|--help --all --attach --cascade --client --command \
        --dry-run --export --force --force-conflicts --ignore-not-found --no-headers --now --overwrite \
        --previous --prune -q|--quiet --rm --save-config --server-side --short --show-labels --validate --wait",
};

/// Source: `helm --help` (v3.19), `helm install --help`, `helm upgrade --help`, `helm uninstall --help`.
static HELM: Grammar = Grammar {
    dialect: Dialect::Go,
    verbs: "completion create del delete dep dependency env fetch get help hist history install inspect lint list ls \
        package plugin pull push registry repo rollback search show status template test un uninstall upgrade verify \
        version",
    valued: "-n|--namespace -f|--values -o|--output --description --history-max --kube-context --kubeconfig \
        --name --password --repo --set --set-file --set-json --set-string --timeout --username --version",
    bare: "-i|--install -g|--generate-name -h|--help --atomic --cleanup-on-fail --create-namespace --debug \
        --dependency-update --devel --dry-run --force --ignore-not-found --insecure-skip-tls-verify \
        --keep-history --no-hooks --plain-http --replace --reset-values --reuse-values --short --skip-crds \
        --take-ownership --verify --wait --wait-for-jobs",
};

/// Source: `curl --help all`; only flags that change what a reader sees, or what happens on a redirect, which a gateway
/// does not send, beside those that make the request.
static CURL: Grammar = Grammar {
    dialect: Dialect::Curl,
    verbs: "",
    valued: "-X|--request -H|--header -d|--data|--data-raw|--data-binary|--data-ascii --url -m|--max-time \
        --connect-timeout",
    bare: "-i|--include -s|--silent -S|--show-error -v|--verbose -L|--location -N|--no-buffer -f|--fail \
        --http1.1",
};
