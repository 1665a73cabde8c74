//! Clients that begin to connect to a server: it is shut down then, or they go away.

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_net::IpAddress;
use embassy_net::tcp::{State, TcpSocket};
use embassy_time::{Duration, Timer};
use embedded_rtmp_embassy::{Server, ServerOptions};

use super::pair::{IMPATIENT, Recorded, TestMemory, with_devices};
use crate::wire::Wire;

#[test]
fn a_shutdown_leaves_no_half_open_connection() {
    let wire = Wire { delay: Duration::from_millis(50), ..Wire::new() };
    with_devices(&wire, async |first, second| {
        let mut memory: Box<[TestMemory; 2]> = Box::new([const { TestMemory::new() }; 2]);
        let options = ServerOptions { keep_alive: IMPATIENT, ..Default::default() };
        let mut server = Server::<2>::new(second, &[1935], &mut memory, &options).unwrap();
        let recorded = Recorded::default();
        let mut recorder = recorded.recorder();
        let ([mut rx, mut tx], address) = ([[0; 256]; 2], IpAddress::v4(10, 0, 0, 2));
        let mut socket = TcpSocket::new(first, &mut rx, &mut tx);
        // After this, both devices know each other's hardware address.
        let refused = socket.connect((address, 1));
        select(server.run(&mut recorder), refused).await;
        let client = async {
            // The SYN takes 50 ms, and so does the answer. The client's acknowledgement arrives after the server was
            // shut down.
            let _ = socket.connect((address, 1935)).await;
            Timer::after(Duration::from_secs(1)).await;
            socket.state()
        };
        let serve = async {
            select(server.run(&mut recorder), Timer::after(Duration::from_millis(80))).await;
            server.shutdown(&mut recorder).await;
        };
        assert_eq!(join(client, serve).await.0, State::Closed);
    });
}

#[test]
fn item_195_clients_that_go_away_while_they_connect_keep_no_socket() {
    let wire = Wire { delay: Duration::from_millis(10), ..Wire::new() };
    with_devices(&wire, async |first, second| {
        let mut memory: Box<[TestMemory; 2]> = Box::new([const { TestMemory::new() }; 2]);
        let mut server = Server::<2>::new(second, &[1935], &mut memory, &ServerOptions::default()).unwrap();
        let recorded = Recorded::default();
        let mut recorder = recorded.recorder();
        let mut rings = [[0; 256]; 6];
        let [one, two, three, four, rx, tx] = &mut rings;
        let address = IpAddress::v4(10, 0, 0, 2);
        let clients = async {
            let mut sockets = [TcpSocket::new(first, one, two), TcpSocket::new(first, three, four)];
            // After this, both devices know each other's hardware address.
            let _ = sockets[0].connect((address, 1)).await;
            for socket in &mut sockets {
                let connected = select(socket.connect((address, 1935)), Timer::after(Duration::from_millis(15))).await;
                assert!(matches!(connected, Either::Second(())), "the answer is on its way");
                wire.cut.set(true);
                socket.abort();
                Timer::after(Duration::from_millis(10)).await;
                wire.cut.set(false);
            }
            wire.cut.set(true);
            Timer::after(Duration::from_millis(5_100)).await;
            wire.cut.set(false);
            let mut socket = TcpSocket::new(first, rx, tx);
            assert_eq!(socket.connect((address, 1935)).await, Ok(()));
        };
        select(clients, server.run(&mut recorder)).await;
    });
}
