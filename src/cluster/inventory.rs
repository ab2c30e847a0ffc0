//! What a run has made, written down before it is made, so that a killed run's remains can be found again.
//!
//! One file a run, in the state directory. It is on disk (fsync, rename, fsync of the directory) before `add` returns.
//! It takes nothing away itself: that is [`super::teardown`].

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::ClusterError;
use crate::host::Host;

/// How a cluster is reached again: file and context.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reach {
    /// The kubeconfig file.
    pub(crate) kubeconfig: PathBuf,
    /// The context in it.
    pub(crate) context: String,
}

/// Something that a run makes or changes outside of its own process.
///
/// On disk each is a JSON object whose `kind` is the variant's name, such as `helm-release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Made {
    /// A kind cluster and the kubeconfig file that goes with it.
    KindCluster {
        /// kind's name for it, such as `quickproof-ab12`.
        name: String,
        /// Our own file.
        kubeconfig: PathBuf,
    },
    /// An object in somebody else's cluster, namespaces included.
    Object(MadeObject),
    /// A helm release in somebody else's cluster.
    HelmRelease(HelmRelease),
    /// A gateway provider that its own program installed into somebody else's cluster.
    Provider(ProviderInstallation),
    /// An address of the engine's network, put on a node that stays.
    Address {
        /// The node's container.
        node: String,
        /// The address.
        address: IpAddr,
    },
    /// A Deployment that was scaled for a while: not made, but changed.
    Scaled {
        /// The cluster it is in.
        cluster: Reach,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its uid: only this very object is put back.
        uid: String,
        /// The replicas that it had.
        replicas: i32,
    },
}

/// An object in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeObject {
    /// The cluster it is in.
    pub(crate) cluster: Reach,
    /// Such as `apps/v1`.
    pub(crate) api_version: String,
    /// Such as `Deployment`.
    #[serde(rename = "object-kind")]
    pub(crate) object_kind: String,
    /// `None` where its kind has none.
    pub(crate) namespace: Option<String>,
    /// Its name.
    pub(crate) name: String,
    /// Its uid, once it is made. Without one it cannot be proven to be ours, and is never deleted.
    pub(crate) uid: Option<String>,
}

/// A helm release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelmRelease {
    /// The cluster it is in.
    pub(crate) cluster: Reach,
    /// The `helm` that installed it: a path, or a name to be found on PATH.
    pub(crate) program: PathBuf,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// The uid of the Secret that helm keeps it in ([`HelmRelease::record`]), once that is there.
    pub(crate) uid: Option<String>,
}

impl HelmRelease {
    /// The name of the Secret in which helm keeps the first revision of a release. Source: helm v3,
    /// `pkg/storage/storage.go`, `makeKey`.
    pub(crate) fn record(&self) -> String {
        format!("sh.helm.release.v1.{}.v1", self.name)
    }
}

/// A gateway provider that a program of its own installed, such as `istioctl`. It was noted when the cluster had none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderInstallation {
    /// The cluster it is in.
    pub(crate) cluster: Reach,
    /// The program: a path, or a name to be found on PATH.
    pub(crate) program: PathBuf,
    /// The arguments with which it takes everything away again.
    pub(crate) uninstall: Vec<String>,
    /// The namespace of the Deployment that says whether the provider is there.
    pub(crate) namespace: String,
    /// The name of that Deployment.
    pub(crate) deployment: String,
    /// The uid of that Deployment, once it is there.
    pub(crate) uid: Option<String>,
}

impl Made {
    /// The same, now that its uid is known. What has none stays as it is.
    #[must_use]
    pub(crate) fn with_uid(mut self, uid: Option<String>) -> Self {
        match &mut self {
            Self::Object(MadeObject { uid: own, .. })
            | Self::HelmRelease(HelmRelease { uid: own, .. })
            | Self::Provider(ProviderInstallation { uid: own, .. }) => *own = uid,
            Self::KindCluster { .. } | Self::Address { .. } | Self::Scaled { .. } => {}
        }
        self
    }

    fn uid(&self) -> Option<&str> {
        match self {
            Self::Object(MadeObject { uid, .. })
            | Self::HelmRelease(HelmRelease { uid, .. })
            | Self::Provider(ProviderInstallation { uid, .. }) => uid.as_deref(),
            Self::KindCluster { .. } | Self::Address { .. } | Self::Scaled { .. } => None,
        }
    }

