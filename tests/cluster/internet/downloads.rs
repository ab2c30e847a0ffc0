//! The hosts that publish helm and istioctl, with archives and checksums as they have them.

use std::{collections::BTreeMap, io::Write as _};

use quickproof::{host::Host, images, record::Events};

use super::{Answer, said};
use crate::published::digest;

/// The host from which helm is had.
pub(super) const HELM: &str = "get.helm.sh";
/// The host to which GitHub leads for assets of releases.
pub(super) const ASSETS: &str = "release-assets.githubusercontent.com";

/// What they have, by host and path.
pub(super) struct Downloads(BTreeMap<String, Vec<u8>>);

impl Downloads {
    /// The programs that this machine has stand in for those that are published.
    pub(super) async fn of_this_machine() -> Self {
        let mut there = BTreeMap::new();
        for (name, member, path, checksum) in [
            (
                "helm",
                "linux-amd64/helm",
                "get.helm.sh/helm-v3.19.0-linux-amd64.tar.gz",
                ".sha256sum",
            ),
            (
                "istioctl",
                "istioctl",
                "release-assets.githubusercontent.com/istio/istio/releases/download/1.28.0/istioctl-1.28.0-linux-amd64.tar.gz",
                ".sha256",
            ),
        ] {
            let program = images::program(&Host::real(), name, &Events::unheard()).await.unwrap();
            let archive = packed(member, &std::fs::read(program.path).unwrap());
            let of_it = format!("{}  {}\n", digest(&archive), path.rsplit('/').next().unwrap());
            there.insert(format!("{path}{checksum}"), of_it.into_bytes());
            there.insert(path.to_owned(), archive);
        }
        Self(there)
    }

    /// The answer of one of these hosts; `None` of every other.
    pub(super) fn answer(&self, host: &str, path: &str) -> Option<Answer> {
        if host == "github.com" && self.0.contains_key(&format!("{ASSETS}{path}")) {
            let location = format!("https://{ASSETS}{path}");
            return Some(said(302, &[("location", &location)], ""));
        }
        if ![HELM, ASSETS].contains(&host) {
            return None;
        }
        Some(match self.0.get(&format!("{host}{path}")) {
            Some(bytes) => said(200, &[], bytes.clone()),
            None => said(404, &[], ""),
        })
    }
}

fn packed(member: &str, program: &[u8]) -> Vec<u8> {
    let packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(packed);
    let mut header = tar::Header::new_gnu();
    header.set_size(program.len() as u64);
    header.set_mode(0o755);
    tar.append_data(&mut header, member, program).unwrap();
    let mut packed = tar.into_inner().unwrap();
    packed.flush().unwrap();
    packed.finish().unwrap()
}
