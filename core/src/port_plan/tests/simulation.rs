//! A plan on a simulated wire with a fake clock.

use std::collections::BTreeMap;
use std::vec::Vec;

use super::*;
use crate::time::Instant;

/// What an attempt to a target encounters. An answer takes one round trip. The handshake takes two more, or three in a
/// tunnel and inside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// A firewall drops every packet.
    Drop,
    /// The SYN is answered by a reset.
    Refuse,
    /// The SYN is answered by an ICMP message.
    Unreachable,
    /// TCP connects, and then the server sends nothing.
    Silent,
    /// TCP connects, and the handshake is answered by an HTTP server.
    Http,
    /// TCP connects and is closed when the handshake begins.
    Close,
    /// An RTMP server.
    Rtmp,
    /// A server that accepts RTMP in HTTP requests.
    Tunnel,
    /// A server that accepts RTMP inside TLS, with a certificate that the caller trusts.
    Tls,
    /// A server that accepts RTMP inside TLS, with a certificate that the caller refuses.
    Untrusted,
    /// An RTMP server behind a firewall that drops everything after the handshake.
    CutOff,
    /// The caller does not support the transport.
    Unsupported,
}

pub(super) const ROUND_TRIP: u64 = 40;
/// How long the caller waits for an answer to its first command.
pub(super) const PATIENCE: u64 = 5_000;

#[derive(Debug, Clone, Copy)]
enum Report {
    Tcp,
    Connected,
    Untrusted,
    Failed(Failure),
}

impl Wire {
    /// The reports after a dial, each with its time in milliseconds.
    fn answers(self) -> Vec<(u64, Report)> {
        let tcp = (ROUND_TRIP, Report::Tcp);
        match self {
            Wire::Drop => std::vec![],
            Wire::Unsupported => std::vec![(0, Report::Failed(Failure::Unsupported))],
            Wire::Refuse => std::vec![(ROUND_TRIP, Report::Failed(Failure::Refused))],
            Wire::Unreachable => std::vec![(ROUND_TRIP, Report::Failed(Failure::Unreachable))],
            Wire::Silent => std::vec![tcp],
            Wire::Http => std::vec![tcp, (2 * ROUND_TRIP, Report::Failed(Failure::NotRtmp))],
            Wire::Close => std::vec![tcp, (2 * ROUND_TRIP, Report::Failed(Failure::Closed))],
            Wire::Rtmp | Wire::CutOff => std::vec![tcp, (3 * ROUND_TRIP, Report::Connected)],
            Wire::Untrusted => std::vec![tcp, (2 * ROUND_TRIP, Report::Untrusted)],
            Wire::Tunnel | Wire::Tls => std::vec![tcp, (4 * ROUND_TRIP, Report::Connected)],
        }
    }

    /// The failure that the plan must report, and after how many milliseconds.
    pub(super) fn failure(self) -> Option<(Failure, u64)> {
        match self {
            Wire::Drop => Some((Failure::TimedOut, 3_000)),
            Wire::Unsupported => Some((Failure::Unsupported, 0)),
            Wire::Refuse => Some((Failure::Refused, ROUND_TRIP)),
            Wire::Unreachable => Some((Failure::Unreachable, ROUND_TRIP)),
            Wire::Silent => Some((Failure::HandshakeTimedOut, ROUND_TRIP + 5_000)),
            Wire::Http => Some((Failure::NotRtmp, 2 * ROUND_TRIP)),
            Wire::Close => Some((Failure::Closed, 2 * ROUND_TRIP)),
            Wire::CutOff => Some((Failure::CutOff, 3 * ROUND_TRIP + PATIENCE)),
            Wire::Untrusted => Some((Failure::Certificate, 2 * ROUND_TRIP)),
            Wire::Rtmp | Wire::Tunnel | Wire::Tls => None,
        }
    }
}

/// The result of a whole plan. Times are milliseconds from its start.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Dialing {
    pub(super) dialled: Vec<(u64, Target)>,
    pub(super) abandoned: Vec<(u64, Target)>,
    pub(super) most_at_once: usize,
    pub(super) winner: Option<(u64, Target)>,
    pub(super) end: u64,
    pub(super) failures: Vec<(Target, Failure)>,
}

