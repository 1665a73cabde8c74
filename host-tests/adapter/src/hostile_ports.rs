//! A server's sockets and ports against clients that half-open connections or reset them.

use embassy_futures::select::select;
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, Timer, with_timeout};
use embedded_rtmp_embassy::{DEFAULT_PORTS, Server, ServerOptions};

use super::pair::{Recorded, TestMemory, with_devices};
use crate::wire::Wire;

/// The delay of the wire in one direction.
const DELAY: Duration = Duration::from_millis(10);

/// Connects to a port. Returns the socket, or `None` if the port does not accept the connection.
async fn knock<'a>(stack: Stack<'a>, port: u16, memory: &'a mut [[u8; 64]; 2]) -> Option<TcpSocket<'a>> {
    let [rx, tx] = memory;
    let mut socket = TcpSocket::new(stack, rx, tx);
    let connected = with_timeout(Duration::from_secs(3), socket.connect((IpAddress::v4(10, 0, 0, 2), port)));
    matches!(connected.await, Ok(Ok(()))).then_some(socket)
}

#[test]
fn a_client_that_resets_half_open_connections_leaves_every_port_open() {
    // A port scanner does this: it sends SYN, and answers SYN-ACK with RST.
    for scanned in [80, 1935] {
        for taken in [80, 1935] {
            for wanted in [80, 1935] {
                with_devices(&Wire { delay: DELAY, ..Wire::new() }, async |first, second| {
                    let (mut memory, options) = ([const { TestMemory::new() }; 3], ServerOptions::default());
                    let mut server = Server::<3>::new(second, DEFAULT_PORTS, &mut memory, &options).unwrap();
                    let recorded = Recorded::default();
                    let mut recorder = recorded.recorder();
                    let clients = async {
                        let mut lent = [[[0; 64]; 2]; 4];
                        let [warm, scan, one, two] = &mut lent;
                        // After this, the hardware addresses are known.
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

#[test]
fn a_client_that_reads_no_answers_and_resets_keeps_no_socket() {
    with_devices(&Wire::new(), async |first, second| {
        let (mut memory, mut options) = ([const { TestMemory::new() }; 2], ServerOptions::default());
        options.session.connect_timeout = Some(core::time::Duration::from_secs(60));
        let mut server = Server::<2>::new(second, &[1935], &mut memory, &options).unwrap();
        let recorded = Recorded::default();
        let mut recorder = recorded.recorder();
        let clients = async {
            for _ in 0..2 {
                let (mut rx, mut tx, mut answer) = ([0; 4096], vec![0; 65_536], [0; 3073]);
                let mut socket = TcpSocket::new(first, &mut rx, &mut tx);
                socket.connect((IpAddress::v4(10, 0, 0, 2), 1935)).await.unwrap();
                let hello = [&[3][..], &[0; 1536]].concat();
                assert_eq!(socket.write(&hello).await, Ok(hello.len()));
                let mut come = 0;
                while come < answer.len() {
                    come += socket.read(&mut answer[come..]).await.unwrap();
                }
                // The server must answer each command, and the client reads no answers. In the end the server does not
                // read commands either.
                let connect = b"\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0\x03\0\x03app\x02\0\x04live\0\0\x09";
                let create = b"\x02\0\x0CcreateStream\0\x40\x10\0\0\0\0\0\0\x05";
                let command = |body: &[u8]| [b"\x03\0\0\0\0\0", &[body.len() as u8, 20, 0, 0, 0, 0], body].concat();
                let rest = [&answer[1..1537], &command(connect), &command(create).repeat(1_500)].concat();
                assert_eq!(socket.write(&rest).await, Ok(rest.len()));
                Timer::after(Duration::from_millis(100)).await;
                socket.abort();
                let _ = with_timeout(Duration::from_millis(100), socket.flush()).await;
            }
            Timer::after(Duration::from_millis(500)).await;
            assert!(knock(first, 1935, &mut [[0; 64]; 2]).await.is_some(), "both sockets are free");
        };
        select(clients, server.run(&mut recorder)).await;
    });
}
