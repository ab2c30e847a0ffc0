//! The rules of the family, with their examples.

rules! {
    /// A command of the guide names a file of the release's own tag that the release does not have: the command ends
    /// with 404. In the cleanup it is milder: the quickstart has worked by then.
    Break FILE_MISSING = "guide-file-missing";

    /// A command of a release's guide names a file of a branch: a reader gets what the branch holds that day, and a
    /// failure once the file moves.
    BreakLater REFERENCE_BRANCH = "guide-reference-branch";

    /// A command of a release's guide names an asset of the latest release: with the next release a reader of this
    /// guide gets the other one's.
    BreakLater REFERENCE_LATEST = "guide-reference-latest";

    /// A command of a release's guide names a file of another tag of the same project: what is documented is not what
    /// was released.
    Drift REFERENCE_OTHER_TAG = "guide-reference-other-tag";

    /// The guide of a release computes the newest release and uses the files of that one: with the next release, and
    /// before this one is published, its commands lead to another release's files.
    BreakLater RELEASE_COMPUTED = "guide-release-computed";

    /// The version of a tool is what a page on the web says at that moment: a later version was never tried with this
    /// release.
    BreakLater TOOL_VERSION_COMPUTED = "tool-version-computed";

    /// A chart is installed without a version, or in one that is built anew from a branch: a later one was never tried
    /// with this release.
    BreakLater CHART_UNPINNED = "chart-unpinned";

    /// The guide of a release installs the chart, and so the endpoint picker, of another release of the same project:
    /// what was released is not what a reader runs.
    Degraded CHART_OTHER_RELEASE = "chart-other-release";

    /// The guide installs the chart of another release, whose endpoint picker watches a kind that this release's CRDs
    /// do not have: its cache never syncs and it never becomes ready. Which kinds it watches is data of the layouts.
    Break CHART_EPP_FOREIGN = "chart-picker-lacks-crd";

    /// The guide installs a chart of the project that the release does not have.
    Break CHART_MISSING = "chart-missing";

    /// A value is set that the chart does not read: helm takes it without a word and nothing changes.
    Degraded CHART_VALUE_UNKNOWN = "chart-value-unknown";

    /// The guide applies the CRDs of another release, which lack a kind that the endpoint picker of this one watches: it
    /// never becomes ready. What each release's endpoint picker watches is data of its layout.
    Break BUNDLE_LACKS_KIND = "guide-crds-lack-kind";

    /// A page includes a file that the release does not have. The site leaves it out without a word (the Snippets
    /// extension does not check paths), so the published page lacks what it should hold.
    Degraded INCLUDE_MISSING = "include-missing";

    /// An included page begins with a byte order mark, and the line behind it with a tab, a heading, a fence or an include:
    /// the site takes the line for text (the Snippets extension reads files as they are, `MkDocs` only its own pages
    /// without the mark).
    Break BYTE_ORDER_MARK = "byte-order-mark";

    /// A set of tabs lacks the one of a variant or provider that another set of the same guide offers: its reader finds
    /// no command there.
    Degraded TAB_MISSING = "tab-missing";

    /// A page holds a line that git writes where a merge has a conflict: both sides stand in the page, or halves of
    /// them.
    Degraded CONFLICT_MARKER = "conflict-marker";

    /// A block of code is opened and never closed: the rest of the page is shown as code.
    Degraded FENCE_OPEN = "fence-never-closed";

    /// A page links to another page of the site that the release does not have.
    Hygiene LINK_MISSING = "page-link-missing";

    /// The guide of a release links to a manifest of a branch, which may say something else than the release's.
    Hygiene LINK_BRANCH = "page-link-branch";
}
