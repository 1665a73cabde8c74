//! Two devices on a wire, and what a test does on them.

use embassy_futures::join::join3;
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_time::{Duration, with_timeout};

use crate::demo::device::Device;
use crate::demo::wire::Wire;

/// No test may take longer than this: a bound against hanging, not a measure of speed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `test` with the stacks of two devices, 10.0.0.1 and 10.0.0.2, which `wire` joins.
pub(crate) fn with_devices<T>(wire: &Wire, test: impl AsyncFnOnce(Stack<'_>, Stack<'_>) -> T) -> T {
    let (mut first, mut second) = (Device::new(), Device::new());
    let (first, mut first_runner, first_port) = first.start(1);
    let (second, mut second_runner, second_port) = second.start(2);
    let network = join3(first_runner.run(), second_runner.run(), wire.run(first_port, second_port));
    let run = async {
        match select(test(first, second), network).await {
            Either::First(outcome) => outcome,
            Either::Second(_) => unreachable!("the network runs for ever"),
        }
    };
    pollster::block_on(with_timeout(PATIENCE, run)).expect("the test came to no end")
}
