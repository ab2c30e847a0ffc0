//! The configuration given to kind: data files laid over each other as the machine demands.
//!
//! It decides nothing about Kubernetes beyond that; what a file is for is said at its head.

use serde_json::{Map, Value};

use super::{ClusterError, engine::Cgroup};

// Not rust-embed: three files known by name, and with `include_str!` a missing one does not compile.
const BASE: &str = include_str!("../../manifests/cluster/kind.yaml");
const CGROUP_V1: &str = include_str!("../../manifests/cluster/kind-cgroup-v1.yaml");
const OWN_NODE: &str = include_str!("../../manifests/cluster/kind-own-node.yaml");

/// Where the node's image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodeImage {
    /// The one this kind release pulls by default.
    Default,
    /// One we made; its network and proxy mode are ours.
    Own(String),
}

/// The configuration of a cluster, as JSON, which kind reads as the YAML it is.
///
/// # Errors
/// One of the embedded files is not YAML.
pub(crate) fn render(name: &str, cgroup: Cgroup, image: &NodeImage) -> Result<String, ClusterError> {
    let mut configuration = read(BASE)?;
    if cgroup == Cgroup::V1 {
        lay_over(&mut configuration, read(CGROUP_V1)?);
    }
    if matches!(image, NodeImage::Own(_)) {
        lay_over(&mut configuration, read(OWN_NODE)?);
    }
    let mut named = Map::new();
    named.insert("name".to_owned(), Value::from(name));
    lay_over(&mut configuration, Value::Object(named));
    Ok(configuration.to_string())
}

fn read(text: &str) -> Result<Value, ClusterError> {
    serde_saphyr::from_str(text).map_err(|source| ClusterError::Configuration {
        source: Box::new(source),
    })
}

/// Objects are merged key by key, lists are added to, everything else is replaced.
fn lay_over(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                match below.get_mut(&key) {
                    Some(earlier) => lay_over(earlier, value),
                    None => {
                        below.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(below), Value::Array(above)) => below.extend(above),
        (below, above) => *below = above,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(cgroup: Cgroup, image: &NodeImage) -> Value {
        serde_json::from_str(&render("quickproof-ab12", cgroup, image).unwrap()).unwrap()
    }

    fn patches(configuration: &Value) -> Vec<&str> {
        configuration["kubeadmConfigPatches"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    #[test]
    fn an_ordinary_machine_gets_kinds_defaults_but_no_leases() {
        let configuration = rendered(Cgroup::V2, &NodeImage::Default);
        assert_eq!(configuration["name"], "quickproof-ab12");
        assert_eq!(configuration["nodes"][0]["role"], "control-plane");
        assert_eq!(configuration["networking"], Value::Null);
        assert!(matches!(patches(&configuration)[..], [only] if only.contains("leader-elect")));
    }

    #[test]
    fn on_cgroup_v1_only_the_kubelet_is_told() {
        let configuration = rendered(Cgroup::V1, &NodeImage::Default);
        assert_eq!(configuration["networking"], Value::Null);
        assert!(matches!(patches(&configuration)[..], [_, last] if last.contains("failCgroupV1: false")));
    }

    #[test]
    fn our_node_image_on_cgroup_v1_adds_up_both() {
        let configuration = rendered(Cgroup::V1, &NodeImage::Own("node:1".into()));
        assert_eq!(configuration["networking"]["kubeProxyMode"], "nftables");
        assert_eq!(patches(&configuration).len(), 3);
    }

    #[test]
    fn our_node_image_on_cgroup_v2_leaves_the_kubelet_alone() {
        let configuration = rendered(Cgroup::V2, &NodeImage::Own("node:1".into()));
        assert_eq!(configuration["networking"]["disableDefaultCNI"], true);
        assert!(matches!(patches(&configuration)[..], [_, last] if last.contains("preflight")));
    }
}
