//! Images: what the release's manifests and charts ask registries for.

use std::collections::{BTreeMap, BTreeSet};

use super::{Examined, Family, Findings, Rule, Severity};

mod asked;
mod known;
mod rules;

use asked::{Asked, Policy};
use known::Known;

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "images",
    rules: rules::ALL,
    look,
};

fn look(examined: &Examined<'_>, findings: &mut Findings) {
    let Some(known) = Known::read() else {
        return;
    };
    let asked = asked::asked(examined);
    for one in &asked {
        let mut judged = Judging {
            examined,
            known: &known,
            asked: one,
            findings: &mut *findings,
        };
        judged.judge();
    }
    pins(examined, &known, &asked, findings);
}

/// One image while it is judged.
struct Judging<'a, 'f> {
    examined: &'a Examined<'a>,
    known: &'a Known,
    asked: &'a Asked,
    findings: &'f mut Findings,
}

impl Judging<'_, '_> {
    fn judge(&mut self) {
        let Some(name) = &self.asked.name else {
            // What stands for something to fill in is a template for a person, not an image.
            if !(self.asked.text.starts_with('<') && self.asked.text.ends_with('>')) || self.asked.is_applied {
                self.add(
                    &rules::INVALID,
                    format!("`{}` is no name of an image", self.asked.text),
                    Severity::Degraded,
                );
            }
            return;
        };
        let tag = name.tag().unwrap_or_default();
        let image = format!("{}/{}", name.host(), name.repository());
        let is_pinned = name.digest().is_some();
        let moves = !is_pinned && self.known.floats(tag);
        let is_own = self.known.is_own(&image);
        self.policy(is_pinned, moves);
        if self.known.is_staging(&image) {
            let added = self.add(
                &rules::STAGING,
                format!("`{}` is in a staging registry", self.asked.text),
                Severity::Drift,
            );
            if moves {
                added.because(format!("and its tag `{tag}` moves"));
            }
            return;
        }
        if !self.asked.has_tag && !is_pinned {
            self.add(
                &rules::TAG_ABSENT,
                format!("`{}` has no tag, so it is `latest`", self.asked.text),
                Severity::Drift,
            )
            .way_out("name the version that was tested");
        } else if moves {
            self.add(
                &rules::TAG_FLOATING,
                format!("`{}` moves", self.asked.text),
                Severity::Drift,
            )
            .way_out("name the version that was tested");
        } else if is_own && !is_pinned {
            self.own(tag);
        } else if !is_pinned {
            self.released(&image, tag);
        }
    }

    /// An image of the project itself bears the release's tag.
    fn own(&mut self, tag: &str) {
        let Some(release) = &self.examined.release.tag else {
            return;
        };
        let text = &self.asked.text;
        let wanted = release.to_string();
        if tag == wanted {
            return;
        }
        let is_candidate_of_it = tag
            .strip_prefix(wanted.as_str())
            .is_some_and(|rest| rest.starts_with("-rc"));
        if is_candidate_of_it {
            self.add(
                &rules::CANDIDATE,
                format!("`{text}` is a release candidate's, in the final release"),
                Severity::Drift,
            )
            .because(format!("the release is {wanted}"))
            .way_out(format!("tag `{wanted}`"));
            return;
        }
        // A candidate's files already name the final release, or still the candidate before.
        let same_numbers = tag
            .parse::<crate::release::Tag>()
            .is_ok_and(|tag| tag.numbers() == release.numbers());
        if !same_numbers {
            self.add(
                &rules::OWN_TAG,
                format!("`{text}` is not of this release"),
                Severity::Drift,
            )
            .because(format!("the release is {wanted}, and this image is one of its own"))
            .way_out(format!("tag `{wanted}`"));
        }
    }

    /// What is known of the tags of other projects' images.
    fn released(&mut self, image: &str, tag: &str) {
        let text = &self.asked.text;
        if let Some(form) = self.known.form_of(image).filter(|form| !form.allows(tag)) {
            self.add(
                &rules::TAG_FORM,
                format!("`{text}` has a tag of a form that this image never has"),
                Severity::Degraded,
            )
            .because(form.why.clone());
        } else if let Some(never) = self.known.never_released(image, tag) {
            self.add(
                &rules::UNRELEASED,
                format!("`{text}` names a version that was never released"),
                Severity::Drift,
            )
            .because(never.why.clone());
        }
    }

    fn policy(&mut self, is_pinned: bool, moves: bool) {
        let Some(Policy { said, pointer }) = &self.asked.policy else {
            return;
        };
        let place = self.asked.place_of(self.examined, pointer);
        let (rule, message, why) = match said.as_str() {
            "Always" if is_pinned => (
                &rules::POLICY_NEEDLESS,
                format!("`Always` pulls `{}` again and again", self.asked.text),
                "it is pinned by digest, and a digest never becomes another image",
            ),
            "IfNotPresent" if moves => (
                &rules::POLICY_STALE,
                format!(
                    "with `IfNotPresent` a node keeps whichever `{}` it has",
                    self.asked.text
                ),
                "its tag moves, so two nodes may run two versions",
            ),
            _ => return,
        };
        self.findings.add(rule, place, message).because(why);
    }

    /// Adds a finding at the image; `elsewhere` is how bad it is at most where nothing of a plan runs it.
    fn add(&mut self, rule: &Rule, message: String, elsewhere: Severity) -> &mut super::Diagnostic {
        let added = self.findings.add(rule, self.asked.place(self.examined), message);
        if !self.asked.is_applied {
            added.at_most(elsewhere);
        }
        added
    }
}

/// Images that different files of one release pin to different versions.
fn pins(examined: &Examined<'_>, known: &Known, asked: &[Asked], findings: &mut Findings) {
    let mut by_image: BTreeMap<String, BTreeMap<&str, Vec<&Asked>>> = BTreeMap::new();
    for one in asked {
        let Some(name) = one.name.as_ref().filter(|name| name.digest().is_none() && one.has_tag) else {
            continue;
        };
        let image = format!("{}/{}", name.host(), name.repository());
        let tag = name.tag().unwrap_or_default();
        if !known.is_own(&image) && !known.floats(tag) {
            by_image.entry(image).or_default().entry(tag).or_default().push(one);
        }
    }
    for (image, tags) in by_image.into_iter().filter(|(_, tags)| tags.len() > 1) {
        let files_of = |of: &[&Asked]| of.iter().map(|one| one.file().to_owned()).collect::<BTreeSet<_>>();
        // The version that most files have is the meant one, and of several such the one that a plan runs.
        let meant = tags
            .iter()
            .max_by_key(|(_, of)| (of.iter().any(|one| one.is_applied), files_of(of).len()));
        let Some((meant, with)) = meant else { continue };
        for (tag, of) in tags.iter().filter(|(tag, _)| *tag != meant) {
            let Some(first) = of.first() else { continue };
            findings
                .add(
                    &rules::PINS,
                    first.place(examined),
                    format!("`{image}` is `{tag}` here and `{meant}` elsewhere"),
                )
                .because(format!(
                    "`{meant}`: {}",
                    files_of(with).into_iter().collect::<Vec<_>>().join(", ")
                ));
        }
    }
}
