//! An address for a Service of type LoadBalancer, where no load balancer is: a stand-in on the node itself.
//!
//! The node gets an address of the engine's network, from its high end where the engine hands out none, and the
//! Service's status names it. kube-proxy does the rest, and the machine reaches it through the engine's bridge. It is a
//! deviation from what a cloud would do; noting it in the ledger is the caller's part.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use k8s_openapi::api::core::v1::Service;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Cluster, ClusterError, Origin, SHORT,
    inventory::{Inventory, Made},
    teardown::Fate,
};
use crate::host::{Host, docker, files};

/// How many addresses of a network's high end are chosen among: more than the hardware addresses that a kernel keeps
/// (1024, `net.ipv4.neigh.default.gc_thresh3`), so that one is free of which it knows nothing.
const HIGH_END: u32 = 2048;

/// Where the kernel lists the hardware addresses that this machine knows. Source: arp(7), proc(5).
const NEIGHBOURS: &str = "/proc/net/arp";

/// How often an address is chosen anew that another run has put on the node in the meantime.
const MOST_TRIES: u32 = 5;

/// A range of IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Subnet {
    first: u32,
    size: u32,
}

impl Subnet {
    /// Reads `172.18.0.0/16`; `None` for IPv6 and for ranges too small to have a high end.
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let bits: u32 = bits.parse().ok().filter(|bits| (8..=28).contains(bits))?;
        let size = 1_u32 << (32 - bits);
        Some(Self {
            first: u32::from(address.parse::<Ipv4Addr>().ok()?) & !(size - 1),
            size,
        })
    }

    /// A free address of the high end, which is the upper half of a small range. Where to begin depends on `seed`, so that
    /// two runs that choose at the same moment seldom choose the same.
    ///
    /// One that this machine knows (`known`) was an earlier node's: the kernel would go on sending to that one for some ten
    /// seconds, though it is gone. So it is taken only where no other is free.
    fn choose(self, taken: &BTreeSet<Ipv4Addr>, known: &BTreeSet<Ipv4Addr>, seed: u32) -> Option<Ipv4Addr> {
        let many = (self.size / 2).min(HIGH_END) - 1;
        // The very last address is the broadcast address.
        let last = self.first + self.size - 2;
        let free = (0..many)
            .map(|step| Ipv4Addr::from(last - (seed.wrapping_add(step) % many)))
            .filter(|address| !taken.contains(address));
        let unknown = free.clone().find(|address| !known.contains(address));
        unknown.or_else(|| free.clone().next())
    }
}

/// Assigns a Service of type LoadBalancer an address that this machine can reach, and returns it. A Service that has one
/// already keeps it. Where the cluster stays after the run, the address is noted in the inventory before it is put on the
/// node.
///
/// # Errors
/// The cluster is not a kind cluster of ours, its network has no free IPv4 address, the Service is not there or is not
/// of type LoadBalancer, or its status cannot be written.
pub async fn assign(
    host: &Host,
    cluster: &Cluster,
    inventory: &Inventory,
    namespace: &str,
    service: &str,
) -> Result<IpAddr, ClusterError> {
    let named = format!("{namespace}/{service}");
    let refused = |why: &str| ClusterError::NoAddress {
        service: named.clone(),
        why: why.to_owned(),
    };
    let api_error = |source| ClusterError::api(format!("Service {named}"), source);
    let Some(node) = cluster.node_container() else {
        return Err(refused(
            "the cluster is not one of ours; it needs a load balancer of its own",
        ));
    };
    let services = Api::<Service>::namespaced(cluster.client.clone(), namespace);
    let found = services.get(service).await.map_err(api_error)?;
    if found.spec.as_ref().and_then(|spec| spec.type_.as_deref()) != Some("LoadBalancer") {
        return Err(refused("it is not of type LoadBalancer"));
    }
    if let Some(address) = address_of(&found) {
        return Ok(address);
    }
    let network = Network::of(host, &node)
        .await?
        .ok_or_else(|| refused("the node is in no network"))?;
    let subnet = network
        .subnet()
        .ok_or_else(|| refused("the engine's network has no IPv4 range with a free high end"))?;
    let seed = seed(&format!("{} {named}", cluster.name));
    let known = known_to_this_machine();
    let mut tries = 0;
    let address = loop {
        let taken = network.taken(host).await?;
        let address = subnet
            .choose(&taken, &known, seed)
            .ok_or_else(|| refused("every address at the high end of the engine's network is taken"))?;
        let made = Made::Address {
            node: node.clone(),
            address: address.into(),
        };
        if cluster.origin == Origin::Existing {
            inventory.add(made.clone())?;
        }
        let Err(error) = on_interface(host, &node, "add", address.into()).await else {
            break address;
        };
        // Another run was faster. The address is its own: nothing of ours, and not ours to take off.
        tries += 1;
        let is_theirs = addresses_of(host, &node).await?.contains(&address);
        if is_theirs {
            inventory.remove(&made)?;
        }
        if !is_theirs || tries == MOST_TRIES {
            return Err(error);
        }
    };
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": address.to_string(), "ipMode": "VIP"}]}}});
    services
        .patch_status(service, &PatchParams::default(), &Patch::Merge(status))
        .await
        .map_err(api_error)?;
    Ok(IpAddr::V4(address))
}

