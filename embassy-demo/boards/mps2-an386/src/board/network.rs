//! The network stack, on the board's Ethernet.

use embassy_executor::Spawner;
use embassy_net::{Config, DhcpConfig, Runner, Stack, StackResources};
use static_cell::ConstStaticCell;

use super::{Mmio, ethernet, host};
use crate::lan9118::{Buffers, Lan9118};

/// Sockets: DHCP's, DNS's, that of administration and so many more.
pub const SOCKETS: usize = 6;
const ADMIN: usize = if cfg!(feature = "admin") { 1 } else { 0 };

/// Starts the network; DHCP tells the address.
///
/// # Panics
/// The board has no Ethernet, or it was started before.
pub fn start(spawner: Spawner) -> Stack<'static> {
    static BUFFERS: ConstStaticCell<Buffers> = ConstStaticCell::new(Buffers::new());
    static RESOURCES: ConstStaticCell<StackResources<{ SOCKETS + ADMIN + 2 }>> =
        ConstStaticCell::new(StackResources::new());
    let driver = ethernet(BUFFERS.take()).expect("the board has a LAN9118");
    let [a, b, c, d, e, f, g, h, ..] = host::random();
    let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let (stack, runner) = embassy_net::new(driver, Config::dhcpv4(DhcpConfig::default()), RESOURCES.take(), seed);
    spawner.spawn(run(runner).expect("the task is spawned only once"));
    stack
}

#[embassy_executor::task]
async fn run(mut runner: Runner<'static, Lan9118<'static, Mmio>>) {
    runner.run().await;
}
