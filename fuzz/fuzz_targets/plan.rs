//! A port plan with random reports at random times: it ends, never dials more at the same time than allowed, dials each target
//! once for each winner that was cut off, and never has two winners.
//!
//! Eight bytes choose targets and limits. Then each action takes two bytes: what happens to which attempt, and when.
#![no_main]

use std::collections::BTreeSet;
use std::time::Duration;

use embedded_rtmp::port_plan::{AttemptId, Failure, Limits, MAX_TARGETS, Outcome, Plan, PlanEvent, Target};
use embedded_rtmp::time::Instant;
use libfuzzer_sys::fuzz_target;

/// Short and long times, and one that never ends.
fn duration(byte: u8) -> Duration {
    match byte {
        0xFF => Duration::MAX,
        0x80.. => Duration::from_millis(100 * u64::from(byte & 0x7F)),
        _ => Duration::from_micros(500 * u64::from(byte)),
    }
}

/// What the caller has open, and what it has seen.
#[derive(Default)]
struct Caller {
    ids: Vec<AttemptId>,
    open: BTreeSet<AttemptId>,
    /// The attempt whose handshake was complete first.
    won: Option<AttemptId>,
    dials: usize,
    cut_offs: usize,
}

impl Caller {
    fn report(&mut self, plan: &mut Plan<'_>, action: u8, now: Instant) {
        // There are reports about attempts that have ended, too, but none that hits a later dial of the same target.
        let Some(id) = self.ids.get(usize::from(action >> 2) % MAX_TARGETS).copied() else { return };
        let is_open = self.open.contains(&id) && self.won != Some(id);
        match action & 3 {
            0 => plan.report_tcp(id, now),
            1 => {
                plan.report_connected(id, now);
                self.won = self.won.or(is_open.then_some(id));
            }
            2 => {
                plan.report_failed(id, now, Failure::Closed);
                if is_open {
                    self.open.remove(&id);
                }
            }
            _ => {}
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let [count, at_once, attempt, tcp, handshake, total, stagger, preferred, actions @ ..] = data else { return };
    let targets: Vec<_> = (0..1 + u16::from(*count) % 8).map(|port| Target::rtmp(1000 + port)).collect();
    let limits = Limits {
        attempt: duration(*attempt),
        tcp: duration(*tcp),
        handshake: duration(*handshake),
        total: duration(*total),
        stagger: (*stagger != 0xFE).then(|| duration(*stagger)),
        max_at_once: 1 + at_once % 8,
    };
    let mut plan = Plan::new(&targets, limits).unwrap();
    plan.prefer(Target::rtmp(1000 + u16::from(*preferred)));
    let mut actions = actions.chunks_exact(2);
    let mut now = Instant::from_millis(77);
    let mut caller = Caller::default();
    let most = actions.len() + (1 + MAX_TARGETS) * (4 * MAX_TARGETS + 2);
    for polls in 0.. {
        assert!(polls <= most, "the plan does not end");
        match plan.poll_event(now) {
            Some(PlanEvent::Dial { id, target, deadline }) => {
                assert!(caller.won.is_none(), "dialled although an attempt has won");
                assert_eq!(targets[id.index()], target);
                assert!(deadline >= now);
                if caller.dials == 0
                    && let Some(target) = targets.get(usize::from(*preferred))
                {
                    assert_eq!(id.index(), usize::from(target.port - 1000));
                }
                caller.dials += 1;
                if !caller.ids.contains(&id) {
                    caller.ids.push(id);
                }
                assert!(caller.open.insert(id), "dialled a target whose attempt is in progress");
                assert!(caller.open.len() <= usize::from(limits.max_at_once), "too many attempts at the same time");
            }
            Some(PlanEvent::Abandon(id)) => {
                assert!(caller.open.remove(&id), "abandoned an attempt that is not open");
                assert_ne!(caller.won, Some(id), "the winner was abandoned");
            }
            None => {
                let deadline = plan.poll_timeout().unwrap();
                assert!(deadline > now && caller.won.is_none() && !caller.open.is_empty());
                match actions.next() {
                    Some([action, after]) => {
                        now = if *after == 0xFF { deadline } else { now + duration(*after) };
                        caller.report(&mut plan, *action, now);
                    }
                    _ => now = deadline,
                }
            }
            Some(PlanEvent::Connected(id)) => {
                assert_eq!(caller.won, Some(id), "there is a second winner");
                assert!(caller.open.iter().eq([&id]), "an attempt that lost is still open");
                assert_eq!(plan.winner().map(|report| report.id), Some(id));
                assert_eq!(plan.poll_event(now), Some(PlanEvent::Connected(id)));
                match actions.next() {
                    Some([action, after]) if action & 3 == 3 => {
                        now = now + duration(after & 0xFE);
                        plan.report_cut_off(now);
                        caller.cut_offs += 1;
                        caller.open.clear();
                        caller.won = None;
                    }
                    _ => break,
                }
            }
            Some(PlanEvent::Exhausted) => {
                assert!(caller.won.is_none() && caller.open.is_empty());
                assert_eq!(plan.failures().count(), targets.len(), "not every target has its reason");
                assert_eq!(plan.poll_event(now), Some(PlanEvent::Exhausted));
                break;
            }
        }
    }
    assert!(caller.cut_offs <= targets.len(), "a target that was cut off was tried again");
    assert!(caller.dials <= targets.len() * (1 + caller.cut_offs));
    let winners = plan.reports().filter(|report| report.outcome == Outcome::Connected).count();
    assert_eq!(winners, usize::from(caller.won.is_some()));
});
