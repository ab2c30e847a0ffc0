//! Loads as a file has them.

use std::{collections::BTreeMap, time::Duration};

use super::{MOST_CONCURRENT, Mistake, Reader, mistake};
use crate::{
    probe::load::{Extent, Load, Pace},
    scenario::{
        LoadStep,
        file::{LoadFile, RequestFile},
    },
};

/// The most requests of an open loop that may be under way at the same time.
const MOST_UNDER_WAY: u32 = 4096;
/// As many are, where the file says nothing.
const UNDER_WAY: u32 = 256;
/// The longest load.
const LONGEST: Duration = Duration::from_hours(1);
/// The most requests of a load.
const MOST_REQUESTS: u64 = 10_000_000;

impl Reader {
    pub(super) fn load(&mut self, at: &str, written: LoadFile) -> Result<LoadStep, Mistake> {
        let load = Load {
            pace: pace(at, &written)?,
            extent: extent(at, &written)?,
        };
        let LoadFile {
            name,
            method,
            path,
            headers,
            json,
            body,
            vary,
            slo,
            expect,
            ..
        } = written;
        let request = RequestFile {
            name,
            method,
            path,
            headers,
            json,
            body,
            vary,
            repeat: 1,
            concurrency: 1,
            within: None,
            expect,
            capture: BTreeMap::new(),
        };
        let request = self.request(at, request)?;
        if let Some(index) = request.expect.cel.iter().position(|one| !one.holds.uses("answer")) {
            let why = "a load keeps none of its answers; an expectation is about one `answer`";
            return Err(mistake(format!("{at}/expect/cel/{index}/holds"), "", why));
        }
        Ok(LoadStep {
            request,
            load,
            objective: slo,
        })
    }
}

fn pace(at: &str, written: &LoadFile) -> Result<Pace, Mistake> {
    match (written.rate, written.workers) {
        (Some(rate), None) => {
            let most = written.most_under_way.unwrap_or(UNDER_WAY);
            if !(1..=MOST_UNDER_WAY).contains(&most) {
                let why = format!("1 to {MOST_UNDER_WAY} requests are under way at the same time");
                return Err(mistake(format!("{at}/most-under-way"), "", why));
            }
            let most_under_way = usize::try_from(most).unwrap_or(usize::MAX);
            Ok(Pace::Rate { rate, most_under_way })
        }
        (None, Some(workers)) => {
            if !(1..=MOST_CONCURRENT).contains(&workers) {
                let why = format!("there are 1 to {MOST_CONCURRENT} workers");
                return Err(mistake(format!("{at}/workers"), "", why));
            }
            if written.most_under_way.is_some() {
                let why = "`most-under-way` is for a `rate`; of workers each has one request under way";
                return Err(mistake(format!("{at}/most-under-way"), "", why));
            }
            Ok(Pace::Workers(usize::try_from(workers).unwrap_or(usize::MAX)))
        }
        (Some(_), Some(_)) => Err(mistake(
            format!("{at}/workers"),
            "",
            "a load has a `rate` or `workers`, not both",
        )),
        (None, None) => Err(mistake(
            at,
            "",
            "`rate` is missing, such as `20/s`; or `workers`, such as `4`",
        )),
    }
}

