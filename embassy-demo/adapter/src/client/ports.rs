//! The port test: finds the ports and transports by which a server can be reached.

use core::future::poll_fn;
use core::slice::from_mut;

use embassy_net::Stack;
use embedded_rtmp::port_plan::{AttemptReport, Limits, Plan, Target};

use crate::buffers::Memory;
use crate::client::ClientOptions;
use crate::client::connection::Connection;
use crate::client::dial::Host;
use crate::client::open::{Dialing, open};
use crate::client::resolve::resolve;
use crate::error::Error;

/// Tries any number of targets one after another, and reports the outcome of each: connected (with the times to TCP and to the
/// end of the RTMP handshake), refused, dropped, silent, closed, or not RTMP.
///
/// Only the handshake is sent, and every connection is reset after it; a tunnel is closed first. `limits` apply to each
/// target separately. The test uses one socket and `memory`, which is free again afterwards. `entropy` returns 32 fresh
/// random bytes for each attempt. The future can be dropped.
///
/// ```no_run
/// use embassy_net::Stack;
/// use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Limits, DEFAULT_ORDER};
/// use embedded_rtmp_embassy::{ClientOptions, Error, Memory, test_ports};
///
/// async fn show(stack: Stack<'static>, memory: &mut Memory<2048, 2048>) -> Result<(), Error> {
///     let entropy = || [0; 32]; // from the random number generator
///     let (limits, options) = (Limits::SEQUENTIAL, ClientOptions::DEFAULT);
///     test_ports(stack, "media.example", DEFAULT_ORDER, limits, &options, memory, entropy, |report| {
///         println!("{report}"); // RTMP 1935: dropped, no answer in time
///     })
///     .await
/// }
/// ```
///
/// # Panics
/// If the stack has no socket left (`StackResources`).
///
/// # Errors
/// The host has no address, or there are no targets. In both cases `report` is not called.
#[expect(clippy::too_many_arguments, reason = "each is of another kind, and in the order of the others")]
pub async fn test_ports<
    const RX: usize,
    const TX: usize,
    const SCRATCH: usize,
    const CONTROL: usize,
    const GATHER: usize,
>(
    stack: Stack<'_>,
    host: &str,
    targets: &[Target],
    limits: Limits,
    options: &ClientOptions<'_>,
    memory: &mut Memory<RX, TX, SCRATCH, CONTROL, GATHER>,
    mut entropy: impl FnMut() -> [u8; 32],
    mut report: impl FnMut(AttemptReport),
) -> Result<(), Error> {
    let limits = Limits { max_at_once: 1, ..limits };
    Plan::new(targets.get(..1).unwrap_or_default(), limits)?;
    let found = resolve(stack, host).await?;
    let mut connection = Connection::<1>::over_net(stack, memory.split(), &options.session)?;
    for target in targets {
        let plan = &mut Plan::new(core::slice::from_ref(target), limits)?;
        let host = Host { name: host, addresses: found.addresses() };
        let mut course = Dialing { host, plan, options, entropy: &mut entropy, request: None };
        // The plan has the outcome.
        let _ = open(from_mut(&mut connection), &mut course).await;
        connection.leave();
        poll_fn(|cx| connection.poll_closed(cx)).await;
        connection.failed = None;
        plan.reports().for_each(&mut report);
    }
    Ok(())
}
