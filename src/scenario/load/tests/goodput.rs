//! The goodput: enough of it or not, and whose fault it is where there is too little.

use super::*;

#[rstest]
#[case::all_good(10, 0, 10, 0, "holds")]
#[case::just_enough(9, 1, 10, 0, "holds")]
#[case::never_sent(8, 0, 10, 2, "broken")]
#[case::late_for_lack_of_room(5, 5, 10, 5, "broken")]
#[case::late_by_our_own_machine(5, 5, 10, 0, "undecided")]
#[case::nothing_was_due(0, 0, 0, 0, "undecided")]
fn goodput_is_the_part_of_what_was_due(
    #[case] good: u64,
    #[case] slow: u64,
    #[case] due: u64,
    #[case] held_back: u64,
    #[case] wanted: &str,
) {
    let (figures, done) = after(good, slow, 200, due, held_back);
    assert_eq!(word(&figures.goodput(&done)), wanted);
}

type Lack = fn(String) -> Unanswered;
const CUT: Lack = Unanswered::CutOff;
const AWAY: Lack = Unanswered::NotConnected;
const SPENT: Lack = Unanswered::HostExhausted;

/// Of ten requests, nine of which must be good.
#[rstest]
#[case::this_machine_had_none_left(8, &[SPENT, SPENT], CauseCode::HostExhausted)]
#[case::one_of_several(8, &[AWAY, SPENT], CauseCode::HostExhausted)]
#[case::the_way_is_broken(8, &[AWAY, AWAY], CauseCode::EndpointNotAnswering)]
#[case::none_stood(0, &[SPENT; 10], CauseCode::HostExhausted)]
#[case::too_few_even_then(7, &[CUT, CUT, SPENT], CauseCode::ServiceLevelNotMet)]
#[case::all_stood(8, &[CUT, CUT], CauseCode::ServiceLevelNotMet)]
fn connections_that_never_stood_are_no_fault_of_the_model_server(
    #[case] good: u64,
    #[case] others: &[Lack],
    #[case] cause: CauseCode,
) {
    let (mut figures, _) = after(good, 0, 0, 10, 0);
    for other in others {
        figures.take(&paced(0, answer(Err(other("why".into())), 1)), wrong("answer-came"));
    }
    let done = Generated {
        due: 10,
        sent: 10,
        ..Generated::default()
    };
    let Finding::Broken(fault) = figures.goodput(&done) else {
        panic!("it is broken");
    };
    assert_eq!(fault.cause.code, cause);
    assert_eq!(cause.blame().is_product(), cause == CauseCode::ServiceLevelNotMet);
}
