//! Board: MPS2 AN386 in QEMU. The image whose flash and RAM are measured: a camera that only publishes.
#![no_std]
#![no_main]

mod camera;

use core::hint::black_box;

use camera::Camera;
use embassy_executor::Spawner;
use embedded_rtmp_embassy::{Config, Live, LiveRunner, Picture, State, Tracks, new};
use mps2_an386::board::host::HostRng;
use mps2_an386::board::{self, executor, host, network};

static STATE: State<4096, 4096> = State::new();
const TRACKS: Tracks = Tracks::h264(Camera::SPS, Camera::PPS);

#[cortex_m_rt::entry]
fn main() -> ! {
    board::time::start();
    executor::run(|spawner: Spawner| {
        let config = Config::new(black_box("rtmp://media.example/live/cam"));
        let (live, runner) = new(network::start(spawner), &STATE, HostRng, config);
        live.set_tracks(TRACKS);
        if let (Ok(network), Ok(video)) = (network_task(runner), video_task(live)) {
            spawner.spawn(network);
            spawner.spawn(video);
        }
    })
}

#[embassy_executor::task]
async fn network_task(runner: LiveRunner<HostRng>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn video_task(live: Live) -> ! {
    let mut camera = Camera::new();
    loop {
        let (at, unit) = camera.picture().await;
        live.video().send(Picture::new(at, at, true, &[unit])).await;
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    host::exit(101);
}
