//! Edge cases of the plan, and invariants for any reports at any time.

mod firewalls;
mod scenarios;
mod simulation;

use core::time::Duration;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::format;
use std::vec::Vec;

use super::*;
use crate::time::Instant;

const START: Instant = Instant::from_micros(123_456_789);

fn ms(millis: u64) -> Instant {
    START + Duration::from_millis(millis)
}

fn dial(plan: &mut Plan<'_>, now: Instant) -> AttemptId {
    match plan.poll_event(now) {
        Some(PlanEvent::Dial { id, .. }) => id,
        event => panic!("{event:?}"),
    }
}

/// The time until which the plan has nothing to do.
fn waits(plan: &mut Plan<'_>, now: Instant) -> Option<Instant> {
    assert_eq!(plan.poll_event(now), None);
    plan.poll_timeout()
}

#[test]
fn an_invalid_plan_is_refused() {
    let targets = [Target::rtmp(80); MAX_TARGETS + 1];
    let refused = |targets, limits| Plan::new(targets, limits).err();
    assert_eq!(refused(&[], Limits::SEQUENTIAL), Some(PlanError::NoTargets));
    assert_eq!(refused(&targets, Limits::SEQUENTIAL), Some(PlanError::TooManyTargets));
    assert_eq!(refused(&targets[1..], Limits::SEQUENTIAL), None);
    assert_eq!(refused(PLAYER, Limits { max_at_once: 0, ..Limits::SEQUENTIAL }), Some(PlanError::NoneAtOnce));
    assert!(format!("{}", PlanError::TooManyTargets).contains(&format!("{MAX_TARGETS}")));
}

#[test]
fn item_092_a_list_of_one_port_is_dialled_once_and_no_other() {
    let targets = [Target::rtmp(8080)];
    let mut plan = Plan::new(&targets, Limits::staggered(Duration::from_millis(1), 8)).unwrap();
    let Some(PlanEvent::Dial { id, target, deadline }) = plan.poll_event(START) else { panic!() };
    assert_eq!((id.index(), target.port, deadline), (0, 8080, ms(3_000)));
    assert_eq!(waits(&mut plan, ms(2_999)), Some(deadline));
    assert_eq!(plan.poll_event(deadline), Some(PlanEvent::Abandon(id)));
    for late in 0..3 {
        assert_eq!(plan.poll_event(ms(3_000 + late)), Some(PlanEvent::Exhausted));
        plan.report_connected(id, ms(3_000 + late));
    }
}

#[test]
fn the_tcp_connection_starts_the_deadline_of_the_handshake() {
    let mut plan = Plan::new(PLAYER, Limits::SEQUENTIAL).unwrap();
    let first = dial(&mut plan, START);
    plan.report_tcp(first, ms(2_000));
    assert_eq!(waits(&mut plan, ms(2_000)), Some(ms(7_000)));
    plan.report_tcp(first, ms(4_000)); // once is enough: no attempt prolongs itself
    assert_eq!(waits(&mut plan, ms(6_999)), Some(ms(7_000)));
    assert_eq!(plan.poll_event(ms(7_000)), Some(PlanEvent::Abandon(first)));
    assert_eq!(plan.failures().collect::<Vec<_>>(), [(PLAYER[0], Failure::HandshakeTimedOut)]);

    // The deadline of the whole attempt limits it.
    let limits = Limits { attempt: Duration::from_secs(4), ..Limits::SEQUENTIAL };
    let mut plan = Plan::new(PLAYER, limits).unwrap();
    let first = dial(&mut plan, START);
    plan.report_tcp(first, ms(2_000));
    assert_eq!(waits(&mut plan, ms(2_000)), Some(ms(4_000)));
}

