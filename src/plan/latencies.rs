//! The latencies that a simulated model server is told to have.

use serde_json::Value;

use super::{Makes, Plan};
use crate::record::ConfiguredLatencies;

/// The simulator's flags for them. Source: llm-d-inference-sim, `docs/configuration.md`: numbers of milliseconds, in later
/// versions also durations.
const TIME_TO_FIRST_TOKEN: &str = "--time-to-first-token";
const INTER_TOKEN_LATENCY: &str = "--inter-token-latency";

impl Plan {
    /// What the arguments of the containers that the plan applies say of latencies; the first that say anything. `None`
    /// where none do.
    pub(crate) fn configured_latencies(&self) -> Option<ConfiguredLatencies> {
        let objects = self.steps.iter().filter_map(|step| match step.action.facts().makes {
            Makes::Objects { objects, .. } => Some(objects),
            _ => None,
        });
        objects.flatten().find_map(|object| of_workload(&object.value))
    }
}

fn of_workload(object: &Value) -> Option<ConfiguredLatencies> {
    let containers = object.pointer("/spec/template/spec/containers")?.as_array()?;
    containers.iter().find_map(|container| {
        let words: Vec<&str> = ["command", "args"]
            .into_iter()
            .filter_map(|field| container[field].as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let configured = ConfiguredLatencies {
            time_to_first_token: value(&words, TIME_TO_FIRST_TOKEN),
            inter_token_latency: value(&words, INTER_TOKEN_LATENCY),
        };
        (configured != ConfiguredLatencies::default()).then_some(configured)
    })
}

/// The value of a flag, written as `--flag value` or `--flag=value`.
fn value(words: &[&str], flag: &str) -> Option<String> {
    let at = |index: usize| match words[index].strip_prefix(flag)? {
        "" => words.get(index + 1).copied(),
        rest => rest.strip_prefix('='),
    };
    (0..words.len()).find_map(at).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::joined(&["--time-to-first-token=10ms", "--inter-token-latency=5"], Some((Some("10ms"), Some("5"))))]
    #[case::apart(&["--model", "m", "--time-to-first-token", "10"], Some((Some("10"), None)))]
    #[case::another_flag(&["--inter-token-latency-std-dev=2"], None)]
    #[case::no_value(&["--inter-token-latency"], None)]
    #[case::none(&[], None)]
    fn latencies_are_read_from_arguments(
        #[case] arguments: &[&str],
        #[case] said: Option<(Option<&str>, Option<&str>)>,
    ) {
        let object = json!({"spec": {"template": {"spec": {"containers": [{"name": "other"}, {"args": arguments}]}}}});
        let wanted = said.map(|(first, between)| ConfiguredLatencies {
            time_to_first_token: first.map(str::to_owned),
            inter_token_latency: between.map(str::to_owned),
        });
        assert_eq!(of_workload(&object), wanted);
    }

    #[test]
    fn what_is_no_workload_says_nothing() {
        assert_eq!(of_workload(&json!({"kind": "Service", "spec": {"ports": []}})), None);
    }
}
