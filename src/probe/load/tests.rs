use std::{cell::Cell, rc::Rc};

use proptest::prelude::*;
use rstest::rstest;
use tokio::time::sleep;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

fn open(text: &str, most_under_way: usize, extent: Extent) -> Load {
    let rate = rate(text);
    Load {
        pace: Pace::Rate { rate, most_under_way },
        extent,
    }
}

fn closed(workers: usize, extent: Extent) -> Load {
    Load {
        pace: Pace::Workers(workers),
        extent,
    }
}

/// Generates a load of requests that each take as long as `lasts` says, and returns what was taken.
async fn generated(load: Load, lasts: impl Fn(u64) -> Duration) -> (Generated, Vec<Paced<()>>) {
    let mut taken = Vec::new();
    let done = load
        .generate(
            |number| sleep(lasts(number)),
            |paced| {
                taken.push(paced);
                ControlFlow::Continue(())
            },
        )
        .await;
    (done, taken)
}

/// From when the request was due to when its answer was there.
fn latency(paced: &Paced<()>, lasts: impl Fn(u64) -> Duration) -> Duration {
    paced.late() + lasts(paced.number)
}

#[rstest]
#[case("20/s", 20_000, "0 ms, 50 ms, 100 ms")]
#[case("3/s", 3000, "0 ms, 333 ms, 666 ms")]
#[case("90/m", 1500, "0 ms, 666 ms, 1333 ms")]
#[case("3600/h", 1000, "0 ms, 1000 ms, 2000 ms")]
fn a_rate_says_when_each_request_is_due(#[case] text: &str, #[case] per_1000_s: u64, #[case] due: &str) {
    let rate = rate(text);
    assert_eq!(rate.to_string(), text);
    assert_eq!(rate.per_1000_s(), per_1000_s);
    let times: Vec<String> = (0..3)
        .map(|before| format!("{} ms", rate.due(before).as_millis()))
        .collect();
    assert_eq!(times.join(", "), due);
}

#[rstest]
#[case("")]
#[case("20")]
#[case("0/s")]
#[case("-1/s")]
#[case("1.5/s")]
#[case("20/d")]
#[case("20 /s")]
#[case("5000000000/s")]
fn what_is_no_rate_is_refused(#[case] text: &str) {
    assert!(text.parse::<Rate>().unwrap_err().contains("`20/s`"));
}

proptest! {
    #[test]
    fn as_many_requests_are_due_within_a_time_as_are_due_before_it(requests in 1_u32.., ms in 0_u64..10_000_000) {
        let rate = Rate {
            requests: requests.try_into().unwrap(),
            per: Unit::Second,
        };
        let time = Duration::from_millis(ms);
        let within = rate.within(time);
        prop_assert!(rate.due(within) >= time || rate.due(within).abs_diff(time) < Duration::from_nanos(2));
        prop_assert!(within == 0 || rate.due(within - 1) < time);
    }

    #[test]
    fn any_text_is_a_rate_that_writes_itself_or_none(text in "[0-9]{0,12}/?[smhd]?") {
        if let Ok(rate) = text.parse::<Rate>() {
            prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
        }
    }
}

