//! Whole plans on a simulated wire: every list with every combination of outcomes of its targets.

use core::time::Duration;
use std::vec::Vec;

use super::simulation::{Dialing, ROUND_TRIP, Wire, course, run};
use super::*;

const ANSWERS: [Wire; 6] = [Wire::Drop, Wire::Refuse, Wire::Silent, Wire::Http, Wire::Close, Wire::Rtmp];

/// Every combination of outcomes of a list's targets: one of `kinds` for each, in the order of the list.
fn every_wire(targets: &[Target], kinds: &[Wire]) -> impl Iterator<Item = Vec<Wire>> {
    let count = kinds.len().pow(targets.len() as u32);
    (0..count).map(move |code| {
        let digit = |index: usize| code / kinds.len().pow(index as u32) % kinds.len();
        (0..targets.len()).map(|index| kinds[digit(index)]).collect()
    })
}

/// The outcome of `target`, if `wires` are those of `targets`.
fn wire_of(target: Target, targets: &[Target], wires: &[Wire]) -> Wire {
    wires[targets.iter().position(|other| *other == target).unwrap()]
}

#[test]
fn item_093_sequential_orders_stop_at_the_first_that_answers() {
    let kinds = [&ANSWERS[..], &[Wire::CutOff]].concat();
    for targets in [PLAYER, NET_CONNECTION, &[Target::rtmp(8080)]] {
        for wires in every_wire(targets, &kinds) {
            let course = run(targets, Limits::SEQUENTIAL, |target| wire_of(target, targets, &wires));
            let (mut now, mut expected) = (0, Dialing { most_at_once: 1, ..Dialing::default() });
            for (target, wire) in targets.iter().zip(&wires) {
                expected.dialled.push((now, *target));
                let Some((why, after)) = wire.failure() else {
                    now += 3 * ROUND_TRIP;
                    expected.winner = Some((now, *target));
                    break;
                };
                now += after;
                if matches!(why, Failure::TimedOut | Failure::HandshakeTimedOut) {
                    expected.abandoned.push((now, *target));
                }
                expected.failures.push((*target, why));
            }
            expected.end = now;
            assert_eq!(course, expected, "{wires:?}");
        }
    }
}

#[test]
fn item_093_a_staggered_list_chooses_the_fastest_open_target() {
    let targets = [1935, 80, 443, 8080].map(Target::rtmp);
    for stagger in [1, 30, 100] {
        for at_once in [1, 2, 4] {
            let limits = Limits::staggered(Duration::from_millis(stagger), at_once);
            for wires in every_wire(&targets, &ANSWERS) {
                let wire = |target| wire_of(target, &targets, &wires);
                let course = run(&targets, limits, wire);
                assert!(course.most_at_once <= usize::from(at_once), "{wires:?} {course:?}");
                let open = course.dialled.iter().filter(|(_, target)| wire(*target) == Wire::Rtmp);
                let best = open.map(|(at, target)| (at + 3 * ROUND_TRIP, *target)).min_by_key(|(at, _)| *at);
                assert_eq!(course.winner, best, "{wires:?}");
                assert_eq!(best.is_some(), wires.contains(&Wire::Rtmp), "{wires:?}");
                // If there are enough slots, no attempt starts later than the stagger.
                if at_once == 4 {
                    for (index, (at, _)) in course.dialled.iter().enumerate() {
                        assert!(*at <= index as u64 * stagger, "{wires:?} {course:?}");
                    }
                }
                for (target, why) in &course.failures {
                    assert_eq!(wire(*target).failure().map(|(why, _)| why), Some(*why), "{wires:?}");
                }
            }
        }
    }
}

#[test]
fn the_last_good_target_comes_first_and_the_others_keep_their_order() {
    for (last_good, order) in [
        (Target::rtmp(1935), [1935, 80, 443, 80]),
        (Target::rtmp(443), [443, 1935, 80, 80]),
        (Target::rtmpt(80), [80, 1935, 80, 443]),
        (Target::rtmp(8080), [1935, 80, 443, 80]),
    ] {
        let mut plan = Plan::new(DEFAULT_ORDER, Limits::smart(1)).unwrap();
        plan.prefer(last_good);
        let course = course(&mut plan, DEFAULT_ORDER, |_| Wire::Refuse);
        assert_eq!(course.dialled_ports().iter().map(|(_, port)| *port).collect::<Vec<_>>(), order);
        assert_eq!(course.dialled[0].1, if DEFAULT_ORDER.contains(&last_good) { last_good } else { DEFAULT_ORDER[0] });
        assert_eq!(course.failures.len(), 4);
    }
}

