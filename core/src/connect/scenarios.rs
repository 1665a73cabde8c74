//! Whole plans against a simulated wire with a fake clock: every order against every kind of firewall.

use core::time::Duration;
use std::collections::BTreeMap;
use std::vec::Vec;

use super::*;
use crate::time::Instant;

/// What stands behind a port. An answer takes one round trip; the handshake takes two more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    /// A firewall swallows every packet.
    Drop,
    /// A reset answers the SYN.
    Refuse,
    /// TCP connects, and then nothing comes.
    Silent,
    /// TCP connects, and an HTTP server answers the handshake.
    Http,
    /// TCP connects and is closed when the handshake begins.
    Close,
    /// An RTMP server.
    Rtmp,
}

const ALL: [Wire; 6] = [Wire::Drop, Wire::Refuse, Wire::Silent, Wire::Http, Wire::Close, Wire::Rtmp];
const ROUND_TRIP: u64 = 40;

#[derive(Debug, Clone, Copy)]
enum Report {
    Tcp,
    Connected,
    Failed(Failure),
}

impl Wire {
    /// What happens after a dial: milliseconds, and what is to be reported then.
    fn answers(self) -> Vec<(u64, Report)> {
        let tcp = (ROUND_TRIP, Report::Tcp);
        match self {
            Wire::Drop => std::vec![],
            Wire::Refuse => std::vec![(ROUND_TRIP, Report::Failed(Failure::Refused))],
            Wire::Silent => std::vec![tcp],
            Wire::Http => std::vec![tcp, (2 * ROUND_TRIP, Report::Failed(Failure::NotRtmp))],
            Wire::Close => std::vec![tcp, (2 * ROUND_TRIP, Report::Failed(Failure::Closed))],
            Wire::Rtmp => std::vec![tcp, (3 * ROUND_TRIP, Report::Connected)],
        }
    }

    /// What the plan is expected to say of it in the end, and after how many milliseconds.
    fn failure(self) -> Option<(Failure, u64)> {
        match self {
            Wire::Drop => Some((Failure::TimedOut, 3_000)),
            Wire::Refuse => Some((Failure::Refused, ROUND_TRIP)),
            Wire::Silent => Some((Failure::HandshakeTimedOut, ROUND_TRIP + 5_000)),
            Wire::Http => Some((Failure::NotRtmp, 2 * ROUND_TRIP)),
            Wire::Close => Some((Failure::Closed, 2 * ROUND_TRIP)),
            Wire::Rtmp => None,
        }
    }
}

/// What came of a whole plan. Times are milliseconds from its start.
#[derive(Debug, Default, PartialEq, Eq)]
struct Course {
    dialled: Vec<(u64, u16)>,
    abandoned: Vec<(u64, u16)>,
    most_at_once: usize,
    winner: Option<(u64, u16)>,
    end: u64,
    failures: Vec<(u16, Failure)>,
}

