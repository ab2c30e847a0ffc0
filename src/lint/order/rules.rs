//! The rules of the family, with their examples.

rules! {
    /// A command of kubectl names an object that no step of the reader's path makes: it ends with NotFound.
    Break OBJECT_MISSING = "command-object-missing";

    /// A command of kubectl names an object that only a later step makes: it ends with NotFound.
    Break OBJECT_LATER = "command-object-later";

    /// The reader is asked to look at the status of a route before a step has made the pool it sends to: what the guide
    /// says should be there is not there yet.
    Degraded STATUS_EARLY = "status-before-backend";

    /// A step makes an object of a kind that the release defines, and no step applies its definition: the API server
    /// does not know the kind.
    Break CRD_MISSING = "crd-not-applied";

    /// An object is applied before a step applies the CRD of its kind: the API server does not know the kind.
    Break CRD_LATER = "crd-applied-later";

    /// The cleanup leaves a helm release that the guide made: helm refuses to install the same name again.
    Degraded CLEANUP_LEAVES = "cleanup-leaves-release";
}