impl Dialing {
    /// When each port was dialled.
    pub(super) fn dialled_ports(&self) -> Vec<(u64, u16)> {
        self.dialled.iter().map(|(at, target)| (*at, target.port)).collect()
    }

    /// The ports of the attempts that were abandoned, and when.
    pub(super) fn abandoned_ports(&self) -> Vec<(u64, u16)> {
        self.abandoned.iter().map(|(at, target)| (*at, target.port)).collect()
    }

    /// The ports that failed.
    pub(super) fn failed_ports(&self) -> Vec<(u16, Failure)> {
        self.failures.iter().map(|(target, why)| (target.port, *why)).collect()
    }

    /// The port that won, and when.
    pub(super) fn winning_port(&self) -> Option<(u64, u16)> {
        self.winner.map(|(at, target)| (at, target.port))
    }
}

/// Runs a plan of these targets. `wire` returns what an attempt to each encounters.
pub(super) fn run(targets: &[Target], limits: Limits, wire: impl Fn(Target) -> Wire) -> Dialing {
    course(&mut Plan::new(targets, limits).unwrap(), targets, wire)
}

/// Runs a plan of these targets.
pub(super) fn course(plan: &mut Plan<'_>, targets: &[Target], wire: impl Fn(Target) -> Wire) -> Dialing {
    const START: u64 = 7_000_000;
    let mut course = Dialing::default();
    let mut now = 0;
    let mut open = Vec::new();
    let mut pending: BTreeMap<(u64, usize), (AttemptId, Report)> = BTreeMap::new();
    loop {
        let instant = Instant::from_millis(START + now);
        let target_of = |id: AttemptId| targets[id.index()];
        match plan.poll_event(instant) {
            Some(PlanEvent::Dial { id, target, deadline }) => {
                assert!(deadline > instant);
                // Late answers to an abandoned attempt are also reported, but not for a later dial of the same target.
                pending.retain(|_, (other, _)| *other != id);
                course.dialled.push((now, target));
                open.push(id);
                course.most_at_once = course.most_at_once.max(open.len());
                for (after, report) in wire(target).answers() {
                    pending.insert(
                        (now + after, 2 * id.index() + usize::from(!matches!(report, Report::Tcp))),
                        (id, report),
                    );
                }
            }
            Some(PlanEvent::Abandon(id)) => {
                assert!(open.contains(&id), "abandoned twice, or never dialled");
                open.retain(|other| *other != id);
                course.abandoned.push((now, target_of(id)));
            }
            None => {
                let deadline = plan.poll_timeout().unwrap();
                let deadline = deadline.as_millis() - START;
                assert!(deadline > now, "a wait that ends before it begins");
                match pending.first_key_value() {
                    Some((&(at, _), _)) if at <= deadline => {
                        let ((at, _), (id, report)) = pending.pop_first().unwrap();
                        now = at;
                        let instant = Instant::from_millis(START + now);
                        match report {
                            Report::Tcp => plan.report_tcp(id, instant),
                            Report::Connected => plan.report_connected(id, instant),
                            Report::Untrusted => {
                                open.retain(|other| *other != id);
                                plan.report_untrusted(id, instant);
                            }
                            Report::Failed(why) => {
                                open.retain(|other| *other != id);
                                plan.report_failed(id, instant, why);
                            }
                        }
                    }
                    _ => now = deadline,
                }
            }
            Some(PlanEvent::Connected(id)) => {
                assert_eq!(open, [id], "a loser is still open");
                let (report, target) = (plan.winner().unwrap(), target_of(id));
                assert_eq!((report.id, report.target, report.outcome), (id, target, Outcome::Connected));
                assert_eq!((report.started + report.took).as_millis(), u128::from(now));
                if wire(target) == Wire::CutOff {
                    now += PATIENCE;
                    open.clear();
                    plan.report_cut_off(Instant::from_millis(START + now));
                    continue;
                }
                course.winner = Some((now, target));
                break;
            }
            Some(PlanEvent::Exhausted) => {
                assert!(open.is_empty() && plan.winner().is_none());
                break;
            }
        }
    }
    course.end = now;
    course.failures = plan.failures().collect();
    course
}
