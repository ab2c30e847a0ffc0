//! The scenarios: what is proven beyond the guide's own request, through the gateway that the guide made.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use url::Url;

use super::{Context, endpoint, request::REQUEST_LIMIT};
use crate::{
    check::Observation,
    probe::{Outgoing, Probe},
    record::{Event, Stage},
    scenario::{self, Capability, Ground, NoChanger},
};

impl Context {
    /// Performs the scenarios of the order; where the guide's own request failed, they are skipped and say so.
    pub(super) async fn perform_scenarios(&self, outgoing: &Outgoing, seen: &Observation, guide_works: bool) {
        let scenarios = &self.order.scenarios;
        if scenarios.is_empty() {
            return;
        }
        let began = Instant::now();
        self.events.send(Event::Entered {
            stage: Stage::Scenarios,
        });
        let ground = match Probe::new(REQUEST_LIMIT) {
            Ok(probe) if guide_works => self.ground(&probe, outgoing, seen).await.map(|ground| (probe, ground)),
            Ok(_) => Err("the guide's own request failed; nothing was sent".to_owned()),
            Err(error) => Err(format!("requests cannot be sent: {error}")),
        };
        match ground {
            Ok((probe, ground)) => {
                let of_each = |scenario| scenario::expected(scenario, &ground);
                self.events.send(Event::Expected {
                    checks: scenarios.iter().flat_map(of_each).collect(),
                });
                for scenario in scenarios {
                    scenario::perform(scenario, &probe, &ground, &NoChanger, &self.events).await;
                }
            }
            Err(why) => {
                for scenario in scenarios {
                    scenario::skip(scenario, why.clone(), &self.events);
                }
            }
        }
        self.spent(Stage::Scenarios, began);
    }

    /// What they are performed on: the address, model, prompt and headers of the guide's own request.
    async fn ground(&self, probe: &Probe, outgoing: &Outgoing, seen: &Observation) -> Result<Ground, String> {
        let url = Url::parse(&outgoing.url).map_err(|error| format!("`{}`: {error}", outgoing.url))?;
        let base = url.origin().ascii_serialization();
        let model = outgoing
            .model()
            .ok_or("the guide's request names no model, so there is none to ask for")?;
        let headers: Vec<(String, String)> = outgoing
            .headers
            .iter()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("content-type"))
            .cloned()
            .collect();
        let look = endpoint::look(probe, &base, &headers).await;
        let adapter = endpoint::adapter(&look, &model);
        let metrics = matches!(seen.endpoint_picker.after, Some(Ok(_)));
        let capabilities = [
            Some(Capability::Cluster),
            Some(Capability::EndpointPicker),
            metrics.then_some(Capability::EndpointPickerMetrics),
            adapter.is_some().then_some(Capability::Adapter),
        ];
        Ok(Ground {
            base,
            model,
            prompt: endpoint::PROMPT.to_owned(),
            adapter,
            headers,
            release: self.plan.subject.tag.as_deref().and_then(|tag| tag.parse().ok()),
            variant: Some(self.plan.subject.variant.clone()),
            provider: Some(self.plan.subject.provider.clone()),
            has_answered: true,
            capabilities: capabilities.into_iter().flatten().collect::<BTreeSet<_>>(),
            unchangeable: BTreeMap::new(),
        })
    }
}
