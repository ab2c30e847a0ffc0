//! `quickproof selftest`: faults that are known must turn the verdict red, each with the right cause; what is healthy must not.

use std::{
    num::NonZeroUsize,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use clap::{Args, ValueEnum};
use futures::StreamExt as _;

use crate::{
    cli::{CliContext, Output, Usage, block_on},
    cluster::{self, Cluster, ExistingCluster},
    host::{Call, Host, Signals},
    record::Events,
    redact::Redactor,
    release::DirectoryTree,
    report::{Line, Look, Tone},
    selftest::{Came, Driver, Library, Results, Row, Seed, quickly, seconds},
    verdict::ExitCode,
};

/// Seed faults that are known, and see that each turns the verdict red with the right cause.
///
/// A fault is a file: what is changed in a quickstart that works, and what must come of it. Without names all are carried out:
/// first what needs no cluster (`--quick`), then, after the quickstart as it is, a run for each in a namespace of its own, in a
/// kind cluster that is made for it and taken away, or in the one that `--cluster` names; there the CRDs and the gateway
/// provider stay. Exit code 1 where anything came to something else than it must, 0 where nothing did.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  quickproof selftest --quick\n  quickproof selftest --list\n  quickproof selftest 'pool-.*' --cluster kind-demo\n  quickproof selftest --jobs 3 -o markdown"
)]
pub(crate) struct SelftestArguments {
    /// Only these: a name, or a regular expression for whole names
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only what needs no cluster: answers, and what `lint` finds; takes seconds
    #[arg(long)]
    quick: bool,
    /// List what there is, and carry nothing out
    #[arg(long, conflicts_with = "quick")]
    list: bool,
    /// Of each class only one run, another with each number: all have had their turn when the number has gone through as many as
    /// the largest class has
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["names", "quick"])]
    turn: Option<usize>,
    /// A directory with faults of your own, in place of those that come with quickproof
    #[arg(long, value_name = "DIR")]
    faults: Option<PathBuf>,
    /// The files of the release that faults of a release change; without it those are not carried out
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,
    /// An existing cluster, by the name of its kubeconfig context; its CRDs and gateway provider are installed where it has none,
    /// and stay
    #[arg(long, visible_alias = "context", value_name = "CONTEXT")]
    cluster: Option<String>,
    /// The kubeconfig file that knows the cluster; without it `KUBECONFIG` and then `~/.kube/config`
    #[arg(long, value_name = "FILE", requires = "cluster")]
    kubeconfig: Option<PathBuf>,
    /// So many at the same time
    #[arg(long, value_name = "NUMBER", default_value = "2")]
    jobs: NonZeroUsize,
    /// Where each run leaves its reports, and `selftest.json`, which is written anew after each
    #[arg(long, value_name = "DIR", default_value = "quickproof-runs/selftest")]
    output_dir: PathBuf,
    /// How to say it
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Form,
}

/// How to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A line for each as it comes, and for what missed why
    Text,
    /// An object with `rows`: `name`, `class`, `expected`, `got`, `misses`, `sign_to_call_ms`, `took_ms`, `reports`
    Json,
    /// A table
    Markdown,
}

/// The cluster that is made where none is named.
const OWN: &str = "selftest";

/// How long the API server of a cluster gets to answer for the first time.
const OPENING_LIMIT: Duration = Duration::from_secs(30);

