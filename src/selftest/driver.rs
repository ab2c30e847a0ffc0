//! Carries seeds out on a cluster: a child of this program for each, in a namespace of its own.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::DeleteParams};
use serde_json::Value;
use tokio::{sync::mpsc, time::Instant};

use super::{
    Base, Class, Expected, Grace, Mood, Row, Says, Seed, changed, interfering::interfere, judge, proxy::Proxy,
    signs::Watching,
};
use crate::{
    cluster::{
        Cluster,
        resources::Resources,
        watching::{Progress, until_object},
    },
    host::{Call, Ended, Host, HostError, files, in_words},
    record::{Event, Journal, milliseconds},
    release::{DirectoryTree, EmbeddedTree},
    verdict::Outcome,
};

/// The row of the quickstart itself, which comes before all others.
pub(crate) const HEALTHY: &str = "healthy";

/// The longest that one run may take; what is waited for in vain takes ten minutes of it.
const RUN_LIMIT: Duration = Duration::from_mins(20);

/// How long the namespace of the first run may take to go: its endpoint picker has 130 s to end.
const GONE_LIMIT: Duration = Duration::from_mins(3);

/// The longest report that is read.
const MOST_BYTES: u64 = 64 << 20;

/// Who carries seeds out.
pub(crate) struct Driver {
    host: Host,
    /// This program.
    executable: String,
    /// The cluster, by the name that `verify --cluster` takes.
    name: String,
    /// Its context.
    context: String,
    /// Whether it is a kind cluster of ours, which a run treats as such.
    is_ours: bool,
    kubeconfig: Option<PathBuf>,
    client: kube::Client,
    resources: Resources,
    /// The files of a release, where there are some.
    release: Option<DirectoryTree>,
    /// Where each run leaves its reports.
    directory: PathBuf,
}

/// Why nothing can be said of any seed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DriverError {
    /// The quickstart without a fault does not pass there.
    #[error(
        "the quickstart without any fault does not pass on this cluster ({got}), so that a red run of a fault would show nothing; see {reports}"
    )]
    Unhealthy {
        /// What came of it.
        got: String,
        /// Where its reports are.
        reports: String,
    },
    /// The namespace of the first run cannot be taken away.
    #[error("cannot delete the namespace `{name}` of the first run: {what}")]
    Namespace {
        /// Its name.
        name: String,
        /// Why.
        what: String,
    },
}

/// A run as it went.
struct Went {
    ended: Result<Ended, HostError>,
    /// When each check was decided.
    decided: BTreeMap<String, Instant>,
    /// What should have happened meanwhile and did not.
    misses: Vec<String>,
}

impl Driver {
    /// One for a cluster, whose runs leave their reports below `directory`.
    pub(crate) fn new(
        host: Host,
        executable: String,
        cluster: &Cluster,
        kubeconfig: Option<PathBuf>,
        release: Option<DirectoryTree>,
        directory: PathBuf,
    ) -> Self {
        Self {
            host,
            executable,
            name: cluster.name.clone(),
            context: cluster.context.clone(),
            is_ours: cluster.node_container().is_some(),
            kubeconfig,
            client: cluster.client.clone(),
            resources: Resources::new(cluster.client.clone()),
            release,
            directory,
        }
    }

    /// Carries out the quickstart without a fault, and leaves the gateway's provider and the CRDs where they are, so that what
    /// comes after takes seconds.
    ///
    /// # Errors
    /// It does not pass.
    pub(crate) async fn healthy(&self) -> Result<Row, DriverError> {
        let seed = Seed {
            name: HEALTHY.to_owned(),
            class: Class::Oddity,
            stands_for: "The embedded quickstart as it is.".to_owned(),
            shipped: None,
            base: Base::Quickstart,
            change: Vec::new(),
            meanwhile: Vec::new(),
            api_server: Vec::new(),
            lint: None,
            run: Some(Expected {
                outcome: Outcome::Passed,
                or_passes: false,
                cause: None,
                blame: None,
                names: Vec::new(),
                grace: Grace::None,
            }),
            sign: None,
            arguments: vec!["--keep".to_owned()],
            file: String::new(),
        };
        let row = self.row(&seed).await;
        let name = namespace_of(&seed);
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let still_there = |what: String| DriverError::Namespace {
            name: name.clone(),
            what,
        };
        // The next selftest of this cluster begins with it again, also where this one was not healthy.
        let is_gone = |namespace: Option<&Namespace>| match namespace {
            None => Progress::Ready(()),
            Some(_) => Progress::NotYet("it is there".to_owned()),
        };
        let gone = async {
            let deleted = namespaces.delete(&name, &DeleteParams::foreground()).await;
            deleted.map_err(|error| still_there(in_words(&error)))?;
            let gone = until_object(namespaces, &name, GONE_LIMIT, is_gone, |_| ()).await;
            gone.map_err(|error| still_there(in_words(&error)))
        };
        let gone = gone.await;
        if !row.misses.is_empty() {
            return Err(DriverError::Unhealthy {
                got: row.misses.join("; "),
                reports: row.reports.unwrap_or_default(),
            });
        }
        gone.map(|()| row)
    }

