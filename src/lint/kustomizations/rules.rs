//! The rules of the family, with their examples.

rules! {
    /// A kustomization names a file or a directory that the release does not have, or a directory without a kustomization:
    /// `kubectl apply -k` ends with an error for everything that leads there.
    Break REFERENCE_MISSING = "kustomization-reference-missing";

    /// A kustomization names a file that stands neither in its own directory nor below it: kustomize reads no such file, and
    /// `kubectl apply -k` has no way to allow it. A directory with a kustomization may stand anywhere.
    Break REFERENCE_OUTSIDE = "kustomization-reference-outside";

    /// A kustomization names a component as a resource, or a plain kustomization as a component, or leads back to itself:
    /// kustomize refuses it.
    Break REFERENCE_KIND = "kustomization-reference-kind";

    /// A kustomization is no YAML: nothing that leads there can be built.
    Break UNREADABLE = "kustomization-unreadable";

    /// A kustomization of a release takes files of a branch, or of no named version, from the web: with the next change there
    /// a reader gets something else than what was tried.
    BreakLater REMOTE_FLOATING = "kustomization-remote-floating";

    /// A command applies a directory that the release does not have, or that holds no kustomization: it ends with an error.
    Break TARGET_MISSING = "kustomization-missing";

    /// A command names a file of values or a manifest that the release does not have, and no other command makes: it ends
    /// with an error.
    Break FILE_MISSING = "command-file-missing";
}
