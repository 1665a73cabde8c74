//! Board: ST Nucleo-H563ZI (STM32H563ZI, Cortex-M33 at 250 MHz, 640 KB of RAM, Ethernet with a LAN8742 on board).
//!
//! Wiring: a USB cable into CN1 (power, flashing, log), an Ethernet cable with DHCP into CN14. All is on the board:
//! RMII REF_CLK PA1, MDIO PA2, CRS_DV PA7, MDC PC1, RXD0 PC4, RXD1 PC5, TXD1 PB15, TX_EN PG11, TXD0 PG13.
//!
//! `RTMP_URL=rtmp://192.168.1.2/live/camera cargo run --release` in this folder flashes it with probe-rs, which is the
//! runner in `.cargo/config.toml`, and shows its log.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_net::{Runner, StackResources};
use embassy_stm32::eth::{self, Ethernet, GenericPhy, PacketQueue, Sma};
use embassy_stm32::peripherals::{ETH, ETH_SMA, RNG};
use embassy_stm32::rcc::{
    AHBPrescaler, APBPrescaler, Hse, HseMode, Pll, PllDiv, PllMul, PllPreDiv, PllSource, Sysclk, VoltageScale,
};
use embassy_stm32::rng::{self, Rng};
use embassy_stm32::time::Hertz;
use embassy_stm32::{Config, bind_interrupts, uid};
use embedded_rtmp_embassy::{Config as LiveConfig, LiveRunner, State as LiveState, new};
use static_cell::{ConstStaticCell, StaticCell};
use {defmt_rtt as _, panic_probe as _};

/// Where to publish to.
const URL: &str = match option_env!("RTMP_URL") {
    Some(url) => url,
    None => "rtmp://192.168.1.2/live/camera",
};

bind_interrupts!(struct Irqs {
    ETH => eth::InterruptHandler;
    RNG => rng::InterruptHandler<RNG>;
});

type Device = Ethernet<'static, ETH, GenericPhy<Sma<'static, ETH_SMA>>>;

static PACKETS: ConstStaticCell<PacketQueue<4, 4>> = ConstStaticCell::new(PacketQueue::new());
/// Sockets of DHCP, DNS and the publisher.
static SOCKETS: StaticCell<StackResources<3>> = StaticCell::new();
/// The memory of the stream.
static STATE: LiveState<4096, 8192> = LiveState::new();

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, Device>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn publish(runner: LiveRunner<Rng<'static, RNG>>) -> ! {
    runner.run().await
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let p = embassy_stm32::init(clocks());
    let mut rng = Rng::new(p.RNG, Irqs);
    let seed = rng.next_u64();
    let device = Ethernet::new(
        PACKETS.take(),
        p.ETH,
        Irqs,
        p.PA1,
        p.PA7,
        p.PC4,
        p.PC5,
        p.PG13,
        p.PB15,
        p.PG11,
        mac_address(),
        p.ETH_SMA,
        p.PA2,
        p.PC1,
    );
    let dhcp = embassy_net::Config::dhcpv4(Default::default());
    let (stack, runner) = embassy_net::new(device, dhcp, SOCKETS.init(StackResources::new()), seed);
    let (live, publisher) = new(stack, &STATE, rng, LiveConfig::new(URL));
    live.set_tracks(camera::TRACKS);
    spawner.spawn(defmt::unwrap!(network(runner)));
    spawner.spawn(defmt::unwrap!(publish(publisher)));
    spawner.spawn(defmt::unwrap!(camera::video(live.clone())));
    spawner.spawn(defmt::unwrap!(camera::audio(live)));
}

/// 250 MHz from the 8 MHz that the probe gives; 48 MHz for the random number generator.
fn clocks() -> Config {
    let mut config = Config::default();
    config.rcc.hsi = None;
    config.rcc.hsi48 = Some(Default::default());
    config.rcc.hse = Some(Hse { freq: Hertz(8_000_000), mode: HseMode::BypassDigital });
    config.rcc.pll1 = Some(Pll {
        source: PllSource::HSE,
        prediv: PllPreDiv::DIV2,
        mul: PllMul::MUL125,
        divp: Some(PllDiv::DIV2),
        divq: Some(PllDiv::DIV2),
        divr: None,
    });
    config.rcc.ahb_pre = AHBPrescaler::DIV1;
    config.rcc.apb1_pre = APBPrescaler::DIV1;
    config.rcc.apb2_pre = APBPrescaler::DIV1;
    config.rcc.apb3_pre = APBPrescaler::DIV1;
    config.rcc.sys = Sysclk::PLL1_P;
    config.rcc.voltage_scale = VoltageScale::Scale0;
    config
}

/// A locally administered address, which is derived from the chip's serial number.
fn mac_address() -> [u8; 6] {
    // Position of the die on the wafer, wafer and lot: a sum by FNV-1a, since what differs may be in any of them.
    let sum = uid::uid()
        .iter()
        .fold(0xCBF2_9CE4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3));
    let [a, b, c, d, e, ..] = sum.to_be_bytes();
    [0x02, a, b, c, d, e]
}