    /// The cluster it is in; `None` for what is in none.
    pub(crate) fn cluster(&self) -> Option<&Reach> {
        match self {
            Self::Object(MadeObject { cluster, .. })
            | Self::HelmRelease(HelmRelease { cluster, .. })
            | Self::Provider(ProviderInstallation { cluster, .. })
            | Self::Scaled { cluster, .. } => Some(cluster),
            Self::KindCluster { .. } | Self::Address { .. } => None,
        }
    }

    /// Whether both are about the same thing, whatever is known of its uid.
    fn is_same(&self, other: &Self) -> bool {
        self.clone().with_uid(None) == other.clone().with_uid(None)
    }
}

impl fmt::Display for Made {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KindCluster { name, .. } => write!(formatter, "kind cluster {name}"),
            Self::Object(object) => match &object.namespace {
                Some(namespace) => write!(formatter, "{} {namespace}/{}", object.object_kind, object.name),
                None => write!(formatter, "{} {}", object.object_kind, object.name),
            },
            Self::HelmRelease(release) => write!(formatter, "helm release {}/{}", release.namespace, release.name),
            Self::Provider(provider) => write!(formatter, "what {} installed", name_of(&provider.program)),
            Self::Address { node, address } => write!(formatter, "address {address} on node {node}"),
            Self::Scaled {
                namespace,
                name,
                replicas,
                ..
            } => write!(formatter, "the {replicas} replicas of Deployment {namespace}/{name}"),
        }?;
        match self.cluster() {
            Some(cluster) => write!(formatter, " in {}", cluster.context),
            None => Ok(()),
        }
    }
}

/// The name of a program that is known by its path.
pub(super) fn name_of(program: &Path) -> String {
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A process, identified by its id and its start time: the id alone is given to another process later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessName {
    /// Process id.
    pub(crate) pid: u32,
    /// Field 22 of `/proc/PID/stat`: clock ticks from boot to its start (proc(5)).
    pub(crate) started: u64,
    /// `/proc/sys/kernel/random/boot_id`: the same pid and ticks can come again after a reboot.
    pub(crate) boot: String,
}

impl ProcessName {
    /// This process. Where there is no `/proc`, start time and boot are empty and only the pid is compared.
    pub(crate) fn own() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            started: start_time(pid).unwrap_or_default(),
            boot: boot(),
        }
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.boot == boot() && start_time(self.pid) == Some(self.started)
    }
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the program's name in brackets, may hold blanks and brackets itself.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// What an inventory file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing {
    /// The run's id.
    pub(crate) run: String,
    /// The process that wrote it.
    pub(crate) process: ProcessName,
    /// Kept on purpose: reaped only when everything is.
    #[serde(default)]
    pub(crate) kept: bool,
    /// What was made, oldest first.
    pub(crate) made: Vec<Made>,
}

impl Listing {
    /// The inventories of all runs, with their files. A file that cannot be understood is left out: it may be of a
    /// newer version, and then it is not ours to judge.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn all(host: &Host) -> Result<Vec<(PathBuf, Self)>, ClusterError> {
        let directory = directory(host);
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(file_error(&directory, "read", source)),
        };
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        paths.sort();
        Ok(paths
            .into_iter()
            .filter_map(|path| Some((path.clone(), serde_json::from_slice(&fs::read(&path).ok()?).ok()?)))
            .collect())
    }

    /// Writes it in place of what the file held.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), ClusterError> {
        let write = || -> io::Result<()> {
            let directory = path.parent().unwrap_or(Path::new("."));
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
            // Without this a power cut may forget the rename.
            File::open(directory)?.sync_all()
        };
        write().map_err(|source| file_error(path, "written", source))
    }
}

fn directory(host: &Host) -> PathBuf {
    host.state_directory().join("runs")
}

fn file_error(path: &Path, doing: &'static str, source: io::Error) -> ClusterError {
    ClusterError::File {
        path: path.to_owned(),
        doing,
        source,
    }
}

/// The inventory of this run; cheap to clone, all clones are one.
#[derive(Debug, Clone)]
pub struct Inventory {
    path: PathBuf,
    listing: Arc<Mutex<Listing>>,
}

