//! Tests by which ports and transports a server can be reached from here.

use embassy_net::Stack;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Limits, Order, Outcome};
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{ClientOptions, Error, Memory, test_ports};
use mps2_an386::board::host;
use static_cell::ConstStaticCell;

/// The rings of the socket, and the memory for the handshake.
static MEMORY: ConstStaticCell<Memory<2048, 2048>> = ConstStaticCell::new(Memory::new());

/// Logs the outcome of each port. Returns whether one leads to RTMP.
pub(crate) async fn ports(stack: Stack<'static>, url: &str) -> bool {
    let mut is_good = false;
    let result = test(stack, url, &mut is_good).await;
    if let Err(ref why) = result {
        defmt::error!("not tested: {}", why);
    }
    is_good
}

async fn test(stack: Stack<'static>, url: &str, is_good: &mut bool) -> Result<(), Error> {
    let url = Url::parse(url)?;
    let order = Order::for_url(&url);
    stack.wait_config_up().await;
    let (limits, options, memory) = (Limits::SEQUENTIAL, ClientOptions::DEFAULT, MEMORY.take());
    test_ports(stack, url.host(), order.targets(), limits, &options, memory, host::random, |report| {
        *is_good |= report.outcome == Outcome::Connected;
        let took = report.took.as_millis() as u32;
        match report.to_tcp {
            Some(to_tcp) => {
                let to_tcp = to_tcp.as_millis() as u32;
                defmt::info!("{}: TCP after {} ms, the end after {} ms", defmt::Display2Format(&report), to_tcp, took);
            }
            None => defmt::info!("{}: the end after {} ms", defmt::Display2Format(&report), took),
        }
    })
    .await
}
