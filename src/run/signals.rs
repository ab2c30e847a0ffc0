//! SIGINT and SIGTERM.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for the first of SIGINT and SIGTERM and returns its name.
pub(super) async fn first() -> &'static str {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the default action of the signals holds, which ends the process.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}
