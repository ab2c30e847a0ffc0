//! The rules of the family.

rules! {
    /// An image has a tag that moves (`latest`, a branch): what runs tomorrow is not what was tested.
    BreakLater TAG_FLOATING = "image-tag-floating";

    /// An image has no tag, which means `latest`: what runs tomorrow is not what was tested.
    BreakLater TAG_ABSENT = "image-tag-absent";

    /// An image comes from a staging registry or from a continuous build. Nothing there was promoted, and it is deleted
    /// after some time.
    BreakLater STAGING = "image-staging";

    /// An image that the release publishes itself bears another tag than the release: the quickstart of one release
    /// runs a part of another.
    Degraded OWN_TAG = "image-own-tag-other";

    /// A final release names an image of one of its release candidates, which is not what was promoted.
    Degraded CANDIDATE = "image-candidate-in-final";

    /// The tag of an image has a form that this project's tags never have, such as a missing `v`, so there is no such
    /// image and the pod never starts. Which form an image's tags have is data: `manifests/lint/images.yaml`.
    Break TAG_FORM = "image-tag-form";

    /// An image names a version that its project never released, so that it either does not exist or is nobody's
    /// release. Which versions these are is data: `manifests/lint/images.yaml`.
    Degraded UNRELEASED = "image-version-unreleased";

    /// The name of an image is none (`distribution/reference`): the kubelet says InvalidImageName, and the pod never
    /// starts.
    Break INVALID = "image-invalid";

    /// `imagePullPolicy: Always` for an image that is pinned by digest: each start asks the registry for what cannot
    /// have changed, and fails when it does not answer.
    Hygiene POLICY_NEEDLESS = "image-pull-needless";

    /// `imagePullPolicy: IfNotPresent` for a tag that moves: each node keeps whichever image it saw first.
    Drift POLICY_STALE = "image-pull-stale";

    /// Files of one release pin one image to different versions: what was tested with one of them was not with the
    /// other.
    Drift PINS = "image-pins-differ";
}
