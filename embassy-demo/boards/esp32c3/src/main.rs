//! Board: ESP32-C3-DevKitM-1 or any other with an ESP32-C3 (RISC-V at 160 MHz, 400 KB of RAM), over Wi-Fi.
//!
//! Wiring: a USB cable (power, flashing, log).
//!
//! `WIFI_SSID=home WIFI_PASSWORD=secret RTMP_URL=rtmp://192.168.1.2/live/camera cargo run --release` in this folder
//! flashes it with espflash, which is the runner in `.cargo/config.toml`, and shows its log. Without a password the
//! network is taken to be an open one.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_net::{Runner, StackResources};
use embassy_time::{Duration, Timer};
use embedded_rtmp_embassy::rand_core::{CryptoRng, RngCore};
use embedded_rtmp_embassy::{Config as LiveConfig, LiveRunner, State as LiveState, new};
use esp_hal::clock::CpuClock;
use esp_hal::rng::Rng;
use esp_hal::timer::timg::TimerGroup;
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{
    AuthenticationMethodConfig, Config, ControllerConfig, Interface, Password, Ssid, WifiController,
};
use static_cell::StaticCell;
use {esp_backtrace as _, esp_println as _};

/// Where to publish to.
const URL: &str = match option_env!("RTMP_URL") {
    Some(url) => url,
    None => "rtmp://192.168.1.2/live/camera",
};
const WIFI_SSID: &str = match option_env!("WIFI_SSID") {
    Some(ssid) => ssid,
    None => "rtmp",
};
const WIFI_PASSWORD: &str = match option_env!("WIFI_PASSWORD") {
    Some(password) => password,
    None => "",
};

/// How long to wait before the network is joined again.
const PAUSE: Duration = Duration::from_secs(10);

esp_bootloader_esp_idf::esp_app_desc!();

/// Sockets of DHCP, DNS and the publisher.
static SOCKETS: StaticCell<StackResources<3>> = StaticCell::new();
/// The memory of the stream.
static STATE: LiveState<4096, 8192> = LiveState::new();

#[embassy_executor::task]
async fn join(mut radio: WifiController<'static>) -> ! {
    loop {
        match radio.connect_async().await {
            Ok(_) => {
                defmt::info!("Wi-Fi: joined");
                let _ = radio.wait_for_disconnect_async().await;
                defmt::warn!("Wi-Fi: lost");
            }
            Err(why) => defmt::warn!("Wi-Fi: not joined: {}", why),
        }
        Timer::after(PAUSE).await;
    }
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, Interface>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn publish(runner: LiveRunner<RadioRng>) -> ! {
    runner.run().await
}

#[esp_rtos::main]
async fn main(spawner: Spawner) {
    let p = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    // The radio's library needs a heap.
    esp_alloc::heap_allocator!(size: 72 * 1024);
    esp_rtos::start(TimerGroup::new(p.TIMG0).timer0, p.FROM_CPU_INTR0);

    let config = ControllerConfig::default().with_initial_config(Config::Station(station()));
    let radio = defmt::unwrap!(WifiController::new(p.WIFI, config));
    let rng = Rng::new();
    let seed = u64::from(rng.random()) << 32 | u64::from(rng.random());
    let dhcp = embassy_net::Config::dhcpv4(Default::default());
    let (stack, runner) = embassy_net::new(Interface::station(), dhcp, SOCKETS.init(StackResources::new()), seed);
    spawner.spawn(defmt::unwrap!(join(radio)));
    let (live, publisher) = new(stack, &STATE, RadioRng(rng), LiveConfig::new(URL));
    live.set_tracks(camera::TRACKS);
    spawner.spawn(defmt::unwrap!(network(runner)));
    spawner.spawn(defmt::unwrap!(publish(publisher)));
    spawner.spawn(defmt::unwrap!(camera::video(live.clone())));
    spawner.spawn(defmt::unwrap!(camera::audio(live)));
}

/// The chip's generator. Its numbers are truly random while the radio is on, as it is here.
struct RadioRng(Rng);

impl RngCore for RadioRng {
    fn next_u32(&mut self) -> u32 {
        self.0.random()
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(self.0.random()) << 32 | u64::from(self.0.random())
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.read(bytes);
    }
}

impl CryptoRng for RadioRng {}

fn station() -> StationConfig {
    let ssid = defmt::unwrap!(Ssid::try_from(WIFI_SSID).ok(), "WIFI_SSID: 32 bytes at most");
    let authentication = if WIFI_PASSWORD.is_empty() {
        AuthenticationMethodConfig::Open
    } else {
        let password = Password::try_from(WIFI_PASSWORD).ok();
        AuthenticationMethodConfig::Wpa2Personal(defmt::unwrap!(password, "WIFI_PASSWORD: 64 bytes at most"))
    };
    StationConfig::default().with_ssid(ssid).with_authentication(authentication)
}
