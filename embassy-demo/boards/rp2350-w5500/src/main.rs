//! Board: WIZnet W5500-EVB-Pico2 (RP2350A, Cortex-M33 at 150 MHz, 520 KB of RAM, W5500 on SPI), or a Pico 2 and a W5500
//! module.
//!
//! Wiring, as it is on the W5500-EVB-Pico2: MISO GPIO16, CS GPIO17, SCK GPIO18, MOSI GPIO19, RESET GPIO20, INT GPIO21; a
//! debug probe on SWD; an Ethernet cable with DHCP.
//!
//! `RTMP_URL=rtmp://192.168.1.2/live/camera cargo run --release` in this folder flashes it with probe-rs, which is the
//! runner in `.cargo/config.toml`, and shows its log.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_net::{Runner, StackResources};
use embassy_net_wiznet::State;
use embassy_net_wiznet::chip::W5500;
use embassy_rp::gpio::{Input, Level, Output, Pull};
use embassy_rp::peripherals::{DMA_CH0, DMA_CH1, SPI0, TRNG};
use embassy_rp::spi::{Async, Spi};
use embassy_rp::trng::{self, Trng};
use embassy_rp::{bind_interrupts, dma, otp, spi};
use embassy_time::Delay;
use embedded_hal_bus::spi::ExclusiveDevice;
use embedded_rtmp_embassy::{Config as LiveConfig, LiveRunner, State as LiveState, new};
use static_cell::{ConstStaticCell, StaticCell};
use {defmt_rtt as _, panic_probe as _};

/// Where to publish to.
const URL: &str = match option_env!("RTMP_URL") {
    Some(url) => url,
    None => "rtmp://192.168.1.2/live/camera",
};

bind_interrupts!(struct Irqs {
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>, dma::InterruptHandler<DMA_CH1>;
    TRNG_IRQ => trng::InterruptHandler<TRNG>;
});

type W5500Spi = ExclusiveDevice<Spi<'static, SPI0, Async>, Output<'static>, Delay>;
type Chip = embassy_net_wiznet::Runner<'static, W5500, W5500Spi, Input<'static>, Output<'static>>;

static FRAMES: ConstStaticCell<State<4, 4>> = ConstStaticCell::new(State::new());
/// Sockets of DHCP, DNS and the publisher.
static SOCKETS: StaticCell<StackResources<3>> = StaticCell::new();
/// The memory of the stream.
static STATE: LiveState<4096, 8192> = LiveState::new();

#[embassy_executor::task]
async fn ethernet(chip: Chip) -> ! {
    chip.run().await
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, embassy_net_wiznet::Device<'static>>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn publish(runner: LiveRunner<Trng<'static, TRNG>>) -> ! {
    runner.run().await
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let p = embassy_rp::init(Default::default());
    let mut rng = Trng::new(p.TRNG, Irqs, trng::Config::default());
    let seed = rng.blocking_next_u64();

    let mut config = spi::Config::default();
    config.frequency = 37_500_000;
    let bus = Spi::new(p.SPI0, p.PIN_18, p.PIN_19, p.PIN_16, p.DMA_CH0, p.DMA_CH1, Irqs, config);
    let select = Output::new(p.PIN_17, Level::High);
    let interrupt = Input::new(p.PIN_21, Pull::Up);
    let reset = Output::new(p.PIN_20, Level::High);
    let bus = defmt::unwrap!(ExclusiveDevice::new(bus, select, Delay).ok());
    let attached = embassy_net_wiznet::new(mac_address(), FRAMES.take(), bus, interrupt, reset).await;
    let (device, chip) = defmt::unwrap!(attached.ok(), "no W5500 answers on SPI");

    let dhcp = embassy_net::Config::dhcpv4(Default::default());
    let (stack, runner) = embassy_net::new(device, dhcp, SOCKETS.init(StackResources::new()), seed);
    spawner.spawn(defmt::unwrap!(ethernet(chip)));
    let (live, publisher) = new(stack, &STATE, rng, LiveConfig::new(URL));
    live.set_tracks(camera::TRACKS);
    spawner.spawn(defmt::unwrap!(network(runner)));
    spawner.spawn(defmt::unwrap!(publish(publisher)));
    spawner.spawn(defmt::unwrap!(camera::video(live.clone())));
    spawner.spawn(defmt::unwrap!(camera::audio(live)));
}

/// A locally administered address, from the chip's serial number.
fn mac_address() -> [u8; 6] {
    let [.., a, b, c, d, e] = defmt::unwrap!(otp::get_chipid().ok(), "the serial number cannot be read").to_be_bytes();
    [0x02, a, b, c, d, e]
}
