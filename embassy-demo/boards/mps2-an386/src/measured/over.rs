// Each image with a verifier includes this file. It publishes the camera's frames over a `Connector`, which the
// function `connector` makes.

mod camera;

use core::hint::black_box;

use camera::Camera;
use embassy_executor::Spawner;
use embedded_rtmp_embassy::transport::{KeepAlive, TcpConnect};
use embedded_rtmp_embassy::{Config, Picture, StreamLive, StreamRunner, StreamState, Tracks, over};
use mps2_an386::board::host::HostRng;
use mps2_an386::board::{self, executor, host, network};
use static_cell::ConstStaticCell;

static STATE: StreamState = StreamState::new();
const TRACKS: Tracks = Tracks::h264(Camera::SPS, Camera::PPS);

#[cortex_m_rt::entry]
fn main() -> ! {
    static RINGS: ConstStaticCell<[[u8; 4096]; 2]> = ConstStaticCell::new([[0; 4096]; 2]);
    board::time::start();
    executor::run(|spawner: Spawner| {
        let [rx, tx] = RINGS.take();
        let tcp = TcpConnect::new(network::start(spawner), rx, tx, KeepAlive::DEFAULT);
        let config = Config::new(black_box("rtmps://media.example/live/cam"));
        let (live, runner) = over(connector(tcp), &STATE, HostRng, config);
        live.set_tracks(TRACKS);
        if let (Ok(network), Ok(video)) = (network_task(runner), video_task(live)) {
            spawner.spawn(network);
            spawner.spawn(video);
        }
    })
}

#[embassy_executor::task]
async fn network_task(runner: StreamRunner<HostRng, Connector>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn video_task(live: StreamLive) -> ! {
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