#[test]
fn an_attempt_that_timed_out_is_abandoned_unless_its_failure_is_reported_first() {
    let mut plan = Plan::new(PLAYER, Limits::SEQUENTIAL).unwrap();
    plan.handle_timeout(START);
    assert_eq!(plan.poll_timeout(), None, "the plan's time begins with the first poll_event");
    let first = dial(&mut plan, START);
    let deadline = waits(&mut plan, START).unwrap();
    plan.handle_timeout(deadline);
    assert_eq!(plan.poll_event(deadline), Some(PlanEvent::Abandon(first)));
    let second = dial(&mut plan, deadline);
    let deadline = waits(&mut plan, deadline).unwrap();
    plan.handle_timeout(deadline);
    plan.report_failed(second, deadline, Failure::Refused);
    let third = dial(&mut plan, deadline);
    assert_eq!(third.index(), 2);
    assert!(plan.failures().all(|(_, why)| why == Failure::TimedOut), "the time-out came first");
}

#[test]
fn only_the_first_report_of_an_end_counts() {
    let mut plan = Plan::new(NET_CONNECTION, Limits::staggered(Duration::ZERO, 3)).unwrap();
    let [first, second, third] = [(); 3].map(|()| dial(&mut plan, START));
    plan.report_failed(second, ms(5), Failure::Refused);
    plan.report_failed(second, ms(6), Failure::Closed);
    plan.report_connected(second, ms(7));
    assert_eq!(plan.winner(), None);
    plan.report_connected(third, ms(8));
    plan.report_connected(first, ms(9));
    plan.report_failed(third, ms(9), Failure::Closed);
    assert_eq!(plan.poll_event(ms(9)), Some(PlanEvent::Abandon(first)));
    assert_eq!(plan.poll_event(ms(9)), Some(PlanEvent::Connected(third)));
    assert_eq!(plan.poll_event(ms(99_999_999)), Some(PlanEvent::Connected(third)));
    assert_eq!(plan.failures().collect::<Vec<_>>(), [(NET_CONNECTION[1], Failure::Refused)]);
    let outcomes: Vec<_> = plan.reports().map(|report| report.outcome).collect();
    assert_eq!(outcomes, [Outcome::Lost, Outcome::Failed(Failure::Refused), Outcome::Connected]);
}

#[test]
fn reports_about_attempts_that_were_never_dialled_are_ignored() {
    let mut other = Plan::new(NET_CONNECTION, Limits::staggered(Duration::ZERO, 3)).unwrap();
    let [_, _, third] = [(); 3].map(|()| dial(&mut other, START));
    let mut plan = Plan::new(PLAYER, Limits::SEQUENTIAL).unwrap();
    plan.report_connected(third, START);
    dial(&mut plan, START);
    plan.report_tcp(third, START);
    plan.report_connected(third, START);
    plan.report_failed(third, START, Failure::Refused);
    assert_eq!(waits(&mut plan, START), Some(ms(3_000)));
    assert_eq!((plan.failures().count(), plan.winner(), plan.reports().count()), (0, None, 3));
}

#[test]
fn a_loser_that_failed_before_its_turn_is_not_abandoned_again() {
    let mut plan = Plan::new(PLAYER, Limits::staggered(Duration::ZERO, 2)).unwrap();
    let [first, second] = [(); 2].map(|()| dial(&mut plan, START));
    plan.report_connected(second, ms(3));
    plan.report_failed(first, ms(3), Failure::Closed);
    assert_eq!(plan.poll_event(ms(3)), Some(PlanEvent::Connected(second)));
}

