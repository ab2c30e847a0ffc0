//! The rules of the family, with their examples.

rules! {
    /// A pool selects by labels that no pod of the reader's path has: it is empty, and every request fails.
    Break POOL_SELECTS_NONE = "pool-selects-no-pod";

    /// A pool sends to a port on which its pods are told not to listen. Where they are told nothing and only declare
    /// another port, it is milder.
    Break POOL_PORT = "pool-port-unserved";

    /// A pool refers to a Service as its endpoint picker that no step makes.
    Break PICKER_SERVICE = "pool-picker-missing";

    /// A pool refers to a port of its endpoint picker's Service that the Service does not have.
    Break PICKER_PORT = "pool-picker-port-missing";

    /// The endpoint picker is told of a pool (name, namespace, group) that no step makes: it waits for it for ever.
    Break PICKER_POOL = "picker-pool-missing";

    /// A Service selects by labels that no pod of the reader's path has: it has no endpoints.
    Break SERVICE_SELECTS_NONE = "service-selects-no-pod";

    /// A Service sends to a named port that none of its pods has. Where it sends to a number that none of them
    /// declares, it is milder.
    Break SERVICE_PORT = "service-port-unserved";

    /// A route sends to a backend of a group, kind and name that no step makes: its condition `ResolvedRefs` is False,
    /// and requests are answered with 500.
    Break ROUTE_BACKEND = "route-backend-missing";

    /// A route belongs to a Gateway that no step makes: nothing programs it.
    Break ROUTE_PARENT = "route-parent-missing";

    /// A route of the release sends to a pool of an API group that the endpoint picker of the release does not watch.
    /// Said where the pool itself is not known because the guide has another release make it. Which groups it watches
    /// is data of the layouts.
    Degraded ROUTE_GROUP = "route-group-unwatched";

    /// A DestinationRule is for a host that no step makes: its TLS settings hold for nothing, and the mesh refuses the
    /// certificate that the endpoint picker signs itself.
    Break DESTINATION_HOST = "destination-rule-host-missing";

    /// A policy is for a target of a group, kind and name that no step makes: it changes nothing. Where traffic flows
    /// without the policy, it is milder.
    Break POLICY_TARGET = "policy-target-missing";

    /// An InferenceModel or InferenceObjective is for a pool that no step makes: nobody reads it. An objective only
    /// sets a priority, so there it is milder.
    Break MODEL_POOL = "model-pool-missing";

    /// A request of the guide goes to a Service by its name that no step makes.
    Break REQUEST_HOST = "request-host-missing";

    /// A pod asks for a Secret, or a key of it, that no step makes: its container cannot be created.
    Break NO_SECRET = "pod-secret-missing";

    /// A pod asks for a ConfigMap, or a key of it, that no step makes: its container cannot be created.
    Break NO_CONFIG_MAP = "pod-configmap-missing";

    /// A pod runs as a service account that no step makes: it cannot be created.
    Break NO_SERVICE_ACCOUNT = "pod-service-account-missing";

    /// A binding refers to a role without the API group; the API server puts it in (defaults of
    /// rbac.authorization.k8s.io/v1), other readers of the file do not.
    Hygiene BINDING_INCOMPLETE = "role-ref-incomplete";

    /// A binding gives a role that no step makes: its subjects may do nothing.
    Break ROLE_MISSING = "binding-role-missing";

    /// A binding gives a role to a service account that no step makes; whoever should have it has not.
    Degraded BINDING_SUBJECT = "binding-subject-missing";

    /// The account of the endpoint picker may not list and watch a kind that the endpoint picker of this release
    /// watches: its cache never syncs and it never becomes ready. Which kinds it watches is data of the layouts.
    Break PICKER_ACCESS = "picker-may-not-watch";
}