#[test]
fn item_092_preferring_a_port_outside_the_list_adds_no_target() {
    let targets = [Target::rtmp(8080)];
    let mut plan = Plan::new(&targets, Limits::smart(4)).unwrap();
    plan.prefer(Target::rtmp(1935));
    assert_eq!(course(&mut plan, &targets, |_| Wire::Drop).dialled, [(0, targets[0])]);
}

#[test]
fn targets_that_were_abandoned_for_a_winner_that_is_cut_off_are_tried_again() {
    let wire = |target: Target| if target.port == 1935 { Wire::CutOff } else { Wire::Rtmp };
    let course = run(NET_CONNECTION, Limits::staggered(Duration::from_millis(60), 2), wire);
    assert_eq!(course.dialled_ports(), [(0, 1935), (60, 80), (5_120, 80), (5_180, 443)]);
    assert_eq!(course.abandoned_ports(), [(120, 80), (5_240, 443)]);
    assert_eq!(course.failed_ports(), [(1935, Failure::CutOff)]);
    assert_eq!(course.winning_port(), Some((5_240, 80)));
    // Each target wins at most once, so this plan ends, too.
    let course = run(NET_CONNECTION, Limits::staggered(Duration::from_millis(60), 3), |_| Wire::CutOff);
    assert_eq!(course.failed_ports(), [1935, 80, 443].map(|port| (port, Failure::CutOff)));
    assert_eq!(course.winner, None);
}

#[test]
fn a_winner_that_must_be_dialled_again_is_dialled_first_with_a_new_time_limit() {
    let targets = [1935, 80, 443].map(Target::rtmp);
    let limits = Limits { total: Duration::from_secs(8), ..Limits::SEQUENTIAL };
    let mut plan = Plan::new(&targets, limits).unwrap();
    let at = Instant::from_millis;
    let dialled = |plan: &mut Plan<'_>, now| match plan.poll_event(now) {
        Some(PlanEvent::Dial { id, target, .. }) => (id, target.port),
        other => panic!("{other:?}"),
    };
    let (first, _) = dialled(&mut plan, at(0));
    plan.report_failed(first, at(5), Failure::Refused);
    for now in [500, 20_000] {
        let (id, port) = dialled(&mut plan, at(now));
        assert_eq!(port, 80);
        plan.report_tcp(id, at(now + 100));
        plan.report_connected(id, at(now + 200));
        assert_eq!(plan.poll_event(at(now + 7_000)), Some(PlanEvent::Connected(id)));
        plan.dial_again();
        assert_eq!(plan.winner(), None);
    }
    // If it does not answer any longer, only the targets that were not tried yet remain.
    let (id, port) = dialled(&mut plan, at(30_000));
    assert_eq!(port, 80);
    plan.report_failed(id, at(30_001), Failure::Closed);
    let (id, port) = dialled(&mut plan, at(30_002));
    assert_eq!(port, 443);
    plan.report_failed(id, at(30_003), Failure::Closed);
    assert_eq!(plan.poll_event(at(30_004)), Some(PlanEvent::Exhausted));
    plan.dial_again();
    assert_eq!(plan.poll_event(at(30_005)), Some(PlanEvent::Exhausted));
}

#[test]
fn item_093_an_attempt_starts_each_30_ms_while_the_firewall_drops_the_first_two() {
    let targets = [1935, 80, 443, 8080, 7070].map(Target::rtmp);
    let wire = |target: Target| if target.port == 1935 || target.port == 80 { Wire::Drop } else { Wire::Rtmp };
    let course = run(&targets, Limits::staggered(Duration::from_millis(30), 5), wire);
    assert_eq!(course.dialled_ports(), [(0, 1935), (30, 80), (60, 443), (90, 8080), (120, 7070)]);
    assert_eq!(course.winning_port(), Some((180, 443)));
    assert_eq!(course.abandoned_ports(), [(180, 1935), (180, 80), (180, 8080), (180, 7070)]);
    assert!(course.failures.is_empty(), "losers did not fail");
}

#[test]
fn item_093_a_stagger_with_one_socket_waits_for_the_socket() {
    let wire = |target: Target| if target.port == 1935 { Wire::Drop } else { Wire::Rtmp };
    let course = run(NET_CONNECTION, Limits::staggered(Duration::from_millis(30), 1), wire);
    assert_eq!(course.dialled_ports(), [(0, 1935), (3_000, 80)]);
    assert_eq!((course.most_at_once, course.winning_port()), (1, Some((3_120, 80))));
    assert_eq!(course.failed_ports(), [(1935, Failure::TimedOut)]);
}

#[test]
fn item_093_a_failure_starts_the_next_before_the_stagger_ends() {
    let wire = |target: Target| if target.port == 1935 { Wire::Refuse } else { Wire::Rtmp };
    let course = run(NET_CONNECTION, Limits::staggered(Duration::from_millis(100), 3), wire);
    assert_eq!(course.dialled_ports(), [(0, 1935), (40, 80), (140, 443)]);
    assert_eq!(course.winning_port(), Some((160, 80)));
}

