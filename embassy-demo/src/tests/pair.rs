//! Two devices on a wire, and what a test does on them.

use embassy_net::Stack;
use embassy_time::{Duration, with_timeout};

use crate::demo::device::Device;
use crate::demo::tasks::{self, Task};
use crate::demo::wire::Wire;

/// No test may take longer than this: a bound against hanging, not a measure of speed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `test` with the stacks of two devices, 10.0.0.1 and 10.0.0.2, which `wire` joins.
pub(crate) fn with_devices<T>(wire: &Wire, test: impl AsyncFnOnce(Stack<'_>, Stack<'_>) -> T) -> T {
    let (mut first, mut second) = (Device::new(), Device::new());
    let (first, mut first_runner, first_port) = first.start(1);
    let (second, mut second_runner, second_port) = second.start(2);
    let network: [Task<'_>; 3] = [
        Box::pin(async { first_runner.run().await }),
        Box::pin(async { second_runner.run().await }),
        Box::pin(wire.run(first_port, second_port)),
    ];
    let test = with_timeout(PATIENCE, test(first, second));
    pollster::block_on(tasks::run(test, network)).expect("the test came to no end")
}