/// Takes an address that was assigned off its node again.
///
/// # Errors
/// The engine or the node does not do it.
pub(super) async fn take_off(host: &Host, node: &str, address: IpAddr) -> Result<Fate, ClusterError> {
    let name = format!("name=^{node}$");
    let nodes = host.docker(["ps", "--filter", &name, "--format", "{{.Names}}"]).await?;
    if nodes.text().is_empty() || !addresses_of(host, node).await?.iter().any(|one| address == *one) {
        return Ok(Fate::Absent);
    }
    on_interface(host, node, "del", address).await?;
    Ok(Fate::Removed)
}

/// Adds an address to the node's interface in the engine's network, or deletes it there.
async fn on_interface(host: &Host, node: &str, verb: &str, address: IpAddr) -> Result<(), ClusterError> {
    let address = format!("{address}/32");
    host.docker(["exec", node, "ip", "address", verb, &address, "dev", "eth0"])
        .await?;
    Ok(())
}

/// The addresses of that interface. A node that is just going away has none.
async fn addresses_of(host: &Host, node: &str) -> Result<Vec<Ipv4Addr>, ClusterError> {
    let call = docker(["exec", node, "ip", "-4", "-o", "address", "show", "dev", "eth0"]);
    let said = host.run(&call.time_limit(SHORT)).await?.text();
    Ok(listed_addresses(&said).collect())
}

/// The addresses of which this machine has, or had, a hardware address. None where the kernel tells none.
fn known_to_this_machine() -> BTreeSet<Ipv4Addr> {
    let listed = files::read_text(Path::new(NEIGHBOURS), 1 << 20).unwrap_or_default();
    neighbours(&listed).collect()
}

/// The addresses in what the kernel lists: a heading, then `172.18.255.254 0x1 0x2 02:42:ac:12:00:02 * br-0`.
fn neighbours(listed: &str) -> impl Iterator<Item = Ipv4Addr> {
    listed
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
}

fn address_of(service: &Service) -> Option<IpAddr> {
    let ingress = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?;
    ingress.iter().find_map(|entry| entry.ip.as_ref()?.parse().ok())
}

fn seed(name: &str) -> u32 {
    let digest = Sha256::digest(name.as_bytes());
    u32::from_be_bytes([0, 0, digest[0], digest[1]])
}

/// A network of the engine, as `docker network inspect` prints it.
#[derive(Debug, Deserialize)]
struct Network {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "IPAM")]
    ranges: Ranges,
    #[serde(rename = "Containers", default)]
    containers: std::collections::BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Ranges {
    #[serde(rename = "Config", default)]
    config: Option<Vec<Value>>,
}

impl Network {
    /// The first network the container is in; kind puts a node into one.
    async fn of(host: &Host, container: &str) -> Result<Option<Self>, ClusterError> {
        let format = "{{range $name, $_ := .NetworkSettings.Networks}}{{println $name}}{{end}}";
        let names = host.docker(["inspect", "--format", format, container]).await?.text();
        let Some(name) = names.lines().next() else {
            return Ok(None);
        };
        let ended = host.docker(["network", "inspect", name]).await?;
        let networks: Vec<Self> = serde_json::from_slice(&ended.stdout).unwrap_or_default();
        Ok(networks.into_iter().next())
    }

    fn subnet(&self) -> Option<Subnet> {
        let ranges = self.ranges.config.iter().flatten();
        ranges
            .filter_map(|range| range.get("Subnet")?.as_str())
            .find_map(Subnet::parse)
    }

    /// The addresses that the engine gave out, and those that we gave to nodes, of other runs too.
    async fn taken(&self, host: &Host) -> Result<BTreeSet<Ipv4Addr>, ClusterError> {
        let gateways = self
            .ranges
            .config
            .iter()
            .flatten()
            .filter_map(|range| range.get("Gateway"));
        let given = self
            .containers
            .values()
            .filter_map(|container| container.get("IPv4Address"));
        let mut taken: BTreeSet<Ipv4Addr> = gateways.chain(given).filter_map(plain).collect();
        let nodes = format!("network={}", self.name);
        let filters = [
            "ps",
            "--filter",
            &nodes,
            "--filter",
            "label=io.x-k8s.kind.cluster",
            "--format",
            "{{.Names}}",
        ];
        let nodes = host.docker(filters).await?.text();
        for node in nodes.lines() {
            taken.extend(addresses_of(host, node).await?);
        }
        Ok(taken)
    }
}

