//! The guide as a whole: whether it offers and asks anything, and what of it no rule looked at.

use super::{Examined, Family, Findings, Place};
use crate::{
    plan::{Action, Provider, Step},
    redact::cut,
    release::TabPattern,
};

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "guide",
    rules: ALL,
    look,
};

rules! {
    /// The guide has no tabs from which a reader could choose a model server and a gateway, as guides of its layout do:
    /// nobody can follow it, and nothing else could be looked at.
    Break OFFERS_NOTHING = "guide-offers-nothing";

    /// The guide sends no request to a model, for no reader: the step that shows that it all works is not there. Often
    /// the file that it stands in is missing.
    Break REQUEST_MISSING = "guide-request-missing";
}

rule! {
    /// A command of the guide is none that is understood here, or bash reads an error in it: what it does was not
    /// looked at, and a run of it cannot pass. It is always undecided: a person must look.
    Break NOT_UNDERSTOOD = "command-not-understood";
}

rule! {
    /// A tab stands among those of model servers or gateways, and is of none that is known: what stands in it was not
    /// looked at. It is always undecided: a layout or a provider may have to learn its title.
    Break TAB_UNKNOWN = "tab-unknown";
}

/// The most characters of a command that are shown.
const WIDEST: usize = 80;

fn look(examined: &Examined<'_>, findings: &mut Findings) {
    // A guide of ours is no part of the release.
    if examined.layout.our_guide.is_some() {
        return;
    }
    let guide = || Place::line(examined.layout.guide.as_str(), 1);
    if examined.combinations.is_empty() {
        findings
            .add(
                &OFFERS_NOTHING,
                guide(),
                "no tab is known as one of a model server, or none as one of a gateway",
            )
            .way_out("bring the tabs back, or teach the layout and the providers their new titles");
    }
    let steps = || {
        let plans = examined.combinations.iter().filter_map(|one| one.plan.as_ref().ok());
        plans.flat_map(|plan| &plan.steps)
    };
    let may_ask = |step: &Step| match &step.action {
        Action::Request(_) => true,
        Action::Unsupported { .. } => step.command.contains("curl"),
        _ => false,
    };
    let has_plans = examined.combinations.iter().any(|one| one.plan.is_ok());
    let elsewhere = examined.layout.request_page.as_ref().filter(|request| {
        let tag = examined.release.tag.as_ref();
        tag.is_some_and(|tag| tag.numbers() < request.before.numbers())
    });
    if let (Some(request), false) = (elsewhere, steps().any(may_ask)) {
        let why = format!(
            "the guide sends its readers to `{}` for a request, and that page was not followed",
            request.page
        );
        findings.undecided(&REQUEST_MISSING, guide(), why);
    } else if has_plans && !steps().any(may_ask) {
        findings
            .add(&REQUEST_MISSING, guide(), "the guide asks nothing of a model")
            .way_out("end the guide with a request, and see that the files exist that it includes");
    }
    for step in steps() {
        if let Action::Unsupported { why } = &step.action
            && step.known.is_none()
        {
            let command = cut(&step.command, WIDEST);
            let place = Place::line(step.from.file.as_str(), step.from.line);
            findings.undecided(&NOT_UNDERSTOOD, place, format!("`{command}`: {why}"));
        }
    }
    tabs(examined, findings);
}

/// Tabs beside those of variants and providers that are of neither.
fn tabs(examined: &Examined<'_>, findings: &mut Findings) {
    let Some(book) = &examined.book else { return };
    let providers = Provider::all().unwrap_or_default();
    let variants = examined.layout.variants.values();
    let of_providers = providers.iter().filter_map(|provider| provider.tab.as_ref());
    let choices: Vec<&TabPattern> = variants.chain(of_providers).collect();
    let is_choice = |title: &String| choices.iter().any(|pattern| pattern.matches(title));
    for (at, titles) in book.tab_sets() {
        if !titles.iter().any(is_choice) {
            continue;
        }
        let is_taken = |title: &String| examined.layout.tabs.iter().any(|pattern| pattern.matches(title));
        for title in titles.iter().filter(|title| !is_choice(title) && !is_taken(title)) {
            findings.undecided(
                &TAB_UNKNOWN,
                Place::line(at.file.as_str(), at.line),
                format!("the tab `{title}` is of no model server or gateway that is known"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::lint::{Place, Undecided, tests::found};

    const GUIDE: &str = "site-src/guides/index.md";

    #[rstest]
    #[case::a_command(
        "@@\n-    kubectl get gateway inference-gateway\n+    kubectl frobnicate gateway\n",
        "command-not-understood",
        "kubectl frobnicate gateway"
    )]
    #[case::an_error_in_bash(
        "@@\n-    kubectl get gateway inference-gateway\n+    kubectl get 'gateway inference-gateway\n",
        "command-not-understood",
        "bash reads an error"
    )]
    #[case::a_gateway(
        "@@\n-    kubectl get gateway inference-gateway\n+    kubectl get gateway inference-gateway\n+    ```\n+\n+=== \"Traefik\"\n+\n+    ```bash\n+    kubectl get nodes\n",
        "tab-unknown",
        "`Traefik`"
    )]
    fn what_nobody_looked_at_is_said(#[case] change: &'static str, #[case] code: &str, #[case] words: &str) {
        let findings = found(&[(GUIDE, change)]);
        let is_placed = |place: &Place| place.file == GUIDE && place.line > 1;
        let said =
            |one: &Undecided| one.code == code && one.why.contains(words) && one.place.as_ref().is_some_and(is_placed);
        assert!(findings.undecided.iter().any(said), "{:?}", findings.undecided);
    }

    #[test]
    fn a_guide_that_is_all_understood_leaves_nothing_open() {
        let codes: Vec<&str> = found(&[]).undecided.iter().map(|one| one.code).collect();
        assert!(
            !codes.contains(&"command-not-understood") && !codes.contains(&"tab-unknown"),
            "{codes:?}"
        );
    }
}
