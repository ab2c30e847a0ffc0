//! Scaling what the run made, and putting it back: written down before, awaited after.

use k8s_openapi::api::apps::v1::Deployment;

use super::Deployer;
use crate::{
    cluster::{
        inventory::{HelmRelease, Made},
        resources::{Trouble, persistently},
        scale::{Asked, Scaled},
        watching::{Progress, WaitError},
    },
    record::Stage,
    verdict::{Cause, CauseCode},
};

/// The annotations by which helm says of which release an object is. Source: helm v3 and v4, `pkg/action/validate.go`.
const HELM_RELEASE: [&str; 2] = ["meta.helm.sh/release-name", "meta.helm.sh/release-namespace"];

impl Deployer {
    /// Whether a Deployment may be changed: in a cluster of ours every one, elsewhere those that this run made itself or by
    /// a chart.
    pub(crate) fn may_change(&self, deployment: &Deployment) -> bool {
        let uid = deployment.metadata.uid.as_deref().unwrap_or_default();
        self.is_ours(uid) || is_of_a_chart(deployment, &self.site.inventory.made())
    }

    /// Scales a Deployment and waits until it has so many pods, all of them Ready. What it had before is in the inventory
    /// and in the journal before anything is changed.
    ///
    /// # Errors
    /// Why it does not stand at this number; the cause is never the release.
    pub(crate) async fn scale(&self, scaled: &Scaled, to: i32) -> Result<(), Cause> {
        let title = scaled.title();
        let noted = scaled.noted(self.site.reach.clone());
        let way_back = noted.by_hand();
        self.site.inventory.add(noted).map_err(|error| {
            Cause::new(CauseCode::HostToolFailed).because(format!("the inventory cannot be written: {error}"))
        })?;
        self.site.events.note(
            Stage::Scenarios,
            format!(
                "{title} is scaled from {} to {to}; should it stay so: {way_back}",
                scaled.replicas
            ),
        );
        self.scale_and_await(scaled, to).await
    }

    /// Puts a Deployment back to what it had, and waits until it stands there.
    ///
    /// # Errors
    /// Why it does not, and the way out.
    pub(crate) async fn scale_back(&self, scaled: &Scaled) -> Result<(), Cause> {
        let noted = scaled.noted(self.site.reach.clone());
        let back = self.scale_and_await(scaled, scaled.replicas).await;
        back.map_err(|cause| Cause {
            code: CauseCode::ChangeNotTakenBack,
            by: None,
            evidence: cause
                .evidence
                .into_iter()
                .chain([format!("by hand: {}", noted.by_hand())])
                .collect(),
        })?;
        // What stays noted although it is done costs `reap` one look.
        let _ = self.site.inventory.remove(&noted);
        Ok(())
    }

    async fn scale_and_await(&self, scaled: &Scaled, to: i32) -> Result<(), Cause> {
        let title = scaled.title();
        let asked = persistently(self.site.away_limit(), || scaled.ask(&self.site.client, to))
            .await
            .map_err(|trouble| unscaled(&title, trouble))?;
        let Asked::Generation(generation) = asked else {
            let why = format!("{title} is gone, or another one has taken its name");
            return Err(Cause::new(CauseCode::ObjectConflict).because(why));
        };
        let question = |watches: &_| match scaled.stands_at(watches, to, generation) {
            Ok(()) => Progress::Ready(()),
            Err(Some(seen)) => Progress::NotYet(seen),
            Err(None) => Progress::Never(()),
        };
        let (events, watches) = (&self.site.events, &self.site.watches);
        let waited = watches
            .until(self.site.step_limit, question, |seen| {
                events.waiting(Stage::Scenarios, format!("{title} at {to} pods"), seen);
            })
            .await;
        waited.map_err(|error| match error {
            WaitError::Never(()) => {
                Cause::new(CauseCode::ObjectConflict).because(format!("{title} is gone while it is scaled to {to}"))
            }
            WaitError::TimedOut { after_ms, seen } => Cause::new(CauseCode::StepTimedOut).because(format!(
                "{title} is not at {to} pods after {} s: {seen}",
                after_ms / 1000
            )),
            WaitError::ApiServerAway { trouble } => trouble.cause(),
        })
    }
}

/// Why a Deployment could not be scaled: never the release's fault, since nothing of it asks for that.
fn unscaled(title: &str, trouble: Trouble) -> Cause {
    match trouble {
        Trouble::Refused { code, message } => {
            Cause::new(CauseCode::ObjectForbidden).because(format!("{title}: {code} {message}"))
        }
        Trouble::Away { cause, what, .. } => Cause::new(cause).because(what),
    }
}

/// Whether a chart that this run installed made it, as helm notes on every object.
fn is_of_a_chart(deployment: &Deployment, made: &[Made]) -> bool {
    let annotations = deployment.metadata.annotations.as_ref();
    let noted = HELM_RELEASE.map(|name| annotations.and_then(|annotations| annotations.get(name)));
    let [Some(release), Some(of)] = noted else { return false };
    let is_it = |noted: &HelmRelease| noted.name == *release && noted.namespace == *of;
    made.iter()
        .any(|made| matches!(made, Made::HelmRelease(noted) if is_it(noted)))
}

#[cfg(test)]
mod tests;
