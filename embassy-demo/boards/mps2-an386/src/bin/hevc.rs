//! Board: MPS2 AN386 in QEMU. Publishes HEVC and Opus with Enhanced RTMP, and a thumbnail in H.264 as the second track of
//! video: 2 s of a recorded stream, as encoders would deliver it. The exit code says whether all of it was sent.
//!
//! `./run --hevc rtmp://10.0.2.2:1935/live/cam`
#![no_std]
#![no_main]

use camera::{PACKET_MICROS, PICTURE_INTERVAL, PICTURE_MICROS, hevc_pictures, opus_head, opus_packets};
use defmt_semihosting as _; // the log's way out
use embassy_executor::Spawner;
use embassy_futures::join::join3;
use embassy_time::{Duration, Instant, Timer};
use embedded_rtmp_embassy::embedded_rtmp::command::{Capabilities, CodecSupport, EncodedCapabilities, Extensions};
use embedded_rtmp_embassy::embedded_rtmp::media::avc::{UnitType, annex_b::Units};
use embedded_rtmp_embassy::embedded_rtmp::media::hevc;
use embedded_rtmp_embassy::embedded_rtmp::message::FourCc;
use embedded_rtmp_embassy::{
    ClientOptions, Config, Live, LiveRunner, Phase, Picture, SendOutcome, State, Stopped, Tracks, new,
};
use heapless::Vec;
use mps2_an386::board::{executor, host, host::HostRng, network, time};

static STATE: State<4096, 8192> = State::new();

/// What the device announces to the server.
static CAPABILITIES: EncodedCapabilities<150> = Capabilities {
    video: &[(FourCc::HEVC, CodecSupport::ENCODE), (FourCc::AVC, CodecSupport::ENCODE)],
    audio: &[(FourCc::OPUS, CodecSupport::ENCODE)],
    extensions: Extensions::MULTITRACK,
    has_list: true,
}
.encode()
.unwrap();

static OPTIONS: ClientOptions<'static> =
    ClientOptions { capabilities: CAPABILITIES.as_bytes(), ..ClientOptions::DEFAULT };

#[embassy_executor::task]
async fn network_task(runner: LiveRunner<HostRng>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn media_task(mut live: Live) -> ! {
    while live.status().phase != Phase::Live {
        live.changed().await;
    }
    let start = Instant::now();
    let due = |at: u64| Timer::at(start + Duration::from_micros(at));
    let pictures = async {
        let mut sent = 0_usize;
        for (at, picture) in (0..).step_by(PICTURE_MICROS as usize).zip(hevc_pictures()) {
            due(at).await;
            // A delimiter, three parameter sets and a slice.
            let units: Vec<&[u8], 8> = Units::new(picture).take(8).collect();
            let is_key = hevc::is_keyframe(units.iter().copied());
            let outcome = live.video().send(Picture::new(at, at, is_key, &units)).await;
            sent += usize::from(outcome == SendOutcome::Sent);
        }
        sent == hevc_pictures().count()
    };
    let sound = async {
        let mut sent = 0_usize;
        for (at, packet) in (0..).step_by(PACKET_MICROS as usize).zip(opus_packets()) {
            due(at).await;
            sent += usize::from(live.audio().send(at, packet).await == SendOutcome::Sent);
        }
        sent == opus_packets().count()
    };
    let thumbnails = async {
        let mut sent = 0_usize;
        for (at, picture) in (0..).step_by(PICTURE_INTERVAL.as_micros() as usize).zip(camera::pictures()) {
            due(at).await;
            let units: Vec<&[u8], 8> = Units::new(picture).take(8).collect();
            let is_key = units.iter().any(|unit| UnitType::of(unit) == Some(UnitType::IDR_SLICE));
            let outcome = live.thumbnail().send(Picture::new(at, at, is_key, &units)).await;
            sent += usize::from(outcome == SendOutcome::Sent);
        }
        sent == camera::pictures().count()
    };
    let all_sent = join3(pictures, sound, thumbnails).await == (true, true, true);
    let is_good = live.stop().await == Stopped::InOrder && all_sent;
    defmt::info!("{}", live.status());
    host::exit(if is_good { 0 } else { 1 })
}

fn start(spawner: Spawner) -> Option<()> {
    let stack = network::start(spawner);
    let mut config = Config::new(host::argument()?);
    config.client = &OPTIONS;
    let (live, runner) = new(stack, &STATE, HostRng, config);
    live.set_tracks(Tracks::hevc_in_band().opus(opus_head()?));
    live.thumbnail().set_tracks(Tracks::h264_in_band());
    spawner.spawn(network_task(runner).ok()?);
    spawner.spawn(media_task(live).ok()?);
    Some(())
}

#[cortex_m_rt::entry]
fn main() -> ! {
    time::start();
    executor::run(|spawner| start(spawner).expect("a URL is the one argument"))
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    defmt::error!("panic: {}", defmt::Display2Format(info));
    host::exit(101)
}
