//! Board: MPS2 AN386 in QEMU. The image of `serve.rs`, which also publishes a camera of its own. The difference is the flash
//! that this takes.
#![no_std]
#![no_main]

mod camera;

use camera::Camera;
use embedded_rtmp_embassy::{LocalPublisher, Picture, Tracks};
use static_cell::StaticCell;

fn prepare(spawner: Spawner, server: Served) -> Served {
    static LOCAL: StaticCell<[LocalPublisher<'static>; 1]> = StaticCell::new();
    let local = &*LOCAL.init([LocalPublisher::new("live/camera")]);
    local[0].set_tracks(Tracks::h264(Camera::SPS, Camera::PPS));
    if let Ok(task) = video_task(&local[0]) {
        spawner.spawn(task);
    }
    server.with_local(local)
}

#[embassy_executor::task]
async fn video_task(local: &'static LocalPublisher<'static>) -> ! {
    let mut camera = Camera::new();
    loop {
        let (at, unit) = camera.picture().await;
        local.video(Picture::new(at, at, true, &[unit]));
    }
}

include!("serving.rs");
