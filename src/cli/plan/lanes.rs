//! `quickproof plan --lanes`: the combinations that a release's guide offers, for what starts a job for each.

use std::fmt::{self, Write};

use serde::Serialize;
use serde_json::json;

use super::amounts;
use crate::{
    host::shell_quoted,
    plan::{self, Offer, Options, PlanError, Resources},
    release::{Layout, Release},
};

/// The version of what `-o json` writes; raised when a field changes its meaning.
pub(crate) const LANES_VERSION: u32 = 1;

/// The lanes of a release.
#[derive(Debug, Serialize)]
pub(super) struct LanesView {
    lanes_version: u32,
    /// The tag; null where no release is meant.
    tag: Option<String>,
    /// Those of which a plan can be drawn.
    lanes: Vec<LaneView>,
    /// Those of which none can, though the guide offers them: whoever adds the lanes up misses them.
    unplanned: Vec<Unplanned>,
    /// Those that are nothing for a job that makes a cluster of its own: nobody misses them.
    left_out: Vec<LeftOut>,
}

/// A lane: what `verify --variant VARIANT --provider PROVIDER` carries out, and what a cluster is asked for.
#[derive(Debug, Serialize)]
struct LaneView {
    name: String,
    variant: String,
    provider: String,
    asks: Resources,
}

/// A lane that the guide offers and that cannot be planned.
#[derive(Debug, Serialize)]
struct Unplanned {
    name: String,
    variant: String,
    provider: String,
    why: String,
}

/// A lane for which no job is started.
#[derive(Debug, Serialize)]
struct LeftOut {
    name: String,
    why: String,
}

fn name(offer: &Offer) -> String {
    format!("{}-{}", offer.provider, offer.variant)
}

impl LanesView {
    /// The lanes of a release: all that its guide offers, less those that are not chosen.
    ///
    /// # Errors
    /// The guide cannot be read.
    pub(super) fn of(
        release: &Release,
        layout: &Layout,
        options: &Options,
        chosen: impl Fn(&Offer) -> bool,
    ) -> Result<Self, PlanError> {
        let mut view = Self {
            lanes_version: LANES_VERSION,
            tag: release.tag.as_ref().map(ToString::to_string),
            lanes: Vec::new(),
            unplanned: Vec::new(),
            left_out: Vec::new(),
        };
        for offer in plan::offers(release, layout)?.into_iter().filter(chosen) {
            let options = Options {
                variant: offer.variant.clone(),
                provider: offer.provider.clone(),
                ..options.clone()
            };
            let name = name(&offer);
            match plan::draw(release, &options) {
                Ok(plan) if plan.is_managed => view.left_out.push(LeftOut {
                    name,
                    why: "a job makes a cluster of its own, and the provider comes with those of its cloud only"
                        .to_owned(),
                }),
                Ok(plan) => view.lanes.push(LaneView {
                    name,
                    asks: plan.asks_for().0,
                    variant: offer.variant,
                    provider: offer.provider,
                }),
                Err(error) => view.unplanned.push(Unplanned {
                    name,
                    variant: offer.variant,
                    provider: offer.provider,
                    why: error.to_string(),
                }),
            }
        }
        Ok(view)
    }

    /// Why there is nothing to start, where there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// For people: a line each.
    pub(super) fn print(&self, out: &mut dyn Write) -> fmt::Result {
        let names = self.lanes.iter().map(|lane| &lane.name);
        let width = names
            .chain(self.unplanned.iter().map(|lane| &lane.name))
            .chain(self.left_out.iter().map(|lane| &lane.name))
            .map(String::len)
            .max();
        let width = width.unwrap_or(0);
        writeln!(
            out,
            "{} lanes of {}",
            self.lanes.len(),
            self.tag.as_deref().unwrap_or("the embedded quickstart")
        )?;
        for lane in &self.lanes {
            writeln!(out, "  {:width$}  {}", lane.name, amounts(&lane.asks))?;
        }
        for lane in &self.unplanned {
            writeln!(out, "  {:width$}  cannot be planned: {}", lane.name, lane.why)?;
        }
        for lane in &self.left_out {
            writeln!(out, "  {:width$}  left out: {}", lane.name, lane.why)?;
        }
        Ok(())
    }

