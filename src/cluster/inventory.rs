//! What a run has made, written down before it is made, so that a killed run's remains can be found again.
//!
//! One file a run, in the state directory. It is on disk (fsync, rename, fsync of the directory) before `add` returns.
//! It deletes nothing itself: that is [`super::reap`] and the run's own teardown.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::ClusterError;
use crate::host::Host;

/// How a cluster is reached again: file and context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// The kubeconfig file; `None` means the person's own.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it.
    pub context: String,
}

/// Something a run makes outside of its own process.
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
    /// A container of the engine.
    Container {
        /// Its name.
        name: String,
    },
    /// A network of the engine.
    Network {
        /// Its name.
        name: String,
    },
    /// A volume of the engine.
    Volume {
        /// Its name.
        name: String,
    },
    /// A file, never a directory.
    File {
        /// Its full path.
        path: PathBuf,
    },
    /// An object in a cluster, namespaces included.
    Object {
        /// The cluster it is in.
        cluster: Reach,
        /// Such as `apps/v1`.
        api_version: String,
        /// Such as `Deployment`.
        #[serde(rename = "object-kind")]
        object_kind: String,
        /// `None` where its kind has none.
        namespace: Option<String>,
        /// Its name.
        name: String,
        /// Its uid, once it is made. Without one it cannot be proven to be ours, and is never deleted.
        uid: Option<String>,
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

impl std::fmt::Display for Made {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::KindCluster { name, .. } => write!(formatter, "kind cluster {name}"),
            Self::Container { name } => write!(formatter, "container {name}"),
            Self::Network { name } => write!(formatter, "network {name}"),
            Self::Volume { name } => write!(formatter, "volume {name}"),
            Self::File { path } => write!(formatter, "file {}", path.display()),
            Self::Object {
                cluster,
                object_kind,
                namespace,
                name,
                ..
            } => {
                let slash = namespace.as_deref().map(|namespace| format!("{namespace}/"));
                let slash = slash.unwrap_or_default();
                write!(formatter, "{object_kind} {slash}{name} in {}", cluster.context)
            }
            Self::Scaled {
                cluster,
                namespace,
                name,
                replicas,
                ..
            } => {
                let context = &cluster.context;
                write!(
                    formatter,
                    "the {replicas} replicas of Deployment {namespace}/{name} in {context}"
                )
            }
        }
    }
}

/// A process, named for good: its id is used again after it ends, its start time is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessName {
    /// Process id.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`: clock ticks from boot to its start (proc(5)).
    pub started: u64,
    /// `/proc/sys/kernel/random/boot_id`: the same pid and ticks can come again after a reboot.
    pub boot: String,
}

impl ProcessName {
    /// This process. Where there is no `/proc`, start time and boot are empty and only the pid is compared.
    pub fn own() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            started: start_time(pid).unwrap_or_default(),
            boot: boot(),
        }
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
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
pub struct Listing {
    /// The run's id.
    pub run: String,
    /// The process that wrote it.
    pub process: ProcessName,
    /// Kept on purpose: reaped only when everything is.
    #[serde(default)]
    pub kept: bool,
    /// What was made, oldest first.
    pub made: Vec<Made>,
}

impl Listing {
    /// The inventories of all runs, with their files. A file that cannot be understood is left out: it may be of a
    /// newer version, and then it is not ours to judge.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn all(host: &Host) -> Result<Vec<(PathBuf, Self)>, ClusterError> {
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
    pub fn write(&self, path: &Path) -> Result<(), ClusterError> {
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

    /// Notes something that is about to be made; making it may begin when this returns. Noting it again replaces
    /// what was noted, such as an object now that its uid is known.
    ///
    /// # Errors
    /// The file cannot be written; then nothing may be made.
    pub fn add(&self, made: Made) -> Result<(), ClusterError> {
        let mut listing = self.lock();
        match listing.made.iter_mut().find(|earlier| same(earlier, &made)) {
            Some(earlier) => *earlier = made,
            None => listing.made.push(made),
        }
        listing.write(&self.path)
    }

    /// Notes that something is gone.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn remove(&self, made: &Made) -> Result<(), ClusterError> {
        let mut listing = self.lock();
        listing.made.retain(|other| !same(other, made));
        listing.write(&self.path)
    }

    /// What is there, oldest first.
    pub fn made(&self) -> Vec<Made> {
        self.lock().made.clone()
    }

    /// Notes that what is there stays on purpose after this process has ended.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self) -> Result<(), ClusterError> {
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

/// Whether two entries are about the same thing, whatever is known of its uid.
pub(super) fn same(one: &Made, other: &Made) -> bool {
    let without_uid = |made: &Made| {
        let mut made = made.clone();
        if let Made::Object { uid, .. } = &mut made {
            *uid = None;
        }
        made
    };
    without_uid(one) == without_uid(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(directory: &Path) -> Host {
        Host::with_variables([("XDG_STATE_HOME", directory.to_str().unwrap())])
    }

    fn container(name: &str) -> Made {
        Made::Container { name: name.into() }
    }

    fn object(uid: Option<&str>) -> Made {
        Made::Object {
            cluster: Reach {
                kubeconfig: None,
                context: "kind-a".into(),
            },
            api_version: "v1".into(),
            object_kind: "Namespace".into(),
            namespace: None,
            name: "quickproof-ab12".into(),
            uid: uid.map(Into::into),
        }
    }

    #[test]
    fn what_is_noted_is_on_disk_at_once_and_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let host = host(directory.path());
        let inventory = Inventory::open(&host, "ab12").unwrap();
        inventory.add(container("one")).unwrap();
        inventory.add(object(None)).unwrap();
        let (_, listing) = Listing::all(&host).unwrap().remove(0);
        assert_eq!(listing.run, "ab12");
        assert_eq!(listing.made, [container("one"), object(None)]);
        assert!(listing.process.is_alive());
    }

    #[test]
    fn a_uid_learned_later_replaces_the_entry() {
        let directory = tempfile::tempdir().unwrap();
        let inventory = Inventory::open(&host(directory.path()), "ab12").unwrap();
        inventory.add(object(None)).unwrap();
        inventory.add(object(Some("u-1"))).unwrap();
        assert_eq!(inventory.made(), [object(Some("u-1"))]);
        inventory.remove(&object(None)).unwrap();
        assert!(inventory.made().is_empty());
    }

    #[test]
    fn what_was_scaled_reads_back_and_says_what_it_had() {
        let directory = tempfile::tempdir().unwrap();
        let host = host(directory.path());
        let inventory = Inventory::open(&host, "ab12").unwrap();
        let scaled = Made::Scaled {
            cluster: Reach {
                kubeconfig: None,
                context: "kind-a".into(),
            },
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
        inventory.add(container("one")).unwrap();
        inventory.clone().close().unwrap();
        assert_eq!(Listing::all(&host).unwrap().len(), 1);
        inventory.remove(&container("one")).unwrap();
        inventory.close().unwrap();
        assert!(Listing::all(&host).unwrap().is_empty());
    }

    #[test]
    fn a_half_written_file_beside_it_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let host = host(directory.path());
        let inventory = Inventory::open(&host, "ab12").unwrap();
        inventory.add(container("one")).unwrap();
        let runs = directory.path().join("quickproof/runs");
        // What a kill between writing and renaming leaves, and a cut-off file of the time before we renamed.
        fs::write(runs.join(".tmpAbC123"), "{\"run\":").unwrap();
        fs::write(runs.join("dead.json"), "{\"run\":").unwrap();
        let all = Listing::all(&host).unwrap();
        assert!(matches!(&all[..], [(_, only)] if only.made == [container("one")]));
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