/// Why it ended.
enum Ended {
    Done(anyhow::Result<()>),
    Signal(&'static str),
}

/// Does it.
///
/// # Errors
/// A file or a name is wrong, no cluster can be had, or the quickstart as it is does not pass there.
pub(crate) fn run(arguments: &SelftestArguments, context: &CliContext, out: &mut Output) -> anyhow::Result<ExitCode> {
    let library = match &arguments.faults {
        Some(directory) => Library::of_directory(directory),
        None => Library::shipped(),
    };
    let mut library = library
        .and_then(|library| library.chosen(&arguments.names))
        .map_err(Usage::new)?;
    if let Some(turn) = arguments.turn {
        library = library.of_turn(turn);
    }
    if arguments.list {
        list(&library, arguments.output, out)?;
        return Ok(ExitCode::Passed);
    }
    let release = arguments.tree.as_deref().map(DirectoryTree::open).transpose();
    let release = release.map_err(Usage::new)?;
    let executable = std::env::current_exe()?.to_string_lossy().into_owned();
    std::fs::create_dir_all(&arguments.output_dir).map_err(|error| {
        Usage::new(anyhow::Error::new(error).context("cannot make the directory of `--output-dir`"))
    })?;
    let mut telling = Telling {
        results: Results {
            version: env!("CARGO_PKG_VERSION"),
            quick: arguments.quick,
            rows: Vec::new(),
        },
        file: arguments.output_dir.join("selftest.json"),
        look: context.output.look_of_output(&context.host),
        form: arguments.output,
        redactor: context.redactor(),
        out,
    };
    let ended = block_on(async {
        let signals = Signals::listen();
        let work = Work {
            arguments,
            context,
            library: &library,
            executable: &executable,
            made: AtomicBool::new(false),
        };
        let ended = tokio::select! {
            biased;
            signal = signals.after(0) => Ended::Signal(signal),
            done = Box::pin(work.carry_out(release, &mut telling)) => Ended::Done(done),
        };
        tokio::select! {
            () = work.clean_up(&ended) => {}
            _ = signals.after(1) => {}
        }
        ended
    })?;
    let results = telling.results;
    match arguments.output {
        Form::Text => out.say(results.sentence()),
        Form::Json => out.json(&results)?,
        Form::Markdown => out.say(results.markdown().trim_end()),
    }
    match ended {
        Ended::Signal(signal) => Ok(ExitCode::of_signal(signal)),
        Ended::Done(Err(error)) => Err(error),
        Ended::Done(Ok(())) if results.are_as_expected() => Ok(ExitCode::Passed),
        Ended::Done(Ok(())) if results.count(Came::Missed) > 0 => Ok(ExitCode::Failed),
        Ended::Done(Ok(())) => Ok(ExitCode::Inconclusive),
    }
}

fn list(library: &Library, form: Form, out: &mut Output) -> anyhow::Result<()> {
    let seeds = &library.seeds;
    if form == Form::Json {
        let line = |seed: &Seed| {
            serde_json::json!({
                "name": seed.name,
                "class": seed.class,
                "stands_for": seed.stands_for,
                "shipped": seed.shipped,
                "lint": seed.lint,
                "run": seed.run,
                "file": seed.file,
            })
        };
        out.json(&seeds.iter().map(line).collect::<Vec<_>>())?;
        return Ok(());
    }
    let width = seeds.iter().map(|seed| seed.name.len()).max().unwrap_or(0);
    for seed in seeds {
        out.say(format_args!("{:width$}  {}", seed.name, seed.stands_for));
    }
    if !library.answers.is_empty() {
        out.say(format_args!("and {} answers (`--quick`)", library.answers.len()));
    }
    Ok(())
}

/// What is told while it goes on.
struct Telling<'a> {
    results: Results,
    file: PathBuf,
    look: Look,
    form: Form,
    redactor: Redactor,
    out: &'a mut Output,
}

impl Telling<'_> {
    fn hear(&mut self, row: Row) {
        if self.form == Form::Text {
            self.tell(&row);
        }
        self.results.rows.push(row);
        // The file is for whoever looks in the middle: what is said at the end says it all.
        if let Ok(results) = serde_json::to_value(&self.results) {
            let (text, new) = (self.redactor.json(results).to_string(), self.file.with_extension("new"));
            let _ = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &self.file));
        }
    }

    fn tell(&mut self, row: &Row) {
        // Answers come by the hundred, and are told where they say something.
        if row.class == "answer" && row.came() == Came::AsExpected {
            return;
        }
        let (tone, glyph) = match row.came() {
            Came::AsExpected => (Tone::Good, "√ "),
            Came::Missed => (Tone::Bad, "× "),
            Came::NotRun => (Tone::Dim, "- "),
        };
        let mut line = Line::indented(0)
            .with(tone, glyph)
            .with(Tone::Bold, &row.name)
            .with(Tone::Plain, format!("  {}", row.expected));
        if let Some(ms) = row.sign_to_call_ms {
            let tone = if row.is_late() { Tone::Warn } else { Tone::Dim };
            line = line.with(tone, format!("  called {} after its sign", seconds(ms)));
        }
        self.out.paint(&self.look, &line.at_right(seconds(row.took_ms)));
        let why = row.misses.iter().map(String::as_str).chain(row.not_run.as_deref());
        for why in why.chain((row.came() == Came::Missed).then_some(row.got.as_str())) {
            self.out.paint(&self.look, &Line::indented(4).with(Tone::Plain, why));
        }
        if let (Came::Missed, Some(reports)) = (row.came(), &row.reports) {
            self.out.paint(
                &self.look,
                &Line::indented(4).with(Tone::Dim, format!("see {reports}")).unbroken(),
            );
        }
    }
}

