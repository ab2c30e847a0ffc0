//! Classes of Gateways: whether the one that a Gateway names is there, and whether a controller has taken it.
//!
//! Source: Gateway API v1's `GatewayClassStatus`. What the API server writes by itself there says `Unknown`, "Waiting for
//! controller"; only the controller of a class says more.

use serde_json::Value;

use super::conditions::{Unmet, generation, name};
use crate::verdict::CauseCode;

/// Whether a controller that takes classes may still come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controllers {
    /// The plan installs something that may be one.
    MayCome,
    /// Nothing installs one.
    AllThere,
}

/// The reason of a class that is not there yet or that nobody has said anything of, while controllers of other classes are at work.
pub(crate) const UNCLAIMED: &str = "Unclaimed";

/// Why no controller looks at a Gateway, told from the classes that the cluster has; `None` where its class is accepted.
pub(super) fn untaken(gateway: &Value, classes: &[Value], controllers: Controllers) -> Option<Unmet> {
    let wanted = gateway.pointer("/spec/gatewayClassName")?.as_str()?;
    let some_are_at_work = classes.iter().any(|class| accepted(class) == Some(true));
    let unmet = |what: String, said_no, reason: &str| {
        Some(Unmet {
            what,
            cause: CauseCode::GatewayClassMissing,
            said_no,
            reason: reason.to_owned(),
        })
    };
    let Some(class) = classes.iter().find(|class| name(class) == wanted) else {
        let there: Vec<&str> = classes.iter().map(name).collect();
        let there = if there.is_empty() {
            "the cluster has none at all".to_owned()
        } else {
            format!("the cluster has {}", there.join(", "))
        };
        let said_no = some_are_at_work || controllers == Controllers::AllThere;
        // A controller makes its class by itself, once it is at work.
        let reason = match controllers {
            Controllers::MayCome => UNCLAIMED,
            Controllers::AllThere => "",
        };
        return unmet(format!("there is no GatewayClass {wanted}: {there}"), said_no, reason);
    };
    match accepted(class) {
        Some(true) => None,
        Some(false) => {
            let condition = of_acceptance(class)?;
            let word = |field: &str| condition[field].as_str().unwrap_or_default().trim();
            let what = format!(
                "GatewayClass {wanted} is refused: {}: {}",
                word("reason"),
                word("message")
            );
            unmet(what, true, word("reason"))
        }
        None => {
            let controller = |class: &Value| class.pointer("/spec/controllerName").cloned();
            let its = controller(class);
            let is_at_work = |other: &Value| accepted(other) == Some(true) && controller(other) == its;
            let its = its.as_ref().and_then(Value::as_str).unwrap_or_default();
            let what = format!("no controller has taken GatewayClass {wanted}, which is for {its}");
            if classes.iter().any(is_at_work) {
                return unmet(what, true, "");
            }
            unmet(what, some_are_at_work, UNCLAIMED)
        }
    }
}

/// What its controller says of a class at its current generation; `None` where it has said nothing.
fn accepted(class: &Value) -> Option<bool> {
    match of_acceptance(class)?["status"].as_str()? {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}

fn of_acceptance(class: &Value) -> Option<&Value> {
    let conditions = class.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| {
        let observed = condition["observedGeneration"].as_i64();
        condition["type"] == "Accepted" && observed.is_none_or(|observed| observed >= generation(class))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn class(name: &str, controller: &str, status: &str) -> Value {
        json!({"metadata": {"name": name, "generation": 2}, "spec": {"controllerName": controller},
            "status": {"conditions": [{"type": "Accepted", "status": status, "reason": "R", "message": "m",
                "observedGeneration": 2}]}})
    }

    fn gateway() -> Value {
        json!({"metadata": {"name": "g"}, "spec": {"gatewayClassName": "wanted"}})
    }

    const ISTIO: &str = "istio.io/gateway-controller";

    #[rstest]
    #[case::absent_beside_one_that_is_served(&[class("istio", ISTIO, "True")], Controllers::MayCome, Some(true))]
    #[case::absent_while_the_first_controller_may_still_come(&[], Controllers::MayCome, Some(false))]
    #[case::absent_beside_one_that_waits_too(&[class("istio", ISTIO, "Unknown")], Controllers::MayCome, Some(false))]
    #[case::absent_where_nothing_installs_a_controller(&[], Controllers::AllThere, Some(true))]
    #[case::refused(&[class("wanted", ISTIO, "False")], Controllers::MayCome, Some(true))]
    #[case::its_controller_may_still_come(&[class("wanted", ISTIO, "Unknown")], Controllers::MayCome, Some(false))]
    #[case::its_controller_serves_another(
        &[class("wanted", ISTIO, "Unknown"), class("istio", ISTIO, "True")], Controllers::MayCome, Some(true))]
    #[case::another_controller_serves_another(
        &[class("wanted", "nobody.example/c", "Unknown"), class("istio", ISTIO, "True")], Controllers::MayCome, Some(true))]
    #[case::served(&[class("wanted", ISTIO, "True")], Controllers::MayCome, None)]
    fn a_class_that_nobody_serves_is_told_from_one_whose_controller_comes_up(
        #[case] classes: &[Value],
        #[case] controllers: Controllers,
        #[case] said_no: Option<bool>,
    ) {
        let unmet = untaken(&gateway(), classes, controllers);
        assert_eq!(unmet.as_ref().map(|unmet| unmet.said_no), said_no, "{unmet:?}");
        assert!(unmet.is_none_or(|unmet| unmet.cause == CauseCode::GatewayClassMissing));
    }

    #[rstest]
    #[case(&[class("istio", ISTIO, "True")], "there is no GatewayClass wanted: the cluster has istio")]
    #[case(&[], "there is no GatewayClass wanted: the cluster has none at all")]
    #[case(&[class("wanted", "x/y", "False")], "GatewayClass wanted is refused: R: m")]
    #[case(&[class("wanted", "x/y", "Unknown")], "no controller has taken GatewayClass wanted, which is for x/y")]
    fn what_is_wrong_with_a_class_is_told(#[case] classes: &[Value], #[case] what: &str) {
        assert_eq!(untaken(&gateway(), classes, Controllers::MayCome).unwrap().what, what);
    }

    #[test]
    fn what_was_said_of_an_older_generation_counts_for_nothing() {
        let mut old = class("wanted", ISTIO, "False");
        old["status"]["conditions"][0]["observedGeneration"] = json!(1);
        let unmet = untaken(&gateway(), &[old], Controllers::MayCome).unwrap();
        assert!(
            !unmet.said_no && unmet.what.starts_with("no controller has taken"),
            "{unmet:?}"
        );
    }
}
