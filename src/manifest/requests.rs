//! What pods ask for: quantities read exactly, requests added up as the scheduler adds them.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{PodSpec, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};

/// Whether a resource is a GPU. Device plugins call them `nvidia.com/gpu`, `amd.com/gpu`, `gpu.intel.com/i915`, `nvidia.com/mig-1g.5gb`.
pub(crate) fn is_gpu(resource: &str) -> bool {
    resource.ends_with("/gpu") || resource.starts_with("gpu.") || resource.starts_with("nvidia.com/mig-")
}

/// What a pod asks for, in thousandths: its containers and sidecars together, or an init container (with the sidecars
/// started before it) where that asks for more; plus overhead and the pod's own slot. As in the scheduler
/// (`k8s.io/component-helpers/resource/helpers.go`, `PodRequests`).
pub(crate) fn requested(spec: &PodSpec) -> BTreeMap<String, u64> {
    let mut running = BTreeMap::new();
    for container in &spec.containers {
        add(&mut running, &requests(container.resources.as_ref()));
    }
    let (mut sidecars, mut starting) = (BTreeMap::new(), BTreeMap::new());
    for container in spec.init_containers.iter().flatten() {
        let own = requests(container.resources.as_ref());
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut running, &own);
            add(&mut sidecars, &own);
            take_larger(&mut starting, &sidecars);
        } else {
            let mut with_sidecars = sidecars.clone();
            add(&mut with_sidecars, &own);
            take_larger(&mut starting, &with_sidecars);
        }
    }
    take_larger(&mut running, &starting);
    // Requests of the pod as a whole take the place of what its containers add up to (KEP-2837).
    running.extend(requests(spec.resources.as_ref()));
    add(&mut running, &amounts(spec.overhead.as_ref()));
    running.insert("pods".to_owned(), 1000);
    running
}

fn requests(resources: Option<&ResourceRequirements>) -> BTreeMap<String, u64> {
    let Some(resources) = resources else {
        return BTreeMap::new();
    };
    // A limit without a request is a request too.
    let mut amount = amounts(resources.limits.as_ref());
    amount.extend(amounts(resources.requests.as_ref()));
    amount
}

fn add(sum: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>) {
    for (resource, amount) in more {
        let sum = sum.entry(resource.clone()).or_default();
        *sum = sum.saturating_add(*amount);
    }
}

fn take_larger(most: &mut BTreeMap<String, u64>, other: &BTreeMap<String, u64>) {
    for (resource, amount) in other {
        let most = most.entry(resource.clone()).or_default();
        *most = (*most).max(*amount);
    }
}

/// Quantities in thousandths, by resource; what is no quantity is left out.
pub(crate) fn amounts(quantities: Option<&BTreeMap<String, Quantity>>) -> BTreeMap<String, u64> {
    let quantities = quantities.into_iter().flatten();
    quantities
        .filter_map(|(resource, quantity)| Some((resource.clone(), thousandths(&quantity.0)?)))
        .collect()
}

/// A quantity in thousandths of its unit, rounded up as the API server does: `100m` is 100, `1` is 1000, `1Ki` is
/// 1,024,000. `None` for what is no quantity, or negative. Grammar: `k8s.io/apimachinery/pkg/api/resource/quantity.go`.
pub(crate) fn thousandths(text: &str) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || fraction.len() > 15 {
        return None;
    }
    // number = digits / 10^places; value in thousandths = digits * scale * 1000 / 10^places
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let (times, by) = scale(suffix)?;
    let by = by.checked_mul(10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?)?;
    let value = digits.checked_mul(times)?.checked_mul(1000)?.div_ceil(by);
    Some(u64::try_from(value).unwrap_or(u64::MAX))
}

/// A suffix as a fraction.
fn scale(suffix: &str) -> Option<(u128, u128)> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const DECIMAL: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
    let power = |base: u128, at: usize| Some((base.pow(u32::try_from(at).ok()? + 1), 1));
    if let Some(at) = BINARY.iter().position(|unit| *unit == suffix) {
        return power(1024, at);
    }
    if let Some(at) = DECIMAL.iter().position(|unit| *unit == suffix) {
        return power(1000, at);
    }
    match suffix {
        "" => return Some((1, 1)),
        "m" => return Some((1, 1000)),
        "u" => return Some((1, 1_000_000)),
        "n" => return Some((1, 1_000_000_000)),
        _ => (),
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let ten = 10_u128.checked_pow(exponent.unsigned_abs())?;
    Some(if exponent < 0 { (1, ten) } else { (ten, 1) })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("100m", Some(100))]
    #[case("1", Some(1000))]
    #[case("1.5", Some(1500))]
    #[case(".5", Some(500))]
    #[case("0.0001", Some(1))]
    #[case("1Ki", Some(1_024_000))]
    #[case("2M", Some(2_000_000_000))]
    #[case("1e3", Some(1_000_000))]
    #[case("5E", Some(u64::MAX))]
    #[case("1E2", Some(100_000))]
    #[case("9n", Some(1))]
    #[case("+2", Some(2000))]
    #[case("5.", Some(5000))]
    #[case("1e-3", Some(1))]
    #[case("-", None)]
    #[case(".", None)]
    #[case("Gi", None)]
    #[case("8GB", None)]
    #[case("8gi", None)]
    #[case("1e", None)]
    #[case("1,5", None)]
    #[case(" 1", None)]
    #[case("-1", None)]
    #[case("", None)]
    #[case("1.2.3", None)]
    #[case("4 GB", None)]
    fn quantities_are_read_as_the_api_server_does(#[case] text: &str, #[case] value: Option<u64>) {
        assert_eq!(thousandths(text), value);
    }
}