/// What is to be done, and by whom.
struct Work<'a> {
    arguments: &'a SelftestArguments,
    context: &'a CliContext,
    library: &'a Library,
    executable: &'a str,
    /// Whether the cluster is ours: one of that name that was there before may be another selftest's.
    made: AtomicBool,
}

impl Work<'_> {
    fn host(&self) -> &Host {
        &self.context.host
    }

    async fn carry_out(&self, release: Option<DirectoryTree>, telling: &mut Telling<'_>) -> anyhow::Result<()> {
        let jobs = self.arguments.jobs.get();
        if self.arguments.turn.is_none() {
            let hear = |row: &Row| telling.hear(row.clone());
            quickly(self.host(), self.executable, self.library, jobs, hear).await?;
        }
        let seeds: Vec<&Seed> = self.library.seeds.iter().filter(|seed| seed.run.is_some()).collect();
        if self.arguments.quick || seeds.is_empty() {
            return Ok(());
        }
        let cluster = self.cluster().await?;
        let directory = std::path::absolute(&self.arguments.output_dir)?;
        let (host, executable) = (self.host().clone(), self.executable.to_owned());
        let kubeconfig = self.arguments.kubeconfig.clone();
        let driver = Driver::new(host, executable, &cluster, kubeconfig, release, directory);
        telling.hear(driver.healthy().await?);
        let mut runs = futures::stream::iter(seeds.into_iter().map(|seed| driver.row(seed))).buffer_unordered(jobs);
        while let Some(row) = runs.next().await {
            telling.hear(row);
        }
        Ok(())
    }

    /// The cluster that is named, or one of our own.
    async fn cluster(&self) -> anyhow::Result<Cluster> {
        let own = format!("quickproof-{OWN}");
        if self.arguments.cluster.is_none() {
            self.context.console.say(format_args!("makes a cluster `{own}`"));
            let known = cluster::list(self.host()).await?;
            if known.iter().any(|listed| listed.name == own) {
                anyhow::bail!(
                    "cluster `{own}` is there already: end the selftest that made it, or take it down: quickproof cluster down {OWN}"
                );
            }
            let up = Call::new(self.executable).args(["cluster", "up", OWN]);
            self.made.store(true, Ordering::Relaxed);
            self.host().run_ok(&up).await?;
        }
        let name = self.arguments.cluster.as_ref().unwrap_or(&own);
        let which = ExistingCluster::from(name.as_str());
        let (events, _heard) = Events::channel();
        let kubeconfig = self.arguments.kubeconfig.as_deref();
        Ok(cluster::open(self.host(), &which, kubeconfig, OPENING_LIMIT, &events).await?)
    }

    /// Takes away what is ours: the cluster, and what children made that were ended by a signal.
    async fn clean_up(&self, ended: &Ended) {
        let mut calls = Vec::new();
        if matches!(ended, Ended::Signal(_)) && !self.arguments.quick {
            calls.push(Call::new(self.executable).arg("reap"));
        }
        if self.made.load(Ordering::Relaxed) {
            calls.push(Call::new(self.executable).args(["cluster", "down", OWN]));
        }
        for call in calls {
            if let Err(error) = self.host().run_ok(&call).await {
                self.context.tell_error(&error.into());
            }
        }
    }
}