impl Inventory {
    /// Begins the inventory of run `id`, replacing one of the same name.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn open(host: &Host, id: &str) -> Result<Self, ClusterError> {
        let directory = directory(host);
        fs::create_dir_all(&directory).map_err(|source| file_error(&directory, "written", source))?;
        let inventory = Self {
            path: directory.join(format!("{id}.json")),
            listing: Arc::new(Mutex::new(Listing {
                run: id.to_owned(),
                process: ProcessName::own(),
                kept: false,
                made: Vec::new(),
            })),
        };
        inventory.lock().write(&inventory.path)?;
        Ok(inventory)
    }

    /// The inventory that a run left behind.
    pub(super) fn left(path: PathBuf, listing: Listing) -> Self {
        Self {
            path,
            listing: Arc::new(Mutex::new(listing)),
        }
    }

    /// Notes something that is about to be made; making it may begin when this returns. Noting it again replaces
    /// what was noted, such as an object now that its uid is known; a uid that is known is not forgotten.
    ///
    /// # Errors
    /// The file cannot be written; then nothing may be made.
    pub(crate) fn add(&self, made: Made) -> Result<(), ClusterError> {
        let mut listing = self.lock();
        match listing.made.iter_mut().find(|earlier| earlier.is_same(&made)) {
            Some(earlier) if earlier.uid().is_some() && made.uid().is_none() => {}
            Some(earlier) => *earlier = made,
            None => listing.made.push(made),
        }
        listing.write(&self.path)
    }

    /// Notes that something is gone.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn remove(&self, made: &Made) -> Result<(), ClusterError> {
        let mut listing = self.lock();
        listing.made.retain(|other| !other.is_same(made));
        listing.write(&self.path)
    }

    /// Whether this is noted, whatever is known of its uid.
    pub(crate) fn has(&self, made: &Made) -> bool {
        self.lock().made.iter().any(|other| other.is_same(made))
    }

    /// Whether an object with this uid is noted. An empty one is nobody's.
    pub(crate) fn has_object(&self, wanted: &str) -> bool {
        let is_it = |made: &Made| matches!(made, Made::Object(object) if object.uid.as_deref() == Some(wanted));
        !wanted.is_empty() && self.lock().made.iter().any(is_it)
    }

    /// What is there, oldest first.
    pub(crate) fn made(&self) -> Vec<Made> {
        self.lock().made.clone()
    }

    /// Notes that what is there stays on purpose after this process has ended.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn keep(&self) -> Result<(), ClusterError> {
        let mut listing = self.lock();
        listing.kept = true;
        listing.write(&self.path)
    }

    /// Ends it: the file goes if nothing is left, and stays for `reap` otherwise.
    ///
    /// # Errors
    /// The file cannot be deleted.
    pub fn close(self) -> Result<(), ClusterError> {
        let listing = self.lock();
        if listing.made.is_empty() {
            fs::remove_file(&self.path).map_err(|source| file_error(&self.path, "deleted", source))?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Listing> {
        // A panic while it was held leaves a list that is still true.
        self.listing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn host(directory: &Path) -> Host {
        Host::with_variables([("XDG_STATE_HOME", directory.to_str().unwrap())])
    }

    fn cluster() -> Reach {
        Reach {
            kubeconfig: "/k".into(),
            context: "kind-a".into(),
        }
    }

    fn address(last: u8) -> Made {
        Made::Address {
            node: "n".into(),
            address: [10, 0, 0, last].into(),
        }
    }

    fn release(uid: Option<&str>) -> Made {
        Made::HelmRelease(HelmRelease {
            cluster: cluster(),
            program: "/bin/helm".into(),
            namespace: "n".into(),
            name: "epp".into(),
            uid: uid.map(Into::into),
        })
    }

    fn provider(uid: Option<&str>) -> Made {
        Made::Provider(ProviderInstallation {
            cluster: cluster(),
            program: "/bin/istioctl".into(),
            uninstall: vec!["uninstall".into()],
            namespace: "istio-system".into(),
            deployment: "istiod".into(),
            uid: uid.map(Into::into),
        })
    }

    fn object(uid: Option<&str>) -> Made {
        Made::Object(MadeObject {
            cluster: cluster(),
            api_version: "v1".into(),
            object_kind: "Namespace".into(),
            namespace: None,
            name: "quickproof-ab12".into(),
            uid: uid.map(Into::into),
        })
    }

    #[test]
    fn what_is_noted_is_on_disk_at_once_and_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let host = host(directory.path());
        let inventory = Inventory::open(&host, "ab12").unwrap();
        inventory.add(address(1)).unwrap();
        inventory.add(object(None)).unwrap();
        let (_, listing) = Listing::all(&host).unwrap().remove(0);
        assert_eq!(listing.run, "ab12");
        assert_eq!(listing.made, [address(1), object(None)]);
        assert!(listing.process.is_alive());
    }

    #[rstest]
    #[case::object(object)]
    #[case::helm_release(release)]
    #[case::provider(provider)]
    fn a_uid_learned_later_replaces_the_entry(#[case] made: fn(Option<&str>) -> Made) {
        let directory = tempfile::tempdir().unwrap();
        let host = host(directory.path());
        let inventory = Inventory::open(&host, "ab12").unwrap();
        inventory.add(made(None)).unwrap();
        inventory.add(made(Some("u-1"))).unwrap();
        // What is about to be made again may be refused, and is still what it was.
        inventory.add(made(None)).unwrap();
        assert_eq!(Listing::all(&host).unwrap()[0].1.made, [made(Some("u-1"))]);
        assert!(inventory.has(&made(None)));
        inventory.remove(&made(None)).unwrap();
        assert!(inventory.made().is_empty());
    }

    #[test]
    fn only_an_object_whose_uid_was_learned_is_known_by_it() {
        let directory = tempfile::tempdir().unwrap();
        let inventory = Inventory::open(&host(directory.path()), "ab12").unwrap();
        inventory.add(object(None)).unwrap();
        assert!(!inventory.has_object("u-1") && !inventory.has_object(""));
        inventory.add(object(Some("u-1"))).unwrap();
        assert!(inventory.has_object("u-1") && !inventory.has_object("u-2"));
    }

    #[rstest]
    #[case(object(None), "Namespace quickproof-ab12 in kind-a")]
    #[case(release(None), "helm release n/epp in kind-a")]
    #[case(provider(None), "what istioctl installed in kind-a")]
    #[case(address(7), "address 10.0.0.7 on node n")]
    fn each_is_named_as_a_person_would(#[case] made: Made, #[case] words: &str) {
        assert_eq!(made.to_string(), words);
    }

    #[test]
    fn what_was_scaled_reads_back_and_says_what_it_had() {
        let directory = tempfile::tempdir().unwrap();
        let host = host(directory.path());
        let inventory = Inventory::open(&host, "ab12").unwrap();
        let scaled = Made::Scaled {
            cluster: cluster(),
            namespace: "n".into(),
            name: "d".into(),
            uid: "u".into(),
            replicas: 3,
        };
        inventory.add(scaled.clone()).unwrap();
        let (_, listing) = Listing::all(&host).unwrap().remove(0);
        assert_eq!(listing.made, std::slice::from_ref(&scaled));
        assert_eq!(scaled.to_string(), "the 3 replicas of Deployment n/d in kind-a");
        inventory.remove(&scaled).unwrap();
        assert!(inventory.made().is_empty());
    }

    #[test]
    fn it_goes_when_empty_and_stays_when_not() {
        let directory = tempfile::tempdir().unwrap();
        let host = host(directory.path());
        let inventory = Inventory::open(&host, "ab12").unwrap();
        inventory.add(address(1)).unwrap();
        inventory.clone().close().unwrap();
        assert_eq!(Listing::all(&host).unwrap().len(), 1);
        inventory.remove(&address(1)).unwrap();
        inventory.close().unwrap();
        assert!(Listing::all(&host).unwrap().is_empty());
    }

    #[test]
    fn a_half_written_file_beside_it_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let host = host(directory.path());
        let inventory = Inventory::open(&host, "ab12").unwrap();
        inventory.add(address(1)).unwrap();
        let runs = directory.path().join("quickproof/runs");
        // What a kill between writing and renaming leaves, and a cut-off file of the time before we renamed.
        fs::write(runs.join(".tmpAbC123"), "{\"run\":").unwrap();
        fs::write(runs.join("dead.json"), "{\"run\":").unwrap();
        let all = Listing::all(&host).unwrap();
        assert!(matches!(&all[..], [(_, only)] if only.made == [address(1)]));
    }

    #[test]
    fn a_process_that_took_over_the_pid_is_not_the_one_that_wrote() {
        let own = ProcessName::own();
        let earlier = ProcessName {
            started: own.started.wrapping_sub(1),
            ..own.clone()
        };
        let before_reboot = ProcessName {
            boot: "another".into(),
            ..own.clone()
        };
        assert!(own.is_alive() && !earlier.is_alive() && !before_reboot.is_alive());
    }
}
