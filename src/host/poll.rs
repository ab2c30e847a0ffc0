//! Looking again and again at what cannot be watched: a server of the network, a file, an answer.
//!
//! What the Kubernetes API can tell is watched instead: `cluster::watching`.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Looks until a look finds what is wanted, or until `limit` is over; with a pause of `between` after each look that
/// does not. `look` is given the number of the look, from 1 on, and says `Err` with what it saw instead where it has to be
/// called again.
///
/// A look that is under way when the time is over is not cut off: it has a limit of its own. There is always one look.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use std::time::Duration;
///
/// use quickproof::host::poll;
///
/// let third = poll(Duration::from_secs(5), Duration::ZERO, async |look| match look {
///     3 => Ok("here"),
///     _ => Err(format!("not at look {look}")),
/// });
/// assert_eq!(third.await, Ok("here"));
/// # });
/// ```
///
/// # Errors
/// What the last look saw.
#[tracing::instrument(level = "debug", skip_all, fields(looks))]
pub async fn poll<T, S>(
    limit: Duration,
    between: Duration,
    mut look: impl AsyncFnMut(u32) -> Result<T, S>,
) -> Result<T, S> {
    let began = Instant::now();
    let mut number = 1;
    let last = loop {
        let seen = look(number).await;
        if seen.is_ok() || began.elapsed() >= limit {
            break seen;
        }
        tracing::trace!(number, "not yet");
        sleep(between).await;
        number += 1;
    };
    tracing::Span::current().record("looks", number);
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_is_there_at_once_is_looked_at_once() {
        let began = Instant::now();
        assert_eq!(poll(SECOND, SECOND, async |look| Ok::<_, ()>(look)).await, Ok(1));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_later_is_found_after_the_pauses_between() {
        let began = Instant::now();
        let third = poll(
            10 * SECOND,
            SECOND,
            async |look| if look == 3 { Ok(look) } else { Err(()) },
        );
        assert_eq!(third.await, Ok(3));
        assert_eq!(began.elapsed(), 2 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_comes_ends_with_what_was_last_seen() {
        let never = poll(3 * SECOND, SECOND, async |look| Err::<(), _>(look));
        assert_eq!(never.await, Err(4));
    }

    #[tokio::test(start_paused = true)]
    async fn without_time_there_is_one_look() {
        assert_eq!(
            poll(Duration::ZERO, SECOND, async |look| Err::<(), _>(look)).await,
            Err(1)
        );
    }
}
