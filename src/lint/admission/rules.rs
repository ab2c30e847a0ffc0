//! The rules of the family, each with the function of Kubernetes that it stands for.

rules! {
    /// A file that should be YAML is none, so that nothing can apply it.
    Break UNREADABLE = "yaml-unreadable";

    /// An object has a field that its kind does not have, often for a slip of the pen or of the indent. kubectl asks
    /// the server for strict validation since v1.25 (KEP-2885), and the object is refused; without, the field is
    /// silently dropped.
    Break FIELD_UNKNOWN = "field-unknown";

    /// A field has a value of another type than its kind wants, such as a bare number where text belongs. The server
    /// cannot read the object and refuses it.
    Break FIELD_TYPE = "field-type";

    /// The name of an object or a container has characters that names must not have, or is too long
    /// (`k8s.io/apimachinery/pkg/util/validation`). It is refused.
    Break NAME_INVALID = "name-invalid";

    /// A label's key or value, or an annotation's key, is none (`k8s.io/apimachinery/pkg/util/validation`). The object
    /// is refused.
    Break LABEL_INVALID = "label-invalid";

    /// A workload has no selector, or one that does not match the labels of its own pod template
    /// (`ValidateDeploymentSpec`). It is refused.
    Break SELECTOR_MISMATCH = "selector-mismatch";

    /// The pods of a Deployment, StatefulSet or DaemonSet are always restarted, those of a Job never or on failure; the
    /// template says something else (`ValidatePodTemplateSpecForReplicaSet`, `validateJobSpec`). It is refused.
    Break RESTART_POLICY = "restart-policy-invalid";

    /// An init container's `restartPolicy` is `Always`, which makes it a sidecar (KEP-753), or absent. Any other value
    /// is refused up to Kubernetes v1.33, and later unless it is one of those of KEP-5307, where that is switched on.
    Break INIT_RESTART_POLICY = "init-restart-policy";

    /// `imagePullPolicy` is `Always`, `IfNotPresent` or `Never`; anything else is refused (`validatePullPolicy`).
    Break PULL_POLICY = "pull-policy-invalid";

    /// Two containers of one pod have the same name, init containers included (`validateContainers`). The pod is
    /// refused.
    Break CONTAINER_DUPLICATE = "container-name-duplicate";

    /// A container names no image (`validateContainers`). A workload with it is refused.
    Break IMAGE_ABSENT = "container-without-image";

    /// A port's number is outside 1 to 65535, or its name is none: that of a container's port has at most 15 characters
    /// (RFC 6335, `IsValidPortName`). The object is refused.
    Break PORT_INVALID = "port-invalid";

    /// A Service has the same port and protocol twice, or two ports of a Service or of a container have the same name
    /// (`ValidateService`, `validateContainerPorts`). The object is refused.
    Break PORT_DUPLICATE = "port-duplicate";

    /// A container lists the same port and protocol twice. The server warns and takes it; with server-side apply, which
    /// merges by port, it is refused.
    Hygiene PORT_NUMBER_TWICE = "container-port-twice";

    /// Two containers of one pod have a port of the same name. A Service or probe that asks for the name gets the first
    /// one.
    Hygiene PORT_NAME_SHARED = "port-name-shared";

    /// A Service with several ports has one without a name (`validateServicePort`). It is refused.
    Break PORT_UNNAMED = "port-unnamed";

    /// A Service has no ports, and is neither headless nor of type ExternalName (`ValidateService`). It is refused.
    Break SERVICE_WITHOUT_PORTS = "service-without-ports";

    /// Two volumes of one pod have the same name (`ValidateVolumes`). The pod is refused.
    Break VOLUME_DUPLICATE = "volume-name-duplicate";

    /// A container mounts a volume that its pod does not have (`ValidateVolumeMounts`). The pod is refused.
    Break MOUNT_WITHOUT_VOLUME = "mount-without-volume";

    /// A container mounts two volumes at one path (`ValidateVolumeMounts`). The pod is refused.
    Break MOUNT_PATH_TWICE = "mount-path-duplicate";

    /// A variable has both `value` and `valueFrom` (`validateEnvVarValueFrom`). The pod is refused.
    Break ENV_TWO_SOURCES = "env-two-sources";

    /// A container sets a variable twice, and only the last one holds. The server warns and takes it; with server-side
    /// apply, which merges by name, it is refused.
    Degraded ENV_TWICE = "env-twice";

    /// A probe has no handler, or more than one (`validateHandler`). The pod is refused.
    Break PROBE_HANDLER = "probe-handler";

    /// An amount of a resource is no quantity (`k8s.io/apimachinery/pkg/api/resource`). The object is refused.
    Break QUANTITY_INVALID = "quantity-invalid";

    /// A container requests more of a resource than it is limited to, or another amount of one that cannot be shared,
    /// such as a GPU (`validateContainerResourceRequirements`). The pod is refused.
    Break REQUEST_ABOVE_LIMIT = "request-above-limit";
}