#[rstest]
#[case::for_a_time(Extent::For(1000 * MS))]
#[case::so_many(Extent::Requests(20))]
#[tokio::test(start_paused = true)]
async fn an_open_loop_sends_at_its_rate_however_long_the_answers_take(#[case] extent: Extent) {
    let (done, taken) = generated(open("20/s", 100, extent), |_| 720 * MS).await;
    let due: Vec<Duration> = taken.iter().map(|paced| paced.due).collect();
    let wanted: Vec<Duration> = (0..20).map(|before| before * 50 * MS).collect();
    assert_eq!(due, wanted);
    // The clock of the runtime has a grain of a millisecond.
    assert!(taken.iter().all(|paced| paced.late() <= MS), "{taken:?}");
    assert_eq!((done.due, done.sent, done.held_back), (20, 20, 0));
    assert_eq!(done.most_under_way, 15, "720 ms hold fifteen of them");
    assert_eq!(done.sending, 1000 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_stall_shows_in_the_latency_of_every_request_that_fell_due_in_it() {
    // One answer in a hundred lasts two seconds, the others a millisecond, and only one may be under way.
    let lasts = |number| if number == 100 { 2000 * MS } else { MS };
    let (done, taken) = generated(open("100/s", 1, Extent::Requests(400)), lasts).await;
    let mut from_due = Distribution::default();
    let mut from_sent = Distribution::default();
    for paced in &taken {
        from_due.note(latency(paced, lasts));
        from_sent.note(lasts(paced.number));
    }
    let (from_due, from_sent) = (from_due.quantiles().unwrap(), from_sent.quantiles().unwrap());
    assert_eq!(from_sent.p99_us, 1000, "who counts from the sending sees nothing of it");
    assert!(from_due.p99_us > 1_900_000, "{from_due:?}");
    assert!(from_due.p50_us > 1000, "{from_due:?}");
    assert!(done.held_back >= 198, "all that fell due in the stall: {done:?}");
    assert_eq!((done.sent, done.most_under_way), (400, 1));
}

#[tokio::test(start_paused = true)]
async fn what_found_no_room_until_the_end_is_counted_and_not_sent() {
    let (done, taken) = generated(open("10/s", 2, Extent::For(1000 * MS)), |_| 600_000 * MS).await;
    assert_eq!((done.due, done.sent, done.held_back), (10, 2, 8));
    assert_eq!(taken.len(), 2);
}

#[rstest]
#[case::for_a_time(Extent::For(100 * MS), 40)]
#[case::so_many(Extent::Requests(7), 7)]
#[case::fewer_than_workers(Extent::Requests(2), 2)]
#[tokio::test(start_paused = true)]
async fn a_closed_loop_never_has_more_under_way_than_workers(#[case] extent: Extent, #[case] sent: u64) {
    let under_way = Rc::new(Cell::new(0_u64));
    let most = Rc::new(Cell::new(0));
    let ask = |_| {
        let (under_way, most) = (Rc::clone(&under_way), Rc::clone(&most));
        async move {
            under_way.set(under_way.get() + 1);
            most.set(most.get().max(under_way.get()));
            sleep(10 * MS).await;
            under_way.set(under_way.get() - 1);
        }
    };
    let done = closed(4, extent).generate(ask, |_| ControlFlow::Continue(())).await;
    assert_eq!(most.get(), sent.min(4));
    assert_eq!(u64::try_from(done.most_under_way).unwrap(), sent.min(4));
    assert_eq!((done.due, done.sent, done.held_back), (sent, sent, 0));
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_never_late() {
    let (_, taken) = generated(closed(2, Extent::Requests(9)), |number| {
        10 * MS * u32::try_from(number).unwrap()
    })
    .await;
    assert!(taken.iter().all(|paced| paced.late() == Duration::ZERO), "{taken:?}");
}

#[rstest]
#[case::open(open("1000/s", 50, Extent::For(10_000 * MS)))]
#[case::closed(closed(3, Extent::For(10_000 * MS)))]
#[tokio::test(start_paused = true)]
async fn who_breaks_off_gets_no_further_answer_and_nothing_goes_on(#[case] load: Load) {
    struct Guard(Rc<Cell<i64>>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }
    let alive = Rc::new(Cell::new(0));
    let ask = |_| {
        alive.set(alive.get() + 1);
        let guard = Guard(Rc::clone(&alive));
        async move {
            sleep(5 * MS).await;
            drop(guard);
        }
    };
    let mut taken = 0;
    let take = |_| {
        taken += 1;
        if taken == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let done = load.generate(ask, take).await;
    assert_eq!((taken, alive.get()), (3, 0));
    assert!(done.sent < 100 && done.due < 100, "{done:?}");
}

#[tokio::test(start_paused = true)]
async fn a_load_that_is_dropped_ends_with_it() {
    let sent = Rc::new(Cell::new(0));
    let ask = |_| {
        sent.set(sent.get() + 1);
        std::future::pending::<()>()
    };
    let load = open("100/s", 10, Extent::For(60_000 * MS));
    let ended = tokio::time::timeout(50 * MS, load.generate(ask, |_| ControlFlow::Continue(()))).await;
    assert!(ended.is_err());
    let before = sent.get();
    sleep(1000 * MS).await;
    assert_eq!((sent.get(), before), (before, before));
    assert!(before <= 6, "{before}");
}
