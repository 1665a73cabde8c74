//! A simulated Ethernet switch: more than two devices, each at a port of its own.

use embassy_net_driver_channel::driver::LinkState;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::{Duration, Instant, Timer};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::device::Port;
use super::tasks::Task;

/// The most frames that wait for one port. A device that sends to a full port waits.
const IN_FLIGHT: usize = 256;

type Queue = Channel<NoopRawMutex, (Instant, Vec<u8>), IN_FLIGHT>;

/// Carries frames between devices until it is dropped. Each frame takes `delay`. The device at the port of index 0 was
/// started as host 1. `passes` is called for each frame with the index of its sender's port, and again with that of its
/// receiver's port. If it returns `false`, the frame is lost.
pub async fn switch(mut ports: Vec<Port<'_>>, delay: Duration, passes: impl Fn(usize) -> bool) {
    let passes = &passes;
    let queues: Vec<Queue> = ports.iter().map(|_| Channel::new()).collect();
    let mut lines: FuturesUnordered<Task<'_>> = FuturesUnordered::new();
    for (index, port) in ports.iter_mut().enumerate() {
        port.set_link_state(LinkState::Up);
        let (_, mut to, mut from) = port.borrow_split();
        let queues = &queues;
        lines.push(Box::pin(async move {
            loop {
                let frame = from.tx_buf().await.to_vec();
                from.tx_done();
                if !passes(index) {
                    continue;
                }
                for (other, queue) in queues.iter().enumerate().filter(|(other, _)| *other != index) {
                    // Group addresses go to all; the others end with the device's number.
                    let is_group = frame.first().is_some_and(|byte| byte & 1 == 1);
                    if is_group || frame.get(5) == Some(&(other as u8 + 1)) {
                        queue.send((Instant::now() + delay, frame.clone())).await;
                    }
                }
            }
        }));
        lines.push(Box::pin(async move {
            loop {
                let (due, frame) = queues[index].receive().await;
                Timer::at(due).await;
                if !passes(index) {
                    continue;
                }
                to.rx_buf().await[..frame.len()].copy_from_slice(&frame);
                to.rx_done(frame.len());
            }
        }));
    }
    lines.next().await;
}
