//! Who speaks is said first.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::{Endpoint, Judged, Seen, Unjudged, WireCheck, quoted};
use crate::verdict::CauseCode;

/// The first delta of each choice of a chat has `role`.
pub(in super::super) struct RoleFirst;

impl WireCheck for RoleFirst {
    fn name(&self) -> &'static str {
        "stream-role"
    }

    fn sentence(&self) -> &'static str {
        "the first delta of every choice says that the assistant speaks, and no other says otherwise"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::StreamMalformed
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        let chunks = seen.events()?.ended()?;
        if seen.expected.endpoint != Endpoint::Chat {
            return Err(Unjudged::because("the answer is no chat"));
        }
        let mut roles: BTreeMap<u64, &Value> = BTreeMap::new();
        let mut faults = Vec::new();
        for piece in chunks.iter().filter_map(|chunk| chunk["choices"].as_array()).flatten() {
            let index = piece["index"].as_u64().unwrap_or_default();
            let role = &piece["delta"]["role"];
            let first = !roles.contains_key(&index);
            roles.entry(index).or_insert(role);
            if first && role != "assistant" {
                faults.push(format!(
                    "the first delta of choice {index} has the role {}",
                    quoted(role)
                ));
            } else if !first && !role.is_null() && role != "assistant" {
                faults.push(format!("a later delta of choice {index} has the role {}", quoted(role)));
            }
        }
        Ok(faults)
    }
}
