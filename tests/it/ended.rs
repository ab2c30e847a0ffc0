//! Runs of the built binary that are ended at random moments, against an API server on the loopback interface: the reports
//! parse, none says passed, what was decided stands in them, and nothing stays in the cluster.

use std::{
    collections::BTreeSet,
    fs,
    hash::{BuildHasher as _, RandomState},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use quickproof::record::{Event, Journal};
use rstest::rstest;
use serde_json::Value;

use crate::{
    api_server::{
        ApiServer, Asked, Body, EVERYTHING, Mood, On, Says, Verb, directory_in_memory, kubeconfig, write_release,
    },
    served_api::ServedApi,
};

/// How many moments each signal comes at.
const MOMENTS: usize = 100;
/// How many runs go on at once: most of each is waiting.
const AT_ONCE: usize = 4;
/// The longest that a run may take from its signal on, on a machine that is busy.
const BOUND: Duration = Duration::from_mins(1);

/// What the guide does.
const COMMANDS: &str = "
kubectl apply -f m/definitions.yaml
kubectl apply -f m/objects.yaml
kubectl label configmap settings tier=gate
kubectl get pods
kubectl delete configmap passing
";

/// A release, a cluster of somebody else, and where a run of it is.
struct Desk {
    directory: tempfile::TempDir,
    server: ApiServer,
    _served: ServedApi,
}

impl Desk {
    fn new(server: ApiServer) -> Self {
        let listening = ServedApi::on_loopback(&server);
        let directory = directory_in_memory();
        write_release(&directory.path().join("tree"), COMMANDS, &EVERYTHING);
        fs::write(directory.path().join("config"), kubeconfig(&listening.address)).unwrap();
        Self {
            directory,
            server,
            _served: listening,
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the binary is what is tested, so a test starts it"
    )]
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("quickproof"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("HOME", self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn run(&self) -> Child {
        let arguments = [
            "verify --tree tree --release v1.5.0 --variant sim --provider gke --cluster theirs --kubeconfig config",
            "-n quickstart --timeout 20s --requests 1",
        ]
        .join(" ");
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let said = fs::File::create(self.directory.path().join("said")).unwrap();
        self.command(&arguments).stderr(said).spawn().unwrap()
    }

    /// What the run said on standard error.
    fn said(&self) -> String {
        fs::read_to_string(self.directory.path().join("said")).unwrap()
    }

    /// How a run ends that is not disturbed, and how many requests that takes.
    fn undisturbed(&self) -> usize {
        let ended = ended(self.run());
        assert!(ended.code().is_some_and(|code| [1, 4].contains(&code)), "{ended}");
        self.server.asked().len()
    }

    /// Waits until the API server was asked so often, and so long after that. `false` where the run has ended before: its id is
    /// then another process's to have.
    fn comes(&self, run: &mut Child, moment: &Moment) -> bool {
        let mut reached = None;
        while run.try_wait().unwrap().is_none() {
            if self.server.asked().len() >= moment.requests {
                let since = *reached.get_or_insert_with(Instant::now);
                if since.elapsed() >= moment.after {
                    return true;
                }
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        false
    }

    fn report(&self, name: &str) -> PathBuf {
        let runs = fs::read_dir(self.directory.path().join("quickproof-runs"));
        let runs: Vec<PathBuf> = runs.into_iter().flatten().map(|run| run.unwrap().path()).collect();
        assert_eq!(runs.len(), 1, "{runs:?}: {}", self.said());
        runs[0].join(name)
    }

    fn record(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.report("record.json")).unwrap()).unwrap()
    }

    /// What is in the cluster that was not there before.
    fn remains(&self) -> BTreeSet<String> {
        let all: BTreeSet<String> = self.server.objects().into_iter().collect();
        let before: BTreeSet<String> = ApiServer::new().objects().into_iter().collect();
        all.difference(&before).cloned().collect()
    }

    /// Every file below the state directory.
    fn inventories(&self) -> Vec<PathBuf> {
        let runs = self.directory.path().join(".local/state/quickproof/runs");
        let files = fs::read_dir(runs).into_iter().flatten();
        files.map(|file| file.unwrap().path()).collect()
    }
}

/// When a signal comes.
#[derive(Debug)]
struct Moment {
    /// After so many requests.
    requests: usize,
    /// And so long.
    after: Duration,
    /// How late the API server answers that it has made something: the signal comes while it is not known.
    late: Duration,
}

/// Numbers that look random, the same for the same seed. Source: Vigna, `splitmix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn moment(&mut self, requests: usize) -> Moment {
        Moment {
            requests: 1 + usize::try_from(self.below(requests as u64)).unwrap(),
            after: Duration::from_millis(self.below(25)),
            late: Duration::from_millis(self.below(4) * 15),
        }
    }
}

#[track_caller]
fn ended(mut run: Child) -> ExitStatus {
    let since = Instant::now();
    loop {
        if let Some(status) = run.try_wait().unwrap() {
            return status;
        }
        assert!(since.elapsed() < BOUND, "the run does not end");
        thread::park_timeout(Duration::from_millis(2));
    }
}

#[expect(clippy::disallowed_methods, reason = "the standard library sends no signals")]
fn send(signal: &str, run: &Child) {
    // One that has ended meanwhile hears nothing.
    Command::new("kill")
        .args([&format!("-{signal}"), &run.id().to_string()])
        .stderr(Stdio::null())
        .status()
        .unwrap();
}

/// What is wrong after a run that a signal has ended at this moment.
fn ended_at(moment: &Moment, signal: &str, code: i32) -> Vec<String> {
    let late = Mood::new(On::Verb(Verb::Apply), Says::AsItShould).late(moment.late);
    let desk = Desk::new(ApiServer::new().in_mood(late));
    let mut run = desk.run();
    if desk.comes(&mut run, moment) {
        send(signal, &run);
    }
    let status = ended(run);
    let mut wrong = Vec::new();
    let mut expect = |holds: bool, what: String| wrong.extend((!holds).then_some(what));
    let mut record = desk.record();
    let junit = fs::read_to_string(desk.report("junit_quickproof.xml")).unwrap();
    expect(
        junit.trim_end().ends_with("</testsuites>"),
        "the JUnit report is cut".to_owned(),
    );
    expect(record["outcome"] != "passed", "the record says passed".to_owned());
    if signal == "KILL" {
        let reaped = desk.command(&["reap"]).stdout(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&reaped.stdout);
        expect(
            reaped.status.success(),
            format!("`reap` ends with {}: {said}", reaped.status),
        );
        let told = record["decisions"].as_array().map_or(0, Vec::len);
        // Its reports may be some checks behind its journal, from which they are made again.
        let run = desk.report("journal.jsonl");
        let again = desk
            .command(&["report", run.parent().unwrap().to_str().unwrap()])
            .status()
            .unwrap();
        record = desk.record();
        expect(
            again.code() != Some(0) && record["outcome"] != "passed",
            format!("`report` ends with {again}"),
        );
        let decided = record["decisions"].as_array().map_or(0, Vec::len);
        expect(
            told <= decided,
            format!("{told} decisions in the first record, {decided} in the second"),
        );
    } else {
        // One that comes when all is written ends the process as it would any other.
        let recorded = record["exit_code"].as_i64().and_then(|code| i32::try_from(code).ok());
        let said = [recorded, Some(code)].contains(&status.code());
        expect(said, format!("it ends with {status}, and the record says {recorded:?}"));
        let interrupted = !record["interrupted"].is_null();
        expect(
            !interrupted || recorded == Some(code),
            format!("interrupted, the record says {recorded:?}"),
        );
        let left = &record["left_behind"];
        expect(
            left.as_array().is_some_and(Vec::is_empty),
            format!("left behind: {left}"),
        );
    }
    let journaled = Journal::read(&desk.report("journal.jsonl")).unwrap().events;
    let is_decided = |event: &&Event| matches!(event, Event::Decided { .. });
    let decided = journaled.iter().filter(is_decided).count();
    let told = record["decisions"].as_array().map_or(0, Vec::len);
    expect(
        decided == told,
        format!("{decided} decisions in the journal, {told} in the record"),
    );
    expect(
        desk.remains().is_empty(),
        format!("in the cluster stay {:?}", desk.remains()),
    );
    expect(
        desk.inventories().is_empty(),
        format!("in the state directory stay {:?}", desk.inventories()),
    );
    wrong
}

#[rstest]
#[case::interrupted("INT", 130)]
#[case::ended("TERM", 143)]
#[case::its_terminal_closed("HUP", 129)]
#[case::killed_and_reaped("KILL", 137)]
fn a_run_that_ends_at_any_moment_leaves_true_reports_and_nothing_else(#[case] signal: &str, #[case] code: i32) {
    let seed = RandomState::new().hash_one(signal);
    let requests = Desk::new(ApiServer::new()).undisturbed();
    let mut random = Random(seed);
    let moments: Vec<Moment> = (0..MOMENTS).map(|_| random.moment(requests)).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(moment) = moments.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let wrong = ended_at(moment, signal, code);
                    assert!(
                        wrong.is_empty(),
                        "seed {seed}, {moment:?} of {requests} requests: {wrong:#?}"
                    );
                }
            });
        }
    });
}