    /// Carries one seed out.
    pub(crate) async fn row(&self, seed: &Seed) -> Row {
        let mut row = Row::of(seed);
        let Some(expected) = &seed.run else {
            row.not_run = Some("it needs no run".to_owned());
            return row;
        };
        row.expected = expected.to_string();
        row.grace = seed.sign.is_some().then_some(expected.grace);
        if seed.base == Base::Release && self.release.is_none() {
            row.not_run = Some("it changes the files of a release, and no `--tree` names one".to_owned());
            return row;
        }
        let began = Instant::now();
        let directory = self.directory.join(&seed.name);
        row.reports = Some(directory.display().to_string());
        if let Err(error) = self.prepare(seed, &directory) {
            row.misses.push(error);
            return row;
        }
        let watching = self.watch(seed).await;
        let proxy = match self.proxy(seed, &directory).await {
            Ok(proxy) => proxy,
            Err(error) => {
                row.misses
                    .push(format!("there is no proxy before the API server: {}", in_words(&error)));
                return row;
            }
        };
        let went = self.run(seed, &directory, proxy.as_ref()).await;
        let is_away = seed.api_server.iter().any(|mood| mood.says != Says::AsItShould);
        row.requests = proxy.as_ref().filter(|_| !is_away).map(Proxy::asked);
        row.took_ms = milliseconds(began.elapsed());
        let report = files::read(&directory.join("record.json"), MOST_BYTES).ok();
        let report: Value = report
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        row.got = judge::got(&report);
        row.misses = went.misses;
        if is_away && proxy.is_some_and(|proxy| proxy.refused() == 0) {
            row.misses
                .push("nothing was asked of the API server while it was away".to_owned());
        }
        row.misses.extend(judge::misses(expected, &report));
        match (&went.ended, report["exit_code"].as_i64()) {
            (Ok(ended), Some(code)) if ended.status.code().map(i64::from) == Some(code) => {}
            (Ok(ended), code) => row.misses.push(format!(
                "it ends with {} and its report says {code:?}: {}",
                ended.status,
                ended.last_words()
            )),
            (Err(error), _) => row.misses.push(in_words(error)),
        }
        match watching {
            Ok(watching) => {
                let called = report["root_cause"]["check"]
                    .as_str()
                    .and_then(|check| went.decided.get(check));
                let first = watching.as_ref().and_then(Watching::first);
                if let (Some(first), Some(called)) = (first, called) {
                    row.sign_to_call_ms = Some(milliseconds(called.saturating_duration_since(first)));
                } else if watching.is_some() {
                    row.misses.push("its sign was not seen before it ended".to_owned());
                }
            }
            Err(why) => row.misses.push(why),
        }
        row
    }

