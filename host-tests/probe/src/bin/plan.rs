//! Goes through a port plan.
#![no_std]
#![no_main]

use embedded_rtmp::port_plan::{Failure, Limits, NET_CONNECTION, Plan, PlanEvent};
use probe::Board;

#[unsafe(no_mangle)]
fn _start(board: &mut Board) {
    let Ok(mut plan) = Plan::new(NET_CONNECTION, Limits::SEQUENTIAL) else { return };
    let mut id = None;
    loop {
        match plan.poll_event((board.now)()) {
            Some(PlanEvent::Dial { id: dialled, target, .. }) => {
                id = Some(dialled);
                (board.show)(u32::from(target.port), &[]);
            }
            Some(PlanEvent::Abandon(abandoned)) => (board.show)(abandoned.index() as u32, &[]),
            None => (board.show)(plan.poll_timeout().map_or(0, |at| at.as_micros() as u32), &[]),
            Some(PlanEvent::Connected(_)) => break,
            Some(PlanEvent::Exhausted) => {
                break plan.failures().for_each(|(target, why)| (board.show)(why as u32, &[target.port as u8]));
            }
        }
        match ((board.receive)(&mut board.input), id) {
            (0, _) | (_, None) => {}
            (1, Some(id)) => plan.report_tcp(id, (board.now)()),
            (2, Some(id)) => plan.report_connected(id, (board.now)()),
            (_, Some(id)) => plan.report_failed(id, (board.now)(), Failure::Refused),
        }
    }
}