fn run(targets: &[Target], limits: Limits, wire: impl Fn(u16) -> Wire) -> Course {
    const START: u64 = 7_000_000;
    let mut plan = Plan::new(targets, limits).unwrap();
    let mut course = Course::default();
    let mut now = 0;
    let mut open = Vec::new();
    let mut pending: BTreeMap<(u64, usize), (AttemptId, Report)> = BTreeMap::new();
    loop {
        let instant = Instant::from_millis(START + now);
        let port = |id: AttemptId| targets[id.index()].port;
        match plan.poll(instant) {
            Step::Dial { id, target, deadline } => {
                assert!(deadline > instant || limits.attempt.is_zero());
                course.dialled.push((now, target.port));
                open.push(id);
                course.most_at_once = course.most_at_once.max(open.len());
                for (after, report) in wire(target.port).answers() {
                    pending.insert(
                        (now + after, 2 * id.index() + usize::from(!matches!(report, Report::Tcp))),
                        (id, report),
                    );
                }
            }
            Step::Abandon(id) => {
                assert!(open.contains(&id), "abandoned twice, or never dialled");
                open.retain(|other| *other != id);
                course.abandoned.push((now, port(id)));
            }
            Step::Await { deadline } => {
                let deadline = deadline.as_millis() - START;
                assert!(deadline > now, "a wait that ends before it begins");
                match pending.first_key_value() {
                    Some((&(at, _), _)) if at <= deadline => {
                        let ((at, _), (id, report)) = pending.pop_first().unwrap();
                        now = at;
                        let instant = Instant::from_millis(START + now);
                        // An abandoned attempt's late answers are reported, too: the plan must not care.
                        match report {
                            Report::Tcp => plan.report_tcp(id, instant),
                            Report::Connected => plan.report_connected(id, instant),
                            Report::Failed(why) => {
                                open.retain(|other| *other != id);
                                plan.report_failed(id, instant, why);
                            }
                        }
                    }
                    _ => now = deadline,
                }
            }
            Step::Connected(id) => {
                assert_eq!(open, [id], "a loser is still open");
                let report = plan.winner().unwrap();
                assert_eq!((report.id, report.target.port, report.outcome), (id, port(id), Outcome::Connected));
                assert_eq!((report.started + report.took).as_millis(), u128::from(now));
                course.winner = Some((now, port(id)));
                break;
            }
            Step::Exhausted => {
                assert!(open.is_empty() && plan.winner().is_none());
                break;
            }
        }
    }
    course.end = now;
    course.failures = plan.failures().map(|(target, why)| (target.port, why)).collect();
    course
}

/// Every way in which the targets of a list can be answered.
fn every_wire(targets: &[Target]) -> impl Iterator<Item = BTreeMap<u16, Wire>> {
    let count = ALL.len().pow(targets.len() as u32);
    (0..count).map(move |mut code| {
        let mut wires = BTreeMap::new();
        for target in targets {
            wires.insert(target.port, ALL[code % ALL.len()]);
            code /= ALL.len();
        }
        wires
    })
}

#[test]
fn item_093_sequential_orders_stop_at_the_first_that_answers() {
    let one = [Target::rtmp(8080)];
    for targets in [PLAYER, NET_CONNECTION, &one] {
        for wires in every_wire(targets) {
            let course = run(targets, Limits::SEQUENTIAL, |port| wires[&port]);
            let (mut now, mut expected) = (0, Course::default());
            for target in targets {
                let port = target.port;
                expected.dialled.push((now, port));
                expected.most_at_once = 1;
                let Some((why, after)) = wires[&port].failure() else {
                    now += 3 * ROUND_TRIP;
                    expected.winner = Some((now, port));
                    break;
                };
                now += after;
                if matches!(why, Failure::TimedOut | Failure::HandshakeTimedOut) {
                    expected.abandoned.push((now, port));
                }
                expected.failures.push((port, why));
            }
            expected.end = now;
            assert_eq!(course, expected, "{wires:?}");
        }
    }
}

#[test]
fn item_093_a_staggered_list_takes_the_fastest_way_that_is_open() {
    let targets = [1935, 80, 443, 8080].map(Target::rtmp);
    for stagger in [1, 30, 100] {
        for at_once in [1, 2, 4] {
            let limits = Limits::staggered(Duration::from_millis(stagger), at_once);
            for wires in every_wire(&targets) {
                let course = run(&targets, limits, |port| wires[&port]);
                assert!(course.most_at_once <= usize::from(at_once), "{wires:?} {course:?}");
                let open = course.dialled.iter().filter(|(_, port)| wires[port] == Wire::Rtmp);
                let best = open.map(|(at, port)| (at + 3 * ROUND_TRIP, *port)).min();
                assert_eq!(course.winner, best, "{wires:?}");
                assert_eq!(best.is_some(), wires.values().any(|wire| *wire == Wire::Rtmp), "{wires:?}");
                // Where slots abound, no attempt waits longer for its turn than the stagger.
                if at_once == 4 {
                    for (index, (at, _)) in course.dialled.iter().enumerate() {
                        assert!(*at <= index as u64 * stagger, "{wires:?} {course:?}");
                    }
                }
                for (port, why) in &course.failures {
                    assert_eq!(wires[port].failure().map(|(why, _)| why), Some(*why), "{wires:?}");
                }
            }
        }
    }
}

