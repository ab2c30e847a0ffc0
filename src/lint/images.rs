//! Images: what the release's manifests and charts ask registries for.

use std::collections::{BTreeMap, BTreeSet};

use super::{Diagnostic, Examined, Family, Findings, Rule, Severity};
use crate::{manifest::ImageRef, release::Tag};

mod known;
mod rules;
mod uses;

use known::Known;
use uses::{ImageUse, Policy};

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
    let uses = uses::all_uses(examined);
    for image in &uses {
        let mut checker = Checker {
            examined,
            known: &known,
            image,
            findings: &mut *findings,
        };
        checker.check();
    }
    pins(examined, &known, &uses, findings);
}

/// What a name pins an image to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// A digest: one image for ever.
    Digest,
    /// A tag that stays where it is, as far as is known.
    Tag,
    /// A tag that is moved from image to image, or none.
    Moving,
}

impl Version {
    fn of(name: &ImageRef, known: &Known) -> Self {
        match name.tag().unwrap_or_default() {
            _ if name.digest().is_some() => Self::Digest,
            tag if known.floats(tag) => Self::Moving,
            _ => Self::Tag,
        }
    }
}

/// One image while it is checked.
struct Checker<'a, 'f> {
    examined: &'a Examined<'a>,
    known: &'a Known,
    image: &'a ImageUse,
    findings: &'f mut Findings,
}

impl Checker<'_, '_> {
    fn check(&mut self) {
        let text = &self.image.text;
        let Some(name) = &self.image.name else {
            // What stands for something to fill in is a template for a person, not an image.
            if !(text.starts_with('<') && text.ends_with('>')) || self.image.is_applied {
                let message = format!("`{text}` is no name of an image");
                self.add(&rules::INVALID, message, Severity::Degraded);
            }
            return;
        };
        let tag = name.tag().unwrap_or_default();
        let image = format!("{}/{}", name.host(), name.repository());
        let version = Version::of(name, self.known);
        self.policy(version);
        if self.known.is_staging(&image) {
            let message = format!("`{text}` is in a staging registry");
            let added = self.add(&rules::STAGING, message, Severity::Drift);
            if version == Version::Moving {
                added.because(format!("and its tag `{tag}` moves"));
            }
            return;
        }
        match version {
            Version::Digest => {}
            _ if !self.image.has_tag => {
                let message = format!("`{text}` has no tag, so it is `latest`");
                self.add(&rules::TAG_ABSENT, message, Severity::Drift)
                    .way_out("name the version that was tested");
            }
            Version::Moving => {
                self.add(&rules::TAG_FLOATING, format!("`{text}` moves"), Severity::Drift)
                    .way_out("name the version that was tested");
            }
            Version::Tag if self.known.is_own(&image) => self.own(tag),
            Version::Tag => self.released(&image, tag),
        }
    }

    /// An image of the project itself bears the release's tag.
    fn own(&mut self, tag: &str) {
        let Some(release) = &self.examined.release.tag else {
            return;
        };
        let text = &self.image.text;
        let wanted = release.to_string();
        if tag == wanted {
            return;
        }
        let rest = tag.strip_prefix(wanted.as_str());
        if rest.is_some_and(|rest| rest.starts_with("-rc")) {
            let message = format!("`{text}` is a release candidate's, in the final release");
            self.add(&rules::CANDIDATE, message, Severity::Drift)
                .because(format!("the release is {wanted}"))
                .way_out(format!("tag `{wanted}`"));
            return;
        }
        // A candidate's files already name the final release, or still the candidate before.
        let tag = tag.parse::<Tag>();
        if !tag.is_ok_and(|tag| tag.numbers() == release.numbers()) {
            let message = format!("`{text}` is not of this release");
            self.add(&rules::OWN_TAG, message, Severity::Drift)
                .because(format!("the release is {wanted}, and this image is one of its own"))
                .way_out(format!("tag `{wanted}`"));
        }
    }

    /// What is known of the tags of other projects' images.
    fn released(&mut self, image: &str, tag: &str) {
        let text = &self.image.text;
        if let Some(form) = self.known.form_of(image).filter(|form| !form.allows(tag)) {
            let message = format!("`{text}` has a tag of a form that this image never has");
            self.add(&rules::TAG_FORM, message, Severity::Degraded)
                .because(form.why.as_str());
        } else if let Some(never) = self.known.never_released(image, tag) {
            let message = format!("`{text}` names a version that was never released");
            self.add(&rules::UNRELEASED, message, Severity::Drift)
                .because(never.why.as_str());
        }
    }

    fn policy(&mut self, version: Version) {
        let Some(Policy { value, pointer }) = &self.image.policy else {
            return;
        };
        let text = &self.image.text;
        let (rule, message, why) = match (value.as_str(), version) {
            ("Always", Version::Digest) => (
                &rules::POLICY_NEEDLESS,
                format!("`Always` pulls `{text}` again and again"),
                "it is pinned by digest, and a digest never becomes another image",
            ),
            ("IfNotPresent", Version::Moving) => (
                &rules::POLICY_STALE,
                format!("with `IfNotPresent` a node keeps whichever `{text}` it has"),
                "its tag moves, so two nodes may run two versions",
            ),
            _ => return,
        };
        let place = self.image.place_of(self.examined, pointer);
        self.findings.add(rule, place, message).because(why);
    }

    /// Adds a finding at the image; `elsewhere` is how bad it is at most where nothing of a plan runs it.
    fn add(&mut self, rule: &Rule, message: String, elsewhere: Severity) -> &mut Diagnostic {
        let added = self.findings.add(rule, self.image.place(self.examined), message);
        if !self.image.is_applied {
            added.at_most(elsewhere);
        }
        added
    }
}

/// Images that different files of one release pin to different versions.
fn pins(examined: &Examined<'_>, known: &Known, uses: &[ImageUse], findings: &mut Findings) {
    let mut by_image: BTreeMap<String, BTreeMap<&str, Vec<&ImageUse>>> = BTreeMap::new();
    for one in uses {
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
        let files_of = |of: &[&ImageUse]| of.iter().map(|one| one.file().to_owned()).collect::<BTreeSet<_>>();
        // The version that most files have is the meant one, and of several such the one that a plan runs.
        let meant = tags
            .iter()
            .max_by_key(|(_, of)| (of.iter().any(|one| one.is_applied), files_of(of).len()));
        let Some((meant, with)) = meant else { continue };
        for (tag, of) in tags.iter().filter(|(tag, _)| *tag != meant) {
            let Some(first) = of.first() else { continue };
            let elsewhere: Vec<String> = files_of(with).into_iter().collect();
            let message = format!("`{image}` is `{tag}` here and `{meant}` elsewhere");
            findings
                .add(&rules::PINS, first.place(examined), message)
                .because(format!("`{meant}`: {}", elsewhere.join(", ")));
        }
    }
}