    /// For `strategy.matrix` of a GitHub workflow: one line, as an output of a step is. A lane that cannot be planned gets a job all
    /// the same, which says so.
    pub(super) fn github(&self) -> String {
        let unplanned = self.unplanned.iter().map(|lane| {
            json!({"name": lane.name, "variant": lane.variant, "provider": lane.provider,
                "gpus": 0, "cpus": 0, "memory_gib": 0})
        });
        let include: Vec<_> = self
            .lanes
            .iter()
            .map(|lane| {
                json!({
                    "name": lane.name,
                    "variant": lane.variant,
                    "provider": lane.provider,
                    "gpus": lane.asks.gpus,
                    "cpus": lane.asks.cpu_millis.div_ceil(1000),
                    "memory_gib": lane.asks.memory_bytes.div_ceil(1 << 30),
                })
            })
            .chain(unplanned)
            .collect();
        json!({ "include": include }).to_string()
    }

    /// For Prow: a periodic job each. What only who runs Prow knows stands in capitals.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub(super) fn prow(&self, calls: &Calls, out: &mut dyn Write) -> fmt::Result {
        let (_, shipped) = PERIODIC.split_once("periodics:\n").unwrap_or_default();
        writeln!(
            out,
            "# Written by `quickproof plan --lanes -o prow`. Words in capitals are yours to fill in.\nperiodics:"
        )?;
        let planned = self
            .lanes
            .iter()
            .map(|lane| (&lane.name, &lane.variant, &lane.provider, lane.asks));
        let unplanned = self.unplanned.iter().map(|lane| {
            let asks = Resources::default();
            (&lane.name, &lane.variant, &lane.provider, asks)
        });
        for (name, variant, provider, asks) in planned.chain(unplanned) {
            let job = format!("periodic-{}-quickstart-{}-{name}", calls.repository.1, calls.branch);
            for line in shipped.lines() {
                match line.trim_start().split_once(' ').unwrap_or((line.trim_start(), "")) {
                    ("-", rest) if rest.starts_with("name:") => writeln!(out, "- name: {job}")?,
                    ("testgrid-tab-name:", _) => writeln!(out, "    testgrid-tab-name: {job}")?,
                    ("description:", _) => {
                        let what =
                            format!("Carries out the quickstart on {provider} with {variant}, as a reader would");
                        writeln!(out, "    description: {what}")?;
                    }
                    ("-", rest) if rest.starts_with("{org:") => writeln!(out, "  - {}", calls.reference())?,
                    ("&&", rest) if rest.starts_with("quickproof verify") => {
                        writeln!(out, "        && {}", calls.of(variant, provider))?;
                    }
                    ("limits:" | "requests:", _) => {
                        let which = line.trim_start().split(':').next().unwrap_or_default();
                        writeln!(out, "        {which}: {}", amounts_of_job(&asks))?;
                    }
                    _ => writeln!(out, "{line}")?,
                }
            }
        }
        Ok(())
    }
}

/// What a job is given. The kind node, its control plane and the gateway are not among what the plan asks for; nor are charts, whose
/// needs are not known, so that it is never less than the shipped job has.
fn amounts_of_job(asks: &Resources) -> String {
    let cpus = (asks.cpu_millis.div_ceil(1000) + 2).max(4);
    let memory = (asks.memory_bytes.div_ceil(1 << 30) + 6).max(12);
    let gpus = match asks.gpus {
        0 => String::new(),
        gpus => format!(", nvidia.com/gpu: \"{gpus}\""),
    };
    format!("{{cpu: \"{cpus}\", memory: {memory}Gi{gpus}}}")
}

/// The shipped job of Prow, of which that of each lane is made.
const PERIODIC: &str = include_str!("../../../manifests/lanes/prow/periodic.yaml");