    /// The changed files, in an empty directory.
    fn prepare(&self, seed: &Seed, directory: &Path) -> Result<(), String> {
        match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(in_words(&error)),
            _ => {}
        }
        let tree = directory.join("tree");
        let copied = match (seed.base, &self.release) {
            (Base::Release, Some(release)) => changed::copy(release, &tree),
            _ => changed::copy(&EmbeddedTree, &tree),
        };
        let changed = copied.and_then(|()| changed::change(&seed.change, &tree));
        changed.map_err(|error| in_words(&error))
    }

    async fn watch(&self, seed: &Seed) -> Result<Option<Watching>, String> {
        let Some(sign) = &seed.sign else { return Ok(None) };
        let resource = self.resources.of_kind(&sign.api_version, &sign.kind).await;
        let resource = resource.map_err(|error| in_words(&error))?;
        let resource = resource.ok_or_else(|| format!("the cluster has no {} to show a sign", sign.kind))?;
        Ok(Some(Watching::start(
            &self.client,
            &resource,
            &namespace_of(seed),
            sign,
        )))
    }

    /// A proxy before the API server, for a run that meets its moods or whose requests are counted.
    async fn proxy(&self, seed: &Seed, directory: &Path) -> io::Result<Option<Proxy>> {
        if seed.api_server.is_empty() {
            return Ok(None);
        }
        let proxy = Proxy::start(self.client.clone()).await?;
        let path = self.way_through(directory);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        proxy.write_kubeconfig(&path, &self.context)?;
        Ok(Some(proxy))
    }

    /// Where the kubeconfig is that leads through a proxy.
    fn way_through(&self, directory: &Path) -> PathBuf {
        let place = directory.join("state/quickproof/clusters");
        place.join(format!("{}.kubeconfig", self.name))
    }

    async fn run(&self, seed: &Seed, directory: &Path, proxy: Option<&Proxy>) -> Went {
        let path = |name: &str| directory.join(name).to_string_lossy().into_owned();
        let mut call = Call::new(&self.executable)
            .args(["verify", "--cluster", &self.name, "--namespace", &namespace_of(seed)])
            .args(["--tree", &path("tree"), "--output-dir", &path("runs")])
            .args(["--json-file", &path("record.json")])
            .args(seed.arguments.clone())
            .time_limit(RUN_LIMIT);
        let through = proxy.map(|_| self.way_through(directory));
        if self.is_ours && through.is_some() {
            // Known as one of ours, as without a proxy: by its place.
            call = call.variable("XDG_STATE_HOME", path("state"));
        } else if let Some(kubeconfig) = through.as_ref().or(self.kubeconfig.as_ref()) {
            call = call.args(["--kubeconfig".into(), kubeconfig.to_string_lossy()]);
        }
        let mut went = Went {
            ended: Err(HostError::ProgramMissing {
                program: self.executable.clone(),
            }),
            decided: BTreeMap::new(),
            misses: Vec::new(),
        };
        let mut open: Vec<_> = seed.meanwhile.iter().collect();
        let mut moods: Vec<&Mood> = seed.api_server.iter().collect();
        begin_due(&mut moods, proxy, &|_| false);
        // A run says something once it has decided something, and has written it down before.
        let (heard, mut lines) = mpsc::unbounded_channel();
        let mut hear = move |_: &str| {
            let _ = heard.send(());
        };
        let running = self.host.run_with(&call, &mut hear);
        let following = async {
            while lines.recv().await.is_some() {
                note_decided(&directory.join("runs"), &mut went.decided);
                let is_decided = |check: &str| {
                    let check = check.replace("NAMESPACE", &namespace_of(seed));
                    went.decided.contains_key(&check)
                };
                begin_due(&mut moods, proxy, &is_decided);
                while let Some(at) = open.iter().position(|one| is_decided(&one.after)) {
                    let due = open.remove(at);
                    let done = interfere(&self.client, &self.resources, &namespace_of(seed), &due.what).await;
                    if let Err(why) = done {
                        went.misses
                            .push(format!("what should happen after `{}` did not: {why}", due.after));
                    }
                }
            }
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            ended = running => Some(ended),
            () = following => None,
        };
        if let Some(ended) = ended {
            went.ended = ended;
        }
        let never = open.iter().map(|one| one.after.as_str());
        let never = never.chain(moods.iter().filter_map(|mood| mood.after.as_deref()));
        let never = never.map(|after| format!("it ended before `{after}` was decided"));
        went.misses.extend(never);
        went
    }
}

/// Begins the moods of which the check that they come after is decided, and takes them out.
fn begin_due(moods: &mut Vec<&Mood>, proxy: Option<&Proxy>, is_decided: &dyn Fn(&str) -> bool) {
    moods.retain(|mood| {
        let is_due = mood.after.as_deref().is_none_or(is_decided);
        if is_due && let Some(proxy) = proxy {
            proxy.begin(mood.says, Duration::from_secs(mood.seconds.into()));
        }
        !is_due
    });
}

fn namespace_of(seed: &Seed) -> String {
    format!("selftest-{}", seed.name)
}

/// Notes when checks were decided that the journal of the one run in a directory tells of, and which were not known yet.
fn note_decided(runs: &Path, decided: &mut BTreeMap<String, Instant>) {
    let journals = std::fs::read_dir(runs).into_iter().flatten().filter_map(Result::ok);
    for journal in journals.map(|run| run.path().join("journal.jsonl")) {
        // Before the run has begun there is none.
        let Ok(journaled) = Journal::read(&journal) else {
            continue;
        };
        for event in journaled.events {
            if let Event::Decided { decision } = event {
                decided.entry(decision.check).or_insert_with(Instant::now);
            }
        }
    }
}
