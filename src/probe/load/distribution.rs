//! How times are distributed, in memory that does not grow with how many there are.

use std::{fmt, time::Duration};

use hdrhistogram::Histogram;

use crate::record::Quantiles;

/// The longest time that is told from longer ones, in microseconds: no request may take longer than a day.
const LONGEST_US: u64 = 24 * 60 * 60 * 1_000_000;

/// Decimal digits of each time that are kept: an error of at most one in a thousand.
const DIGITS: u8 = 3;

/// Times, counted by how long they are: to a microsecond up to 2 ms, to a thousandth of their length above. About 0.3 MB,
/// however many there are.
#[derive(Clone)]
pub(crate) struct Distribution {
    /// `None` where the bounds above made no histogram, which a test rules out.
    times: Option<Histogram<u64>>,
}

impl fmt::Debug for Distribution {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Distribution").field(&self.quantiles()).finish()
    }
}

impl Default for Distribution {
    fn default() -> Self {
        Self {
            times: Histogram::new_with_bounds(1, LONGEST_US, DIGITS).ok(),
        }
    }
}

impl Distribution {
    /// Takes a time.
    pub(crate) fn note(&mut self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if let Some(times) = &mut self.times {
            times.saturating_record(us);
        }
    }

    /// Half, nine tenths and all but a hundredth of the times are at most so long, and none is longer than the last; `None`
    /// where there are none.
    pub(crate) fn quantiles(&self) -> Option<Quantiles> {
        let times = self.times.as_ref().filter(|times| !times.is_empty())?;
        Some(Quantiles {
            count: times.len(),
            p50_us: times.value_at_quantile(0.5),
            p90_us: times.value_at_quantile(0.9),
            p99_us: times.value_at_quantile(0.99),
            max_us: times.max(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_times_to_a_thousandth() {
        let mut times = Distribution::default();
        for ms in 1..=1000 {
            times.note(Duration::from_millis(ms));
        }
        let quantiles = times.quantiles().unwrap();
        assert_eq!(quantiles.count, 1000);
        for (found, true_us) in [
            (quantiles.p50_us, 500_000),
            (quantiles.p90_us, 900_000),
            (quantiles.p99_us, 990_000),
            (quantiles.max_us, 1_000_000),
        ] {
            assert!(
                u64::abs_diff(found, true_us) * 1000 <= true_us,
                "{found} is not {true_us}"
            );
        }
    }

    #[test]
    fn no_times_have_no_quantiles() {
        assert_eq!(Distribution::default().quantiles(), None);
    }

    #[test]
    fn the_shortest_and_the_longest_time_have_their_place_and_the_memory_stays() {
        let mut times = Distribution::default();
        let before = times.times.as_ref().unwrap().distinct_values();
        for time in [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_hours(24),
            Duration::MAX,
        ] {
            times.note(time);
        }
        for us in 0..100_000 {
            times.note(Duration::from_micros(us * 997));
        }
        let times = times.times.unwrap();
        assert_eq!(times.len(), 100_004);
        assert!(times.max() >= LONGEST_US);
        assert_eq!(
            times.distinct_values(),
            before,
            "its counts are there from the beginning"
        );
        assert!(before * size_of::<u64>() < 400_000);
    }
}
