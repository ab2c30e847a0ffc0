//! Calling again what failed for a reason that may pass, with a pause before each time.

use std::{fmt::Display, time::Duration};

/// Pauses between tries, each twice as long as the one before, up to a longest. They never end by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pauses {
    first: Duration,
    next: Duration,
    longest: Duration,
}

impl Pauses {
    /// Pauses from `first` up to `longest`.
    pub(crate) fn doubling(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            next: first,
            longest,
        }
    }

    /// Begins anew, after a try that went well.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        Some(pause)
    }
}

/// Calls until a call succeeds, fails for a reason that will not pass, or `pause` gives none for its failure. Each failure that
/// is followed by another call is logged, and `again` hears of it.
///
/// # Errors
/// How the last call failed.
pub(crate) async fn retry<T, E: Display, F: Future<Output = Result<T, E>>>(
    mut pause: impl FnMut(&E) -> Option<Duration>,
    mut call: impl FnMut() -> F,
    may_pass: impl Fn(&E) -> bool,
    mut again: impl FnMut(&E),
) -> Result<T, E> {
    loop {
        let failure = match call().await {
            Err(failure) if may_pass(&failure) => failure,
            decided => return decided,
        };
        let Some(pause) = pause(&failure) else {
            return Err(failure);
        };
        tracing::info!(?pause, %failure, "failed, and is tried again after a pause");
        again(&failure);
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Fails so often, with the number of the call, and then succeeds with it.
    fn failing(times: u32) -> impl FnMut() -> std::future::Ready<Result<u32, u32>> {
        let mut calls = 0;
        move || {
            calls += 1;
            std::future::ready(if calls > times { Ok(calls) } else { Err(calls) })
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew() {
        let mut pauses = Pauses::doubling(SECOND, 5 * SECOND);
        let five: Vec<u64> = pauses.by_ref().take(5).map(|pause| pause.as_secs()).collect();
        assert_eq!(five, [1, 2, 4, 5, 5]);
        pauses.reset();
        assert_eq!(pauses.next(), Some(SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_for_a_moment_is_called_again_after_each_pause() {
        let (began, mut heard) = (Instant::now(), Vec::new());
        let mut pauses = Pauses::doubling(SECOND, 5 * SECOND);
        let third = retry(|_| pauses.next(), failing(2), |_| true, |&failure| heard.push(failure));
        assert_eq!(third.await, Ok(3));
        assert_eq!((heard, began.elapsed()), (vec![1, 2], 3 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_not_pass_is_not_called_again() {
        let mut pauses = Pauses::doubling(SECOND, SECOND);
        assert_eq!(
            retry(|_| pauses.next(), failing(9), |&failure| failure < 2, |_| ()).await,
            Err(2)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_failure_stays_where_no_pause_is_left_and_is_not_told_as_got_over() {
        let mut heard = Vec::new();
        let mut pauses = Pauses::doubling(SECOND, SECOND).take(1);
        let never = retry(|_| pauses.next(), failing(9), |_| true, |&failure| heard.push(failure));
        assert_eq!(never.await, Err(2));
        assert_eq!(heard, [1]);
    }
}