#[test]
fn item_093_an_attempt_each_30_ms_while_the_firewall_swallows_the_first_two() {
    let targets = [1935, 80, 443, 8080, 7070].map(Target::rtmp);
    let wire = |port| if port == 1935 || port == 80 { Wire::Drop } else { Wire::Rtmp };
    let course = run(&targets, Limits::staggered(Duration::from_millis(30), 5), wire);
    assert_eq!(course.dialled, [(0, 1935), (30, 80), (60, 443), (90, 8080), (120, 7070)]);
    assert_eq!(course.winner, Some((180, 443)));
    assert_eq!(course.abandoned, [(180, 1935), (180, 80), (180, 8080), (180, 7070)]);
    assert!(course.failures.is_empty(), "losers did not fail");
}

#[test]
fn item_093_a_stagger_with_one_socket_waits_for_the_socket() {
    let wire = |port| if port == 1935 { Wire::Drop } else { Wire::Rtmp };
    let course = run(NET_CONNECTION, Limits::staggered(Duration::from_millis(30), 1), wire);
    assert_eq!(course.dialled, [(0, 1935), (3_000, 80)]);
    assert_eq!((course.most_at_once, course.winner), (1, Some((3_120, 80))));
    assert_eq!(course.failures, [(1935, Failure::TimedOut)]);
}

#[test]
fn item_093_a_failure_starts_the_next_before_the_stagger_ends() {
    let wire = |port| if port == 1935 { Wire::Refuse } else { Wire::Rtmp };
    let course = run(NET_CONNECTION, Limits::staggered(Duration::from_millis(100), 3), wire);
    assert_eq!(course.dialled, [(0, 1935), (40, 80), (140, 443)]);
    assert_eq!(course.winner, Some((160, 80)));
}

#[test]
fn item_093_the_first_handshake_wins_and_not_the_first_tcp_connection() {
    let wire = |port| if port == 443 { Wire::Rtmp } else { Wire::Silent };
    let course = run(NET_CONNECTION, Limits::staggered(Duration::from_millis(10), 3), wire);
    assert_eq!(course.winner, Some((140, 443)));
    assert_eq!(course.abandoned, [(140, 1935), (140, 80)]);
}

#[test]
fn item_093_the_total_deadline_ends_everything() {
    let total = |at_once, stagger| Limits {
        total: Duration::from_secs(4),
        ..Limits::staggered(Duration::from_millis(stagger), at_once)
    };
    let course = run(NET_CONNECTION, total(1, 1), |_| Wire::Drop);
    assert_eq!((course.end, course.dialled), (4_000, std::vec![(0, 1935), (3_000, 80)]));
    assert_eq!(course.failures, [(1935, Failure::TimedOut), (80, Failure::TimedOut), (443, Failure::NotTried)]);
    let course = run(NET_CONNECTION, total(2, 100), |_| Wire::Silent);
    assert_eq!((course.end, course.abandoned), (4_000, std::vec![(4_000, 1935), (4_000, 80)]));
    let silent = Failure::HandshakeTimedOut;
    assert_eq!(course.failures, [(1935, silent), (80, silent), (443, Failure::NotTried)]);
}

#[test]
fn item_094_an_http_server_in_place_of_rtmp_fails_that_attempt_at_once_and_the_others_go_on() {
    let wire = |port| match port {
        1935 => Wire::Drop,
        80 => Wire::Http,
        _ => Wire::Rtmp,
    };
    let course = run(NET_CONNECTION, Limits::SEQUENTIAL, wire);
    assert_eq!(course.dialled, [(0, 1935), (3_000, 80), (3_080, 443)]);
    assert_eq!(course.failures, [(1935, Failure::TimedOut), (80, Failure::NotRtmp)]);
    assert_eq!(course.winner, Some((3_200, 443)));

    let course = run(NET_CONNECTION, Limits::staggered(Duration::from_millis(100), 3), wire);
    assert_eq!(course.dialled, [(0, 1935), (100, 80), (180, 443)]);
    assert_eq!(course.failures, [(80, Failure::NotRtmp)]);
    assert_eq!((course.winner, course.abandoned), (Some((300, 443)), std::vec![(300, 1935)]));
}
