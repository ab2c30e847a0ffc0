//! What waiting costs the API server.

use super::*;
use crate::api_server::{Asked, Verb};

/// As many Deployments, of which the last never gets ready.
fn deployments(count: usize) -> String {
    let one = |number: usize| {
        let status = if number == count { creating() } else { json!(null) };
        let text = deployment(&json!({}), &json!({"nodeName": "node"}), &status);
        let mut one: Value = serde_json::from_str(&text).unwrap();
        if number < count {
            one["spec"]["template"]["metadata"]["annotations"] = json!({});
        }
        let name = json!(format!("server-{number}"));
        one["metadata"]["name"] = name.clone();
        one["spec"]["selector"]["matchLabels"]["app"] = name.clone();
        one["spec"]["template"]["metadata"]["labels"]["app"] = name;
        one.to_string()
    };
    (1..=count).map(one).collect::<Vec<_>>().join("\n---\n")
}

/// A loop that looks at each of them every second would ask 400 times while this run waits for 20 seconds.
#[tokio::test(start_paused = true)]
async fn waiting_for_twenty_objects_asks_less_than_a_tenth_of_a_loop() {
    const COUNT: usize = 20;
    let server = ApiServer::new();
    let ended = deployed(server.clone(), &deployments(COUNT)).await;
    assert_eq!(ended.causes, [CauseCode::PodSlow]);
    assert!(ended.took >= Duration::from_secs(20), "{:?}", ended.took);
    let asked = server.asked();
    let made = asked.iter().rposition(|one| one.verb == Verb::Apply).unwrap();
    // What comes then is evidence.
    let evidence = |one: &Asked| one.subresource.as_deref() == Some("log");
    let over = asked.iter().position(evidence).unwrap();
    let waiting: Vec<&Asked> = asked[made + 1..over].iter().collect();
    assert!(waiting.len() <= COUNT * 20 / 10, "{}: {waiting:?}", waiting.len());
}