fn extent(at: &str, written: &LoadFile) -> Result<Extent, Mistake> {
    match (written.time, written.requests) {
        (Some(time), None) if time <= LONGEST => Ok(Extent::For(time)),
        (Some(_), None) => Err(mistake(
            format!("{at}/for"),
            "",
            format!("a load lasts at most {LONGEST:?}"),
        )),
        (None, Some(requests @ 1..=MOST_REQUESTS)) => Ok(Extent::Requests(requests)),
        (None, Some(requests)) => {
            let why = format!("a load has 1 to {MOST_REQUESTS} requests, this {requests}");
            Err(mistake(format!("{at}/requests"), "", why))
        }
        (Some(_), Some(_)) => Err(mistake(
            format!("{at}/requests"),
            "",
            "a load has `for` or `requests`, not both",
        )),
        (None, None) => Err(mistake(
            at,
            "",
            "`for` is missing, such as `30s`; or `requests`, such as `600`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::{
        probe::load::{Extent, Pace},
        scenario::{Step, read},
    };

    const GOOD: &str = "\
name: a
proves: It holds.
steps:
  - load:
      path: /v1/completions
      json: {model: '${model}', prompt: '${number}'}
      rate: 90/m
      most-under-way: 7
      for: 30s
      slo:
        time-to-first-token: 500ms
        inter-token-latency: 20ms
        end-to-end: 2s
        goodput: 99.5%
      expect:
        answer: success
";

    #[test]
    fn everything_that_a_load_may_say_is_read() {
        let scenario = read("a.yaml", GOOD.as_bytes()).unwrap();
        let [Step::Load(step)] = scenario.steps.as_slice() else {
            panic!("one load");
        };
        assert!(matches!(step.load.pace, Pace::Rate { rate, most_under_way: 7 } if rate.to_string() == "90/m"));
        assert_eq!(step.load.extent, Extent::For(std::time::Duration::from_secs(30)));
        let level = step.objective.unwrap();
        assert_eq!(level.time_to_first_token, Some(std::time::Duration::from_millis(500)));
        assert_eq!(level.goodput.to_string(), "99.50 %");
    }

    /// A change of the good text, where the error stands, and what it says.
    #[rstest]
    #[case::rate("90/m", "90", 7, 13, "`20/s`")]
    #[case::no_pace("      rate: 90/m\n      most-under-way: 7\n", "", 4, 5, "`rate` is missing")]
    #[case::two_paces("rate: 90/m", "rate: 90/m\n      workers: 2", 8, 16, "not both")]
    #[case::no_workers("rate: 90/m\n      most-under-way: 7", "workers: 0", 7, 16, "1 to 256 workers")]
    #[case::too_many_workers("rate: 90/m\n      most-under-way: 7", "workers: 257", 7, 16, "1 to 256 workers")]
    #[case::workers_have_their_own_bound("rate: 90/m", "workers: 2", 8, 23, "is for a `rate`")]
    #[case::no_room("most-under-way: 7", "most-under-way: 0", 8, 23, "1 to 4096")]
    #[case::no_extent("      for: 30s\n", "", 4, 5, "`for` is missing")]
    #[case::two_extents("for: 30s", "for: 30s\n      requests: 9", 10, 17, "not both")]
    #[case::too_long("for: 30s", "for: 2h", 9, 12, "at most 3600s")]
    #[case::no_requests("for: 30s", "requests: 0", 9, 17, "1 to 10000000 requests")]
    #[case::goodput("99.5%", "99.5", 14, 18, "`99%`")]
    #[case::no_goodput("        goodput: 99.5%\n", "", 13, 9, "`goodput` is missing")]
    #[case::limit("20ms", "20", 12, 30, "expected a duration")]
    #[case::field("slo:", "slos:", 10, 7, "did you mean `slo`?")]
    #[case::not_of_a_load("for: 30s", "for: 30s\n      repeat: 9", 10, 7, "no field is called `repeat`")]
    #[case::nothing_expected("expect:\n        answer: success", "expect: {}", 15, 7, "nothing is expected")]
    #[case::all_answers(
        "answer: success",
        "answer: success\n        cel: [{name: b, sentence: it is, holds: 'size(answers) == 3'}]",
        17,
        49,
        "keeps none of its answers"
    )]
    #[case::a_check_of_ours(
        "answer: success",
        "answer: success\n        cel: [{name: goodput, sentence: it is, holds: 'answer.status == 200'}]",
        17,
        22,
        "a check of ours"
    )]
    fn an_error_in_a_load_has_its_place_and_the_way_out(
        #[case] from: &str,
        #[case] to: &str,
        #[case] line: u32,
        #[case] column: u32,
        #[case] said: &str,
    ) {
        assert!(GOOD.contains(from));
        let text = GOOD.replacen(from, to, 1);
        let error = read("a.yaml", text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        assert!(error.starts_with(&format!("a.yaml:{line}:{column}: ")), "{error}");
    }
}