#[test]
fn reports_contain_start_and_duration() {
    let mut plan = Plan::new(NET_CONNECTION, Limits::SEQUENTIAL).unwrap();
    let first = dial(&mut plan, START);
    plan.report_failed(first, ms(20), Failure::Refused);
    let second = dial(&mut plan, ms(25));
    plan.report_tcp(second, ms(65));
    plan.report_connected(second, START + Duration::from_micros(145_250));
    let reports: Vec<_> = plan.reports().collect();
    let times = |index: usize| (reports[index].started, reports[index].to_tcp, reports[index].took);
    let millis = Duration::from_millis;
    assert_eq!(times(0), (millis(0), None, millis(20)));
    assert_eq!(times(1), (millis(25), Some(millis(40)), Duration::from_micros(120_250)));
    assert_eq!(times(2), (millis(0), None, millis(0)));
    assert_eq!(plan.winner(), Some(reports[1]));
    let printed: Vec<_> = reports.iter().map(|report| format!("{report}")).collect();
    assert_eq!(printed, ["RTMP 1935: refused", "RTMP 80: connected", "RTMP 443: not needed"]);
}

#[test]
fn a_clock_that_stops_goes_back_or_jumps_does_no_harm() {
    let mut plan = Plan::new(NET_CONNECTION, Limits::SEQUENTIAL).unwrap();
    let first = dial(&mut plan, START);
    assert_eq!(waits(&mut plan, Instant::from_micros(0)), Some(ms(3_000)));
    plan.report_tcp(first, Instant::from_micros(0));
    assert_eq!(plan.poll_event(Instant::from_micros(u64::MAX)), Some(PlanEvent::Abandon(first)));
    assert_eq!(plan.poll_event(Instant::from_micros(u64::MAX)), Some(PlanEvent::Exhausted));
    assert_eq!(plan.poll_event(START), Some(PlanEvent::Exhausted));
    let all: Vec<_> = plan.failures().map(|(_, why)| why).collect();
    assert_eq!(all, [Failure::HandshakeTimedOut, Failure::NotTried, Failure::NotTried]);
}

#[test]
fn a_plan_with_the_longest_limits_ends() {
    let limits = Limits {
        attempt: Duration::MAX,
        tcp: Duration::MAX,
        handshake: Duration::MAX,
        total: Duration::MAX,
        stagger: Some(Duration::MAX),
        max_at_once: u8::MAX,
    };
    let mut plan = Plan::new(PLAYER, limits).unwrap();
    let first = dial(&mut plan, START);
    let deadline = START + Limits::LONGEST;
    assert_eq!(waits(&mut plan, ms(1)), Some(deadline));
    assert_eq!(plan.poll_event(deadline), Some(PlanEvent::Abandon(first)));
    assert_eq!(plan.poll_event(deadline), Some(PlanEvent::Exhausted));
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Tcp,
    Connected,
    Failed,
    Untrusted,
}

fn any_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0u64..200).prop_map(Duration::from_micros),
        (0u64..20_000).prop_map(Duration::from_millis),
        Just(Duration::MAX)
    ]
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let durations = [any_duration(), any_duration(), any_duration(), any_duration()];
    (durations, proptest::option::of(any_duration()), 1u8..5).prop_map(
        |([attempt, tcp, handshake, total], stagger, max_at_once)| Limits {
            attempt,
            tcp,
            handshake,
            total,
            stagger,
            max_at_once,
        },
    )
}

fn any_script() -> impl Strategy<Value = Vec<(Option<u32>, Action, u8)>> {
    let action = prop_oneof![Just(Action::Tcp), Just(Action::Connected), Just(Action::Failed), Just(Action::Untrusted)];
    proptest::collection::vec((proptest::option::of(0u32..4_000_000), action, 0u8..8), 0..24)
}

