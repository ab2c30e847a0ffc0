//! `quickproof plan --lanes`: the combinations that a release's guide offers, for what starts a job for each.

use std::fmt::{self, Write};

use serde::Serialize;
use serde_json::json;

use super::amounts;
use crate::{
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
    /// Those of which none can.
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

/// A lane that cannot be planned.
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
                Err(error) => view.left_out.push(LeftOut {
                    name,
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
        for lane in &self.left_out {
            writeln!(out, "  {:width$}  left out: {}", lane.name, lane.why)?;
        }
        Ok(())
    }

    /// For `strategy.matrix` of a GitHub workflow: one line, as an output of a step is.
    pub(super) fn github(&self) -> String {
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
            .collect();
        json!({ "include": include }).to_string()
    }

    /// For Prow: a periodic job each, which carries the tip of `main` out. What only who runs Prow knows stands in capitals.
    pub(super) fn prow(&self, out: &mut dyn Write) -> fmt::Result {
        let (tab, job) = ("sig-network-gateway-api", "periodic-inference-extension-quickstart");
        writeln!(
            out,
            "# Written by `quickproof plan --lanes -o prow`. Words in capitals are yours to fill in.\nperiodics:"
        )?;
        for lane in &self.lanes {
            let LaneView {
                name,
                variant,
                provider,
                asks,
            } = lane;
            // The kind node, its control plane and the gateway are not among what the plan asks for.
            let cpus = asks.cpu_millis.div_ceil(1000) + 2;
            let memory = asks.memory_bytes.div_ceil(1 << 30) + 6;
            write!(
                out,
                r#"- name: {job}-{name}
  interval: 12h
  cluster: CLUSTER
  decorate: true
  decoration_config: {{timeout: 1h}}
  extra_refs:
  - {{org: kubernetes-sigs, repo: gateway-api-inference-extension, base_ref: main, path_alias: sigs.k8s.io/gateway-api-inference-extension}}
  labels: {{preset-dind-enabled: "true"}}
  annotations:
    testgrid-dashboards: {tab}
    testgrid-tab-name: {job}-{name}
    description: Carries out main's quickstart on {provider} with {variant}, as a reader would
  spec:
    containers:
    - image: KUBEKINS
      command: [runner.sh]
      args:
      - bash
      - -c
      - >-
        curl -fsSLo /tmp/quickproof.tar.gz URL
        && echo 'SHA256  /tmp/quickproof.tar.gz' | sha256sum -c
        && tar xzf /tmp/quickproof.tar.gz --strip-components=1 -C /usr/local/bin
        && quickproof verify --branch main --variant {variant} --provider {provider} --images pull
      securityContext: {{privileged: true}}
      resources:
        limits: {{cpu: "{cpus}", memory: {memory}Gi}}
        requests: {{cpu: "{cpus}", memory: {memory}Gi}}
"#
            )?;
        }
        Ok(())
    }
}
