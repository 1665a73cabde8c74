//! Board: MPS2 AN386 in QEMU. A camera: video, audio, status and a button in tasks of their own.
//!
//! `cargo run --release --bin camera rtmp://10.0.2.2:1935/live/cam`; a byte that comes over the second UART is a press of the
//! button, which stops the stream or starts it again.
#![no_std]
#![no_main]

use defmt_semihosting as _; // the log's way out
use embassy_executor::Spawner;
use embassy_futures::select::{Either, select};
use embassy_time::Instant;
use embedded_rtmp_embassy::embedded_rtmp::media::{audio::Sound, avc::annex_b::Units};
use embedded_rtmp_embassy::{Config, Live, LiveRunner, Phase, Picture, State, Tracks, new};
use heapless::Vec;
use mps2_an386::board::{Button, Encoder, Microphone, executor, host, host::HostRng, network, time};

/// All the memory of the stream.
static STATE: State<4096, 8192> = State::new();

#[embassy_executor::task]
async fn network_task(runner: LiveRunner<HostRng>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn video_task(live: Live, mut encoder: Encoder) -> ! {
    loop {
        match select(encoder.picture(), live.keyframe_wanted()).await {
            Either::First(coded) => {
                let units: Vec<&[u8], 8> = Units::new(coded.bytes).take(8).collect();
                let outcome = live.video().send(Picture::new(coded.at, coded.at, coded.is_key, &units)).await;
                if coded.is_key {
                    let took = Instant::now().as_micros() - coded.at;
                    defmt::info!("keyframe: {} after {} us", outcome, took);
                }
            }
            Either::Second(()) => encoder.make_keyframe(),
        }
    }
}

#[embassy_executor::task]
async fn audio_task(live: Live, mut microphone: Microphone) -> ! {
    loop {
        let (at, sound) = microphone.sound().await;
        live.audio().send(at, sound).await;
    }
}

#[embassy_executor::task]
async fn button_task(live: Live, mut button: Button) -> ! {
    loop {
        button.pressed().await;
        if live.status().phase == Phase::Stopped {
            live.start();
        } else {
            defmt::info!("stopped: {}", live.stop().await);
        }
    }
}

#[embassy_executor::task]
async fn status_task(mut live: Live) -> ! {
    loop {
        defmt::info!("{}", live.changed().await);
    }
}

fn start(spawner: Spawner) -> Option<()> {
    let stack = network::start(spawner);
    let (live, runner) = new(stack, &STATE, HostRng, Config::new(host::argument()?));
    live.set_tracks(Tracks::h264_in_band().sound(Sound::G711_A_LAW));
    spawner.spawn(network_task(runner).ok()?);
    spawner.spawn(video_task(live.clone(), Encoder::new()).ok()?);
    spawner.spawn(audio_task(live.clone(), Microphone::new()).ok()?);
    spawner.spawn(button_task(live.clone(), Button::new()).ok()?);
    spawner.spawn(status_task(live).ok()?);
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
