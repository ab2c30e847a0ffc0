//! SIGINT, SIGTERM and SIGHUP: whether the process is asked to end, and how often.

use std::path::Path;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use super::files;
use crate::verdict::ExitCode;

/// Source: signal(7), on every platform that this builds for.
const SIGXFSZ: i32 = 25;

/// The signals that came since somebody began to listen; cheap to clone. Before, the first one ends the process.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    came: watch::Receiver<Vec<&'static str>>,
}

impl Signals {
    /// Begins to listen. What comes is kept until somebody waits for it.
    ///
    /// Where SIGHUP is ignored, as below `nohup`, it stays so.
    pub(crate) fn listen() -> Self {
        let (sender, came) = watch::channel(Vec::new());
        let caught = |kind: SignalKind| signal(kind).ok();
        // A file that grows over its limit (`ulimit -f`) is then an error like that of a full disk, and teardown runs.
        drop(caught(SignalKind::from_raw(SIGXFSZ)));
        let mut interrupt = caught(SignalKind::interrupt());
        let mut terminate = caught(SignalKind::terminate());
        let status = files::read_text(Path::new("/proc/self/status"), 64 << 10).unwrap_or_default();
        let mut hangup = if ignores_hangup(&status) {
            None
        } else {
            caught(SignalKind::hangup())
        };
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    () = next(&mut interrupt) => "SIGINT",
                    () = next(&mut terminate) => "SIGTERM",
                    () = next(&mut hangup) => "SIGHUP",
                    () = sender.closed() => break,
                };
                sender.send_modify(|came| count(came, name));
            }
        });
        Self { came }
    }

    /// Gives the signals back their power to end the process, which they lost when somebody began to listen: once a run has
    /// ended, whatever still blocks (an output that nobody reads) is ended by them.
    pub(crate) fn end_the_process() {
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                let signal = runtime.block_on(async { Self::listen().after(0).await });
                std::process::exit(ExitCode::of_signal(signal).number().into());
            }
        });
    }

    /// How many came so far.
    pub(crate) fn came(&self) -> usize {
        self.came.borrow().len()
    }

    /// Waits until more than this many came, and returns the name of the first of them that is more.
    pub(crate) async fn after(&self, heeded: usize) -> &'static str {
        let mut came = self.came.clone();
        let name = came.wait_for(|came| came.len() > heeded).await;
        match name.map(|came| came[heeded]) {
            Ok(name) => name,
            // The runtime is going down, and with it whoever waits.
            Err(_) => std::future::pending().await,
        }
    }
}

/// The next signal of a kind; never one that is not listened for: its default action holds.
async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Counts a signal. SIGHUP counts only where nothing came before: a terminal that is closed sends it more than once, and
/// closing it is not asking a second time.
fn count(came: &mut Vec<&'static str>, name: &'static str) {
    if name != "SIGHUP" || came.is_empty() {
        came.push(name);
    }
}

/// Whether SIGHUP, the first signal, was ignored when the process began. Source: proc(5), `SigIgn`.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["SIGINT", "SIGINT"], &["SIGINT", "SIGINT"])]
    #[case(&["SIGHUP", "SIGHUP"], &["SIGHUP"])]
    #[case(&["SIGINT", "SIGHUP", "SIGTERM"], &["SIGINT", "SIGTERM"])]
    #[case(&["SIGHUP", "SIGINT"], &["SIGHUP", "SIGINT"])]
    fn a_closed_terminal_asks_once(#[case] sent: &[&'static str], #[case] counted: &[&str]) {
        let mut came = Vec::new();
        for name in sent {
            count(&mut came, name);
        }
        assert_eq!(came, counted);
    }

    #[rstest]
    #[case::below_nohup("Name:\tx\nSigIgn:\t0000000000001001\n", true)]
    #[case::rust_ignores_sigpipe("SigIgn:\t0000000000001000\n", false)]
    #[case::nobody_says("", false)]
    fn whoever_ignores_a_closed_terminal_goes_on(#[case] status: &str, #[case] ignores: bool) {
        assert_eq!(ignores_hangup(status), ignores);
    }

    #[tokio::test]
    async fn what_came_before_somebody_waits_is_not_lost() {
        let (sender, came) = watch::channel(Vec::new());
        let signals = Signals { came };
        sender.send_modify(|came| came.extend(["SIGINT", "SIGTERM"]));
        assert_eq!((signals.after(0).await, signals.after(1).await), ("SIGINT", "SIGTERM"));
    }
}
