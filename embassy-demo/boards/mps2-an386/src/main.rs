//! Board: MPS2 AN386 in QEMU (`qemu-system-arm -M mps2-an386`); wiring: none, the Ethernet is QEMU's.
//!
//! ```text
//! ./run publish rtmp://10.0.2.2:1935/live/cam [--fast] [--loops N]
//! ```
//! The command line comes through semihosting, and so the log and the exit code go out.
#![no_std]
#![no_main]

mod publish;

use defmt_semihosting as _; // the log's way out
use embassy_executor::Spawner;
use embassy_net::{Config, DhcpConfig, Stack, StackResources};
use mps2_an386::arguments::{Command, parse};
use mps2_an386::board::{self, Mmio, executor, host};
use mps2_an386::lan9118::{Buffers, Lan9118};
use static_cell::{ConstStaticCell, StaticCell};

/// The image's ends, beside 0 for a good one.
mod status {
    /// It could not do what it was told.
    pub(crate) const FAILED: i32 = 1;
    /// The command line means nothing.
    pub(crate) const USAGE: i32 = 2;
    /// A defect.
    pub(crate) const PANIC: i32 = 101;
}

type Driver = Lan9118<'static, Mmio>;

#[cortex_m_rt::entry]
fn main() -> ! {
    board::time::start();
    executor::run(|spawner| spawner.spawn(start(spawner).expect("it is spawned once")))
}

#[embassy_executor::task]
async fn start(spawner: Spawner) {
    static ARGUMENTS: StaticCell<semihosting::experimental::env::Args<{ host::ARGUMENTS }>> = StaticCell::new();
    let Some(arguments) = host::arguments() else {
        defmt::error!("the command line is longer than {} bytes", host::ARGUMENTS);
        host::exit(status::USAGE);
    };
    // The first word is the image's name.
    let words = &*ARGUMENTS.init(arguments);
    let command = match parse(words.filter_map(Result::ok).skip(1)) {
        Ok(command) => command,
        Err(why) => {
            defmt::error!("the command line means nothing: {}", why);
            host::exit(status::USAGE);
        }
    };
    let stack = network(spawner);
    let is_good = match command {
        Command::Publish(options) => publish::publish(stack, options).await,
    };
    host::exit(if is_good { 0 } else { status::FAILED });
}

/// Starts the network: DHCP tells the address.
fn network(spawner: Spawner) -> Stack<'static> {
    static BUFFERS: ConstStaticCell<Buffers> = ConstStaticCell::new(Buffers::new());
    static RESOURCES: ConstStaticCell<StackResources<4>> = ConstStaticCell::new(StackResources::new());
    let driver = board::ethernet(BUFFERS.take()).expect("the board has a LAN9118");
    let [a, b, c, d, e, f, g, h, ..] = host::random();
    let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let (stack, runner) = embassy_net::new(driver, Config::dhcpv4(DhcpConfig::default()), RESOURCES.take(), seed);
    spawner.spawn(network_task(runner).expect("it is spawned once"));
    stack
}

#[embassy_executor::task]
async fn network_task(mut runner: embassy_net::Runner<'static, Driver>) {
    runner.run().await;
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    defmt::error!("panic: {}", defmt::Display2Format(info));
    host::exit(status::PANIC);
}

#[cortex_m_rt::exception]
unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
    defmt::error!("hard fault at {:#x}", frame.pc());
    host::exit(status::PANIC);
}
