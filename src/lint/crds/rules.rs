//! The rules of the family.

rules! {
    /// A definition is not named after what it defines, `PLURAL.GROUP` (`ValidateCustomResourceDefinition`). It is
    /// refused.
    Break NAME = "crd-name";

    /// A definition stores none of its versions, or more than one (`ValidateCustomResourceDefinition`). It is refused.
    Break STORAGE = "crd-storage";

    /// The `bundle-version` annotation of a definition is not the release's tag: a gateway or a user who asks a cluster
    /// which release its definitions are of is told another.
    Drift BUNDLE_VERSION = "bundle-version-other";

    /// The kustomization of the definitions names a file that is not there, so that the bundle that the guide applies
    /// cannot be built.
    Break RESOURCE = "crd-resource-missing";

    /// A definition lies beside those of the bundle, and the kustomization does not name it: no release file holds it.
    /// Where the guide creates an object of its kind, that step fails.
    Break LEFT_OUT = "crd-left-out";

    /// An object is of a kind or version that the release's own definitions do not serve: applying it ends with `no
    /// matches for kind`.
    Break NOT_SERVED = "kind-not-served";

    /// An object has a field that the definition of its kind does not know, lacks one that it requires, or has a value
    /// that it does not allow. It is refused.
    Break INVALID = "object-invalid";
}