proptest! {
    /// For any reports at any time: the plan ends. It dials each target at most once, and never more at the same time
    /// than the limit allows. It abandons each attempt at most once, names at most one winner, and has one outcome for
    /// each target. After a certificate was refused, it dials no target, and no target inside TLS wins.
    #[test]
    fn item_221_every_plan_ends_and_keeps_its_limits(
        tls in proptest::collection::vec(any::<bool>(), 1..=MAX_TARGETS), limits in any_limits(), script in any_script(),
    ) {
        let make = |(tls, port)| if tls { Target::rtmps(port) } else { Target::rtmp(port) };
        let targets: Vec<_> = tls.into_iter().zip(1000..).map(make).collect();
        let mut plan = Plan::new(&targets, limits).unwrap();
        let mut script = script.into_iter();
        let mut now = START;
        let (mut ids, mut open, mut ended) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let (mut won, mut refused) = (None, false);
        for polls in 0.. {
            prop_assert!(polls < 24 + 4 * MAX_TARGETS + 4, "the plan does not end");
            match plan.poll_event(now) {
                Some(PlanEvent::Dial { id, target, deadline }) => {
                    prop_assert!(won.is_none() && !refused);
                    prop_assert_eq!((id.index(), target), (ids.len(), targets[ids.len()]));
                    prop_assert!(deadline >= now && deadline <= START + limits.total);
                    ids.push(id);
                    open.insert(id);
                    prop_assert!(open.len() <= usize::from(limits.max_at_once));
                }
                Some(PlanEvent::Abandon(id)) => {
                    prop_assert!(open.remove(&id) && ended.insert(id) && won != Some(id));
                }
                None => {
                    let deadline = plan.poll_timeout().unwrap();
                    prop_assert!(won.is_none() && !open.is_empty());
                    prop_assert!(deadline > now && deadline <= START + limits.total);
                    let Some((after, action, which)) = script.next() else {
                        now = deadline;
                        continue;
                    };
                    now = after.map_or(deadline, |after| now + Duration::from_micros(after.into()));
                    let Some(id) = ids.get(usize::from(which)).copied() else { continue };
                    match action {
                        Action::Tcp => plan.report_tcp(id, now),
                        Action::Failed => {
                            plan.report_failed(id, now, Failure::Closed);
                            if open.remove(&id) {
                                ended.insert(id);
                            }
                        }
                        Action::Untrusted => {
                            plan.report_untrusted(id, now);
                            if open.remove(&id) {
                                ended.insert(id);
                                refused = true;
                            }
                        }
                        Action::Connected => {
                            plan.report_connected(id, now);
                            if open.contains(&id) && won.is_none() {
                                won = Some(id);
                            }
                        }
                    }
                }
                Some(end @ (PlanEvent::Connected(_) | PlanEvent::Exhausted)) => {
                    prop_assert_eq!(end, won.map_or(PlanEvent::Exhausted, PlanEvent::Connected));
                    prop_assert!(open.iter().eq(&won), "something is still open: {open:?}");
                    // The plan repeats its last event, whatever is reported later.
                    for id in &ids {
                        plan.report_failed(*id, now, Failure::Refused);
                        plan.report_connected(*id, now);
                        prop_assert_eq!(plan.poll_event(now + Duration::from_secs(3_600)), Some(end));
                    }
                    break;
                }
            }
        }
        let failures: Vec<_> = plan.failures().map(|(target, _)| target.port).collect();
        prop_assert!(failures.is_sorted_by(|a, b| a < b), "once each, in the order of the list: {failures:?}");
        let mut not_started = 0;
        for report in plan.reports() {
            match report.outcome {
                Outcome::Connected => prop_assert_eq!(Some(report.id), won),
                Outcome::Lost => prop_assert!(won.is_some() && ended.contains(&report.id)),
                Outcome::NotStarted => not_started += 1,
                Outcome::Failed(Failure::NotTried) => prop_assert!(!ids.contains(&report.id)),
                Outcome::Failed(Failure::Untrusted) => {
                    prop_assert!(refused && (ended.contains(&report.id) || !ids.contains(&report.id)));
                }
                Outcome::Failed(_) => prop_assert!(ended.contains(&report.id)),
                outcome => prop_assert!(false, "{outcome:?} after the end"),
            }
        }
        prop_assert_eq!(plan.winner().map(|report| report.id), won);
        prop_assert!(!refused || won.is_none_or(|won| !targets[won.index()].transport.is_tls()));
        prop_assert!(won.is_some() || not_started == 0);
    }
}
