//! Board: MPS2 AN386 in QEMU. The image of `publish.rs` with audio: it publishes H.264 and AAC, and with the feature
//! `enhanced` HEVC and Opus, which it announces. The difference is the flash that Enhanced RTMP takes. With the feature
//! `thumbnail`, it also publishes a thumbnail in HEVC.
#![no_std]
#![no_main]

use core::hint::black_box;

use embassy_executor::Spawner;
use embassy_time::{Duration, Ticker};
use embedded_rtmp_embassy::{ClientOptions, Config, Live, LiveRunner, Picture, State, new};
use mps2_an386::board::host::HostRng;
use mps2_an386::board::{self, executor, host, network};

static STATE: State<4096, 4096> = State::new();

#[cfg(not(feature = "enhanced"))]
mod codecs {
    use embedded_rtmp_embassy::Tracks;

    pub(crate) const TRACKS: Tracks =
        Tracks::h264(b"\x67\x42\xC0\x1E\xDA\x02\x80\xBF\xE5\x84", b"\x68\xCE\x3C\x80").aac(&[0x12, 0x10]);
}

#[cfg(feature = "enhanced")]
mod codecs {
    use embedded_rtmp_embassy::Tracks;
    use embedded_rtmp_embassy::embedded_rtmp::command::{Capabilities, CodecSupport, EncodedCapabilities, Extensions};
    use embedded_rtmp_embassy::embedded_rtmp::media::opus;
    use embedded_rtmp_embassy::embedded_rtmp::message::FourCc;

    /// 160 × 90.
    const VPS: &[u8] = b"\x40\x01\x0C\x01\xFF\xFF\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x1E\x96\x80\x90";
    const SPS: &[u8] = b"\x42\x01\x01\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x1E\xA0\x14\x20\x61\xF2\x65\x96\xA4\x93\
        \x2B\xC0\x5A\x02\0\0\x03\0\x02\0\0\x03\0\x32\x10";
    const PPS: &[u8] = b"\x44\x01\xC1\x72\xB4\x62\x40";
    pub(crate) const TRACKS: Tracks = Tracks::hevc(VPS, SPS, PPS).opus(&opus::head(1, 312, 48_000).unwrap());

    pub(crate) static CAPABILITIES: EncodedCapabilities<112> = Capabilities {
        video: &[(FourCc::HEVC, CodecSupport::ENCODE)],
        audio: &[(FourCc::OPUS, CodecSupport::ENCODE)],
        extensions: Extensions(0),
        has_list: true,
    }
    .encode()
    .unwrap();
}

static OPTIONS: ClientOptions<'static> = ClientOptions {
    #[cfg(feature = "enhanced")]
    capabilities: codecs::CAPABILITIES.as_bytes(),
    ..ClientOptions::DEFAULT
};

#[cortex_m_rt::entry]
fn main() -> ! {
    board::time::start();
    executor::run(|spawner: Spawner| {
        let mut config = Config::new(black_box("rtmp://media.example/live/cam"));
        config.client = &OPTIONS;
        let (live, runner) = new(network::start(spawner), &STATE, HostRng, config);
        live.set_tracks(codecs::TRACKS);
        #[cfg(feature = "thumbnail")]
        live.thumbnail().set_tracks(codecs::TRACKS);
        if let (Ok(network), Ok(media)) = (network_task(runner), media_task(live)) {
            spawner.spawn(network);
            spawner.spawn(media);
        }
    })
}

#[embassy_executor::task]
async fn network_task(runner: LiveRunner<HostRng>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn media_task(live: Live) -> ! {
    let (mut ticker, mut at) = (Ticker::every(Duration::from_millis(40)), 0_u64);
    let (picture, packet) = ([0x26; 64], [0xF8; 60]);
    loop {
        ticker.next().await;
        at = at.wrapping_add(40_000);
        live.video().send(Picture::new(at, at, true, &[&picture])).await;
        #[cfg(feature = "thumbnail")]
        live.thumbnail().send(Picture::new(at, at, true, &[&picture])).await;
        live.audio().send(at, &packet).await;
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    host::exit(101);
}
