//! Board: MPS2 AN386 in QEMU. The image of `serve.rs` for one publisher and four viewers over HTTP. With the feature
//! `ram-128k`, it has 128 KB of RAM.
#![no_std]
#![no_main]

#[cfg(feature = "defmt")]
use defmt_semihosting as _; // the log's way out
use embassy_executor::Spawner;
use embassy_net::Stack;
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::message::StreamId;
use embedded_rtmp_embassy::embedded_rtmp::relay::StreamName;
use embedded_rtmp_embassy::embedded_rtmp::web::WebConfig;
use embedded_rtmp_embassy::{
    DEFAULT_PORTS, Handler, Memory, Rejection, Server, ServerOptions, SessionId, StreamMemory, Viewers,
};
use mps2_an386::board::{self, executor, host, network};
use static_cell::{ConstStaticCell, StaticCell};

const VIEWERS: usize = 4;
/// The publisher, the viewers, and one more, which listens.
const SOCKETS: usize = VIEWERS + 2;

#[cortex_m_rt::entry]
fn main() -> ! {
    board::time::start();
    executor::run(|spawner: Spawner| {
        if let Ok(task) = serve(network::start(spawner)) {
            spawner.spawn(task);
        }
    })
}

#[embassy_executor::task]
async fn serve(stack: Stack<'static>) {
    static MEMORY: ConstStaticCell<[Memory<2920, 4096>; SOCKETS]> =
        ConstStaticCell::new([const { Memory::new() }; SOCKETS]);
    static STREAMS: ConstStaticCell<[StreamMemory<32_768>; 1]> =
        ConstStaticCell::new([const { StreamMemory::new() }; 1]);
    // Initialized here, because the initial value would take flash.
    static WEB: StaticCell<Viewers<'static, VIEWERS>> = StaticCell::new();
    // QEMU gives all clients one address.
    let options = ServerOptions { max_per_address: Some(SOCKETS), ..ServerOptions::DEFAULT };
    let server = Server::<SOCKETS, 1, VIEWERS>::relaying(stack, DEFAULT_PORTS, MEMORY.take(), STREAMS.take(), &options);
    let Ok(server) = server else { host::exit(1) };
    stack.wait_config_up().await;
    #[cfg(feature = "defmt")]
    defmt::info!("serving on ports {}", DEFAULT_PORTS);
    let mut server = server.with_web(WEB.init_with(|| Viewers::new(WebConfig::new())));
    #[cfg(feature = "admin")]
    {
        use embedded_rtmp_embassy::Admin;

        static ADMIN_MEMORY: ConstStaticCell<[Memory<1024, 2048>; 1]> = ConstStaticCell::new([Memory::new()]);
        static ADMIN: StaticCell<Admin<'static, 1>> = StaticCell::new();
        server =
            server.with_admin(ADMIN.init_with(|| Admin::new(stack, 1111, ADMIN_MEMORY.take(), "admin", "password")));
    }
    #[cfg(feature = "handover")]
    {
        use embassy_futures::join::join3;
        use embedded_rtmp_embassy::Handover;
        use mps2_an386::settings;

        static HANDOVER: StaticCell<Handover<{ settings::CONNECTIONS }>> = StaticCell::new();
        let handover = &*HANDOVER.init_with(|| Handover::new(core::time::Duration::from_secs(30)));
        server = server.with_handover(handover);
        join3(server.run(&mut Open), settings::serve(handover), settings::serve(handover)).await;
    }
    #[cfg(not(feature = "handover"))]
    server.run(&mut Open).await;
}

/// Accepts every publisher and every viewer, and lists all streams.
struct Open;

impl Handler for Open {
    fn entropy(&mut self) -> [u8; 32] {
        host::random()
    }

    fn publish(&mut self, _: SessionId, _: StreamId, _: StreamName<'_>, _: Text<'_>) -> Result<(), Rejection<'_>> {
        Ok(())
    }

    fn is_listed(&self, _: &[u8]) -> bool {
        true
    }

    fn media(&mut self, _: SessionId, _: &Fragment<'_>) {}
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    host::exit(101);
}