#[test]
fn item_093_the_first_handshake_wins_and_not_the_first_tcp_connection() {
    let wire = |target: Target| if target.port == 443 { Wire::Rtmp } else { Wire::Silent };
    let course = run(NET_CONNECTION, Limits::staggered(Duration::from_millis(10), 3), wire);
    assert_eq!(course.winning_port(), Some((140, 443)));
    assert_eq!(course.abandoned_ports(), [(140, 1935), (140, 80)]);
}

#[test]
fn item_093_the_total_deadline_ends_everything() {
    let total = |at_once, stagger| Limits {
        total: Duration::from_secs(4),
        ..Limits::staggered(Duration::from_millis(stagger), at_once)
    };
    let course = run(NET_CONNECTION, total(1, 1), |_| Wire::Drop);
    assert_eq!((course.end, course.dialled_ports()), (4_000, std::vec![(0, 1935), (3_000, 80)]));
    assert_eq!(course.failed_ports(), [(1935, Failure::TimedOut), (80, Failure::TimedOut), (443, Failure::NotTried)]);
    let course = run(NET_CONNECTION, total(2, 100), |_| Wire::Silent);
    assert_eq!((course.end, course.abandoned_ports()), (4_000, std::vec![(4_000, 1935), (4_000, 80)]));
    let silent = Failure::HandshakeTimedOut;
    assert_eq!(course.failed_ports(), [(1935, silent), (80, silent), (443, Failure::NotTried)]);
}

#[test]
fn item_094_an_http_server_fails_its_attempt_at_once_and_the_others_continue() {
    let wire = |target: Target| match target.port {
        1935 => Wire::Drop,
        80 => Wire::Http,
        _ => Wire::Rtmp,
    };
    let course = run(NET_CONNECTION, Limits::SEQUENTIAL, wire);
    assert_eq!(course.dialled_ports(), [(0, 1935), (3_000, 80), (3_080, 443)]);
    assert_eq!(course.failed_ports(), [(1935, Failure::TimedOut), (80, Failure::NotRtmp)]);
    assert_eq!(course.winning_port(), Some((3_200, 443)));

    let course = run(NET_CONNECTION, Limits::staggered(Duration::from_millis(100), 3), wire);
    assert_eq!(course.dialled_ports(), [(0, 1935), (100, 80), (180, 443)]);
    assert_eq!(course.failed_ports(), [(80, Failure::NotRtmp)]);
    assert_eq!((course.winning_port(), course.abandoned_ports()), (Some((300, 443)), std::vec![(300, 1935)]));
}

#[test]
fn item_221_a_refused_certificate_ends_the_plan_for_the_host() {
    let targets = [Target::rtmps(443), Target::rtmps(8443), Target::rtmpts(443), Target::rtmp(1935)];
    let wire = |target: Target| if target.port == 443 { Wire::Untrusted } else { Wire::Rtmp };
    // One after another: no other target is dialled.
    let course = run(&targets, Limits::SEQUENTIAL, wire);
    assert_eq!(course.dialled, [(0, targets[0])]);
    let [certificate, untrusted] = [Failure::Certificate, Failure::Untrusted];
    assert_eq!(
        course.failures,
        std::iter::zip(targets, [certificate, untrusted, untrusted, untrusted]).collect::<Vec<_>>()
    );
    assert_eq!((course.winner, course.end), (None, 80));
    // Overlapping: the attempts inside TLS are abandoned.
    let course = run(&targets[..3], Limits::staggered(Duration::from_millis(30), 2), wire);
    assert_eq!(course.dialled, [(0, targets[0]), (30, targets[1])]);
    assert_eq!((course.abandoned, course.winner), (std::vec![(80, targets[1])], None));
    assert_eq!(course.failures, std::iter::zip(targets, [certificate, untrusted, untrusted]).collect::<Vec<_>>());
}

#[test]
fn item_221_a_refused_certificate_of_a_fallback_starts_nothing_and_ends_nothing_that_the_caller_allowed() {
    let targets = [Target::rtmp(1935), Target::rtmps(443), Target::rtmp(8080)];
    let wire = |target: Target| match target.port {
        443 => Wire::Untrusted,
        _ => Wire::Rtmp,
    };
    let course = run(&targets, Limits::staggered(Duration::from_millis(30), 2), wire);
    assert_eq!(course.winner, Some((120, targets[0])));
    assert_eq!(course.dialled, [(0, targets[0]), (30, targets[1])]);
    assert_eq!(course.failures, [(targets[1], Failure::Certificate), (targets[2], Failure::Untrusted)]);
}
