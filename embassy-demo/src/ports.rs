//! The port test: by which ports and transports a server can be reached.

use embassy_net::Stack;
use embedded_rtmp::connect::{AttemptReport, Limits, Plan, Target};
use embedded_rtmp::session::{Client, ClientConfig};

use crate::buffers::Memory;
use crate::connection::Connection;
use crate::dial::{dial, lookup};
use crate::error::Error;
use crate::link::Link;

/// Tries each of the targets, one after another, and hands on what came of it: connected (and how long that took, to TCP
/// and to the end of the RTMP handshake), refused, dropped, silent, closed, or answered by something that is not RTMP.
///
/// Nothing is sent but the handshake, and every connection is reset after it. `limits` hold for each target by itself. It
/// takes one socket, and `memory`, which is free again afterwards. `entropy` gives 32 fresh random bytes for each attempt.
/// The future can be dropped.
///
/// ```no_run
/// use embassy_net::Stack;
/// use embedded_rtmp_embassy::embedded_rtmp::connect::{Limits, SMART};
/// use embedded_rtmp_embassy::{Error, Memory, test_ports};
///
/// async fn show(stack: Stack<'static>, memory: &mut Memory<2048, 2048>) -> Result<(), Error> {
///     let entropy = || [0; 32]; // from the random number generator
///     test_ports(stack, "media.example", SMART, Limits::SEQUENTIAL, memory, entropy, |report| {
///         println!("{report}"); // RTMP 1935: dropped, no answer in time
///     })
///     .await
/// }
/// ```
///
/// # Errors
/// The host has no address, or there are no targets; `report` is not called then.
pub async fn test_ports<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize>(
    stack: Stack<'_>,
    host: &str,
    targets: &[Target],
    limits: Limits,
    memory: &mut Memory<RX, TX, SCRATCH, CONTROL>,
    mut entropy: impl FnMut() -> [u8; 32],
    mut report: impl FnMut(AttemptReport),
) -> Result<(), Error> {
    let addresses = lookup(stack, host, &mut Plan::new(targets, limits)?).await?;
    let limits = Limits { max_at_once: 1, ..limits };
    for target in targets {
        let mut plan = Plan::new(core::slice::from_ref(target), limits)?;
        let (rx, tx, buffers) = memory.split();
        let client = Client::<1>::new(buffers, ClientConfig::new(), &entropy())?;
        let mut connection = Connection::new(Link::new(stack, rx, tx), client, ClientConfig::new());
        if let Ok(()) = dial(&mut connection, host, &addresses, &mut plan, &mut entropy).await {
            connection.reset().await;
        }
        plan.reports().for_each(&mut report);
    }
    Ok(())
}