fn plain(address: &Value) -> Option<Ipv4Addr> {
    let text = address.as_str()?;
    text.split('/').next()?.parse().ok()
}

/// The addresses in what `ip -4 -o address show` prints: `12: eth0    inet 172.18.0.2/16 brd …`.
fn listed_addresses(text: &str) -> impl Iterator<Item = Ipv4Addr> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != "inet");
        words.nth(1)?.split('/').next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn addresses<const N: usize>(texts: [&str; N]) -> BTreeSet<Ipv4Addr> {
        texts.into_iter().map(|text| text.parse().unwrap()).collect()
    }

    #[rstest]
    #[case("172.18.0.0/16", true)]
    #[case("10.0.0.0/24", true)]
    #[case("10.0.0.0/30", false)]
    #[case("fc00:f853:ccd:e793::/64", false)]
    #[case("nonsense", false)]
    fn only_ipv4_ranges_with_room_are_used(#[case] text: &str, #[case] good: bool) {
        assert_eq!(Subnet::parse(text).is_some(), good);
    }

    #[rstest]
    #[case::highest_first("172.18.0.0/16", 0, "172.18.255.254")]
    #[case::a_seed_moves_it("172.18.0.0/16", 5, "172.18.255.249")]
    #[case::a_large_seed_stays_in_the_range("10.0.0.0/28", 4_000_000_000, "10.0.0.11")]
    fn an_address_is_of_the_high_end(#[case] subnet: &str, #[case] seed: u32, #[case] address: &str) {
        let subnet = Subnet::parse(subnet).unwrap();
        assert_eq!(
            subnet.choose(&BTreeSet::new(), &BTreeSet::new(), seed),
            address.parse().ok()
        );
    }

    #[test]
    fn a_taken_address_is_passed_over_and_a_full_range_gives_none() {
        let subnet = Subnet::parse("10.0.0.16/28").unwrap();
        let taken = addresses(["10.0.0.30", "10.0.0.29"]);
        assert_eq!(subnet.choose(&taken, &BTreeSet::new(), 0), "10.0.0.28".parse().ok());
        let all = (16..32).map(|last| Ipv4Addr::new(10, 0, 0, last)).collect();
        assert_eq!(subnet.choose(&all, &BTreeSet::new(), 3), None);
    }

    /// The kernel keeps what it knew of an address when the node that had it is gone.
    #[test]
    fn an_address_that_this_machine_has_known_is_taken_last() {
        let subnet = Subnet::parse("10.0.0.16/28").unwrap();
        let known = addresses(["10.0.0.30", "10.0.0.28"]);
        let taken = addresses(["10.0.0.29"]);
        assert_eq!(subnet.choose(&taken, &known, 0), "10.0.0.27".parse().ok());
        let all = (16..32).map(|last| Ipv4Addr::new(10, 0, 0, last)).collect();
        assert_eq!(subnet.choose(&taken, &all, 0), "10.0.0.30".parse().ok());
    }

    #[test]
    fn there_are_more_addresses_than_a_kernel_knows() {
        let subnet = Subnet::parse("172.18.0.0/16").unwrap();
        let mut known = BTreeSet::new();
        for _ in 0..1024 {
            let address = subnet.choose(&BTreeSet::new(), &known, 7).unwrap();
            assert!(known.insert(address), "{address} is known");
        }
    }

    #[test]
    fn what_the_kernel_lists_of_its_neighbours_is_read() {
        let listed = "IP address       HW type     Flags       HW address            Mask     Device\n\
                      172.18.255.254   0x1         0x2         02:42:ac:12:00:02     *        br-0123\n\
                      172.18.255.201   0x1         0x0         00:00:00:00:00:00     *        br-0123\n";
        let read: BTreeSet<Ipv4Addr> = neighbours(listed).collect();
        assert_eq!(read, addresses(["172.18.255.254", "172.18.255.201"]));
    }

    #[test]
    fn what_the_node_says_of_its_interface_is_read() {
        let text = "12: eth0    inet 172.18.0.2/16 brd 172.18.255.255 scope global eth0\\ valid_lft forever\n\
                    12: eth0    inet 172.18.255.254/32 scope global eth0\n";
        let read: BTreeSet<Ipv4Addr> = listed_addresses(text).collect();
        assert_eq!(read, addresses(["172.18.0.2", "172.18.255.254"]));
    }

    #[test]
    fn the_engines_words_about_a_network_are_read() {
        let text = r#"{"Name": "kind", "IPAM": {"Config": [{"Subnet": "fc00::/64"}, {"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]},
                       "Containers": {"f00": {"Name": "n", "IPv4Address": "172.18.0.2/16"}}}"#;
        let network: Network = serde_json::from_str(text).unwrap();
        assert_eq!(network.subnet(), Subnet::parse("172.18.0.0/16"));
    }
}