/// How jobs call quickproof: with what `plan` was called with.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    /// Owner and name.
    pub(super) repository: (String, String),
    /// The branch whose tip jobs check out.
    pub(super) branch: String,
    /// Arguments of `verify` that say what is tested, before and after the lane's own.
    pub(super) source: Vec<String>,
    pub(super) options: Vec<String>,
}

impl Calls {
    /// The command line of one lane.
    fn of(&self, variant: &str, provider: &str) -> String {
        let lane = ["--variant", variant, "--provider", provider].map(str::to_owned);
        let words = self.source.iter().chain(&lane).chain(&self.options);
        let words: Vec<String> = words.map(|word| shell_quoted(word)).collect();
        format!("quickproof verify {} --images pull", words.join(" "))
    }

    /// What a job checks out.
    fn reference(&self) -> String {
        let (org, repo) = &self.repository;
        let alias = match org.as_str() {
            "kubernetes-sigs" => format!(", path_alias: sigs.k8s.io/{repo}"),
            _ => String::new(),
        };
        format!("{{org: {org}, repo: {repo}, base_ref: {}{alias}}}", self.branch)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn jobs(calls: &Calls, lanes: Vec<LaneView>, unplanned: Vec<Unplanned>) -> Vec<Value> {
        let view = LanesView {
            lanes_version: LANES_VERSION,
            tag: None,
            lanes,
            unplanned,
            left_out: Vec::new(),
        };
        let mut text = String::new();
        view.prow(calls, &mut text).unwrap();
        let jobs: Value = serde_saphyr::from_str(&text).unwrap();
        jobs["periodics"].as_array().unwrap().clone()
    }

    #[test]
    fn a_lane_is_the_shipped_job_with_what_is_its_own() {
        let shipped: Value = serde_saphyr::from_str(PERIODIC).unwrap();
        let shipped = &shipped["periodics"][0];
        let calls = Calls {
            repository: ("llm-d".to_owned(), "llm-d-router".to_owned()),
            branch: "next".to_owned(),
            source: ["--branch", "next", "--repository", "llm-d/llm-d-router"]
                .map(str::to_owned)
                .into(),
            options: ["--set", "a=b c"].map(str::to_owned).into(),
        };
        let lane = LaneView {
            name: "istio-gpu".to_owned(),
            variant: "gpu".to_owned(),
            provider: "istio".to_owned(),
            asks: Resources {
                gpus: 3,
                cpu_millis: 51_000,
                memory_bytes: 100 << 30,
                ..Resources::default()
            },
        };
        let unplanned = Unplanned {
            name: "istio-cpu".to_owned(),
            variant: "cpu".to_owned(),
            provider: "istio".to_owned(),
            why: String::new(),
        };
        let jobs = jobs(&calls, vec![lane], vec![unplanned]);
        assert_eq!(jobs.len(), 2, "one that cannot be planned has a job, which says so");
        let (job, container) = (&jobs[0], &jobs[0]["spec"]["containers"][0]);
        assert_eq!(job["name"], "periodic-llm-d-router-quickstart-next-istio-gpu");
        assert_eq!(job["annotations"]["testgrid-tab-name"], job["name"]);
        let reference = serde_json::json!({"org": "llm-d", "repo": "llm-d-router", "base_ref": "next"});
        assert_eq!(job["extra_refs"], serde_json::json!([reference]));
        let script = container["args"][2].as_str().unwrap();
        let (_, call) = script.split_once("&& quickproof ").unwrap();
        assert_eq!(
            call,
            "verify --branch next --repository llm-d/llm-d-router --variant gpu --provider istio --set 'a=b c' --images pull"
        );
        let amounts = serde_json::json!({"cpu": "53", "memory": "106Gi", "nvidia.com/gpu": "3"});
        assert_eq!(
            container["resources"],
            serde_json::json!({"limits": amounts, "requests": amounts})
        );
        for kept in ["interval", "cluster", "decorate", "decoration_config", "labels"] {
            assert_eq!(job[kept], shipped[kept], "{kept}");
        }
        assert_eq!(container["image"], shipped["spec"]["containers"][0]["image"]);
    }
}
