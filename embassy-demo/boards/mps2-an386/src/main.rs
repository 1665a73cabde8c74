//! Board: MPS2 AN386 (Cortex-M4F at 25 MHz, 4 MB for code and 4 MB of RAM, LAN9118) in QEMU.
//!
//! Wiring: none. The Ethernet is QEMU's, in which this machine is 10.0.2.2.
//!
//! ```text
//! ./run publish rtmp://10.0.2.2:1935/live/cam [--fast] [--loops N]
//! ./run ports rtmp://10.0.2.2
//! ./run --hostfwd 1935 serve [--once | --publishers N] [--clip]
//! ./run --rtmpt serve --user NAME PASSWORD
//! ```
//! The command line comes through semihosting, and so the log and the exit code go out.
#![no_std]
#![no_main]

mod bench;
mod clip;
mod ports;
mod publish;
mod serve;

use defmt_semihosting as _; // the log's way out
use embassy_executor::Spawner;
use mps2_an386::arguments::{Command, parse};
use mps2_an386::board::executor::apart;
use mps2_an386::board::{self, executor, host, network};
use static_cell::StaticCell;

/// The exit codes of failures. 0 is success.
mod status {
    /// The command has failed.
    pub(crate) const FAILED: i32 = 1;
    /// The command line is invalid.
    pub(crate) const USAGE: i32 = 2;
    /// A defect.
    pub(crate) const PANIC: i32 = 101;
}

#[cortex_m_rt::entry]
fn main() -> ! {
    board::time::start();
    executor::run(|spawner| spawner.spawn(start(spawner).expect("the task is spawned only once")))
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
    let stack = network::start(spawner);
    let is_good = match command {
        Command::Publish(options) => apart(publish::publish(spawner, stack, options)).await,
        Command::Bench(options) => apart(bench::bench(stack, options)).await,
        Command::Ports(url) => apart(ports::ports(stack, url)).await,
        Command::Serve(options) => apart(serve::serve(stack, options)).await,
    };
    defmt::info!("deepest stack: {} bytes", board::stack::deepest());
    host::exit(if is_good { 0 } else { status::FAILED });
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