/// The object is looked for twice, and the definition of its kind goes between the two looks.
#[test]
fn what_was_asked_for_and_loses_its_kind_is_gone() {
    let never = Mood::new(On::Of(Verb::Apply, "things"), Says::Silence);
    let desk = Desk::new(ApiServer::new().in_mood(never));
    let mut run = desk.run();
    let is_asked = |asked: &Asked| asked.verb == Verb::Apply && asked.resource == "things";
    while !desk.server.asked().iter().any(is_asked) {
        assert!(run.try_wait().unwrap().is_none(), "{}", desk.said());
        thread::park_timeout(Duration::from_millis(1));
    }
    send("KILL", &run);
    ended(run);
    let reaped = desk.command(&["reap"]).stdout(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&reaped.stdout);
    assert!(reaped.status.success(), "{}: {said}", reaped.status);
    assert!(said.contains("gone     Thing quickstart/one in theirs"), "{said}");
    assert!(desk.remains().is_empty() && desk.inventories().is_empty(), "{said}");
}

/// A run whose answers to a verb are lost after they took effect: its reports name whatever stays.
#[rstest]
#[case::in_trouble(Says::Answer(500, Body::Status("InternalError")))]
#[case::a_login(Says::Answer(401, Body::Html))]
#[case::a_gateway(Says::Answer(504, Body::Html))]
#[case::a_page(Says::Answer(200, Body::Html))]
#[case::nothing(Says::Answer(200, Body::Empty))]
#[case::cut(Says::Answer(200, Body::Cut))]
#[case::closed(Says::Closed)]
fn where_answers_are_lost_after_their_effect_nothing_stays(
    #[values(Verb::Apply, Verb::Delete, Verb::Patch)] verb: Verb,
    #[case] says: Says,
) {
    let lost = Mood::new(On::Verb(verb), says).made().calls(2, 3);
    let desk = Desk::new(ApiServer::new().in_mood(lost));
    let status = ended(desk.run());
    let (record, remains) = (desk.record(), desk.remains());
    assert!(status.code().is_some_and(|code| code != 0), "{status}");
    assert!(remains.is_empty(), "{remains:?}: {:#}", record["left_behind"]);
    assert!(desk.inventories().is_empty());
}
