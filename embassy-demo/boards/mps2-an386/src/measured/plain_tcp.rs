//! Board: MPS2 AN386 in QEMU. The image that the publishing image is compared with: the same camera, its frames sent over plain TCP
//! to the same host, found by its name, and the connection made again when it is lost.
#![no_std]
#![no_main]

mod camera;

use core::hint::black_box;

use embassy_executor::Spawner;
use embassy_net::Stack;
use embassy_net::dns::DnsQueryType;
use embassy_net::tcp::TcpSocket;
use embassy_time::{Duration, Timer};
use mps2_an386::board::{self, executor, host, network};
use static_cell::ConstStaticCell;

#[cortex_m_rt::entry]
fn main() -> ! {
    board::time::start();
    executor::run(|spawner: Spawner| {
        if let Ok(task) = send(network::start(spawner)) {
            spawner.spawn(task);
        }
    })
}

#[embassy_executor::task]
async fn send(stack: Stack<'static>) {
    static RINGS: ConstStaticCell<[[u8; 4096]; 2]> = ConstStaticCell::new([[0; 4096]; 2]);
    let [rx, tx] = RINGS.take();
    let mut camera = camera::Camera::new();
    loop {
        stack.wait_config_up().await;
        let mut socket = TcpSocket::new(stack, rx, tx);
        socket.set_nagle_enabled(false);
        socket.set_timeout(Some(Duration::from_secs(20)));
        socket.set_keep_alive(Some(Duration::from_secs(5)));
        let addresses = stack.dns_query(black_box("media.example"), DnsQueryType::A).await.unwrap_or_default();
        if let Some(address) = addresses.first()
            && socket.connect((*address, black_box(1935))).await.is_ok()
        {
            let _ = frames(&mut socket, &mut camera).await;
        }
        socket.abort();
        let _ = socket.flush().await;
        Timer::after(Duration::from_secs(1)).await;
    }
}

async fn frames(socket: &mut TcpSocket<'_>, camera: &mut camera::Camera) -> Result<(), embassy_net::tcp::Error> {
    write(socket, &[camera::Camera::SPS, camera::Camera::PPS]).await?;
    loop {
        let (_, unit) = camera.picture().await;
        write(socket, &[&[0x17, 1, 0, 0, 0, 0, 0, 0, 64], unit]).await?;
    }
}

async fn write(socket: &mut TcpSocket<'_>, parts: &[&[u8]]) -> Result<(), embassy_net::tcp::Error> {
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            let written = socket.write(rest).await?;
            rest = rest.get(written..).unwrap_or_default();
        }
    }
    Ok(())
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    host::exit(101);
}
