// Each image that serves includes this file. The function `prepare` adds to the server.

use embassy_executor::Spawner;
use embassy_net::Stack;
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::message::StreamId;
use embedded_rtmp_embassy::embedded_rtmp::relay::StreamName;
use embedded_rtmp_embassy::{
    DEFAULT_PORTS, Handler, Memory, Rejection, Server, ServerOptions, SessionId, StreamMemory,
};
use mps2_an386::board::{self, executor, host, network};
use static_cell::ConstStaticCell;

/// One publisher and three players.
const SOCKETS: usize = 4;
const PUBLISHERS: usize = 1;
const PLAYERS: usize = 3;

type Served = Server<'static, SOCKETS, PUBLISHERS, PLAYERS>;

#[cortex_m_rt::entry]
fn main() -> ! {
    board::time::start();
    executor::run(|spawner: Spawner| {
        if let Ok(task) = serve(spawner, network::start(spawner)) {
            spawner.spawn(task);
        }
    })
}

#[embassy_executor::task]
async fn serve(spawner: Spawner, stack: Stack<'static>) {
    static MEMORY: ConstStaticCell<[Memory<4096, 4096>; SOCKETS]> =
        ConstStaticCell::new([const { Memory::new() }; SOCKETS]);
    static STREAMS: ConstStaticCell<[StreamMemory<16_384>; PUBLISHERS]> =
        ConstStaticCell::new([const { StreamMemory::new() }; PUBLISHERS]);
    let server = Served::relaying(
        stack,
        DEFAULT_PORTS,
        MEMORY.take(),
        STREAMS.take(),
        &ServerOptions::DEFAULT,
    );
    let Ok(server) = server else { host::exit(1) };
    let mut server = prepare(spawner, server);
    stack.wait_config_up().await;
    server.run(&mut Open).await;
}

/// Accepts every publisher and every player.
struct Open;

impl Handler for Open {
    fn entropy(&mut self) -> [u8; 32] {
        host::random()
    }

    fn publish(&mut self, _: SessionId, _: StreamId, _: StreamName<'_>, _: Text<'_>) -> Result<(), Rejection<'_>> {
        Ok(())
    }

    fn media(&mut self, _: SessionId, _: &Fragment<'_>) {}
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    host::exit(101);
}
