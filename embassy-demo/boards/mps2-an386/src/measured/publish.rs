//! Board: MPS2 AN386 in QEMU. The image whose flash and RAM are measured: a camera that publishes, and no more.
#![no_std]
#![no_main]

mod camera;

use core::hint::black_box;

use embassy_executor::Spawner;
use embassy_net::Stack;
use embedded_rtmp_embassy::{Memory, Station, StationOptions};
use mps2_an386::board::{self, executor, host, network};
use static_cell::ConstStaticCell;

#[cortex_m_rt::entry]
fn main() -> ! {
    board::time::start();
    executor::run(|spawner: Spawner| {
        if let Ok(task) = publish(network::start(spawner)) {
            spawner.spawn(task);
        }
    })
}

#[embassy_executor::task]
async fn publish(stack: Stack<'static>) {
    static MEMORY: ConstStaticCell<Memory<4096, 4096>> = ConstStaticCell::new(Memory::new());
    let mut entropy = host::random;
    let mut station = Station::new(stack, MEMORY.take(), &mut entropy, &StationOptions::DEFAULT);
    let result = station.publish(black_box("rtmp://media.example/live/cam"), &mut camera::Camera::new()).await;
    host::exit(result.is_err().into());
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    host::exit(101);
}
