//! A server's ports against clients that begin to connect and do not go on.

use embassy_futures::select::select;
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, Timer, with_timeout};
use embedded_rtmp_embassy::{DEFAULT_PORTS, ServeOptions, Server};

use super::pair::{Recorded, TestMemory, with_devices};
use crate::demo::wire::Wire;

/// One way of the wire.
const DELAY: Duration = Duration::from_millis(10);

/// Whether a port takes a connection, which lasts as long as the socket's memory.
async fn knock<'a>(stack: Stack<'a>, port: u16, memory: &'a mut [[u8; 64]; 2]) -> Option<TcpSocket<'a>> {
    let [rx, tx] = memory;
    let mut socket = TcpSocket::new(stack, rx, tx);
    let connected = with_timeout(Duration::from_secs(3), socket.connect((IpAddress::v4(10, 0, 0, 2), port)));
    matches!(connected.await, Ok(Ok(()))).then_some(socket)
}

#[test]
fn who_begins_to_connect_and_resets_leaves_every_port_with_its_listener() {
    // One that looks for open ports does just that: SYN, and RST for the answer.
    for scanned in [80, 1935] {
        for taken in [80, 1935] {
            for wanted in [80, 1935] {
                with_devices(&Wire { delay: DELAY, ..Wire::new() }, async |first, second| {
                    let (mut memory, options) = ([const { TestMemory::new() }; 3], ServeOptions::default());
                    let mut server = Server::<3>::new(second, DEFAULT_PORTS, &mut memory, &options).unwrap();
                    let recorded = Recorded::default();
                    let mut recorder = recorded.recorder();
                    let clients = async {
                        let mut lent = [[[0; 64]; 2]; 4];
                        let [warm, scan, one, two] = &mut lent;
                        // Addresses are known then.
                        drop(knock(first, 9, warm).await);
                        let [rx, tx] = scan;
                        let mut half = TcpSocket::new(first, rx, tx);
                        let _ =
                            with_timeout(DELAY + DELAY / 2, half.connect((IpAddress::v4(10, 0, 0, 2), scanned))).await;
                        half.abort();
                        Timer::after(DELAY * 10).await;
                        let held = knock(first, taken, one).await;
                        assert!(held.is_some(), "port {taken} after {scanned} was scanned");
                        Timer::after(DELAY * 4).await;
                        let other = knock(first, wanted, two).await;
                        assert!(other.is_some(), "port {wanted} after {scanned} was scanned, and {taken} taken");
                    };
                    select(clients, server.run(&mut recorder)).await;
                });
            }
        }
    }
}
