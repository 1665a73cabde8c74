//! The wire and the stacks alone, with plain TCP.

use embassy_futures::join::join;
use embassy_net::tcp::{ConnectError, TcpSocket};
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, Instant};

use super::pair::with_devices;
use crate::wire::Wire;

const BYTES: usize = 100_000;

fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}

/// The first device sends `BYTES` bytes to port 80 of the second.
async fn exchange(first: Stack<'_>, second: Stack<'_>) {
    let (mut rx, mut tx) = ([0; 4096], [0; 4096]);
    let (mut server_rx, mut server_tx) = ([0; 4096], [0; 4096]);
    let send = async {
        let mut socket = TcpSocket::new(first, &mut rx, &mut tx);
        socket.connect((IpAddress::v4(10, 0, 0, 2), 80)).await.unwrap();
        let bytes: Vec<u8> = (0..BYTES).map(pattern).collect();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            rest = &rest[socket.write(rest).await.unwrap()..];
        }
        socket.close();
        socket.flush().await.unwrap();
    };
    let receive = async {
        let mut socket = TcpSocket::new(second, &mut server_rx, &mut server_tx);
        socket.accept(80).await.unwrap();
        let mut received = Vec::new();
        let mut piece = [0; 1000];
        loop {
            match socket.read(&mut piece).await.unwrap() {
                0 => break,
                length => received.extend_from_slice(&piece[..length]),
            }
        }
        socket.close();
        socket.flush().await.unwrap();
        assert_eq!(received.len(), BYTES);
        assert!(received.iter().enumerate().all(|(at, byte)| *byte == pattern(at)));
    };
    join(send, receive).await;
}

#[test]
fn bytes_cross_the_wire() {
    let wire = Wire::new();
    with_devices(&wire, exchange);
    assert_eq!((wire.counts.get().lost, wire.counts.get().dropped), (0, 0));
}

#[test]
fn bytes_cross_a_slow_wire_at_most_at_its_rate() {
    let wire = Wire { delay: Duration::from_millis(5), ..Wire::new() };
    let start = Instant::now();
    with_devices(&wire, exchange);
    // 4 KiB of window in each round trip of 10 ms.
    assert!(start.elapsed() >= Duration::from_millis(10 * (BYTES / 4096) as u64));
}

#[test]
fn bytes_cross_a_wire_that_loses_frames() {
    let wire = Wire { loss: 5, ..Wire::new() };
    with_devices(&wire, exchange);
    assert!(wire.counts.get().lost > 0);
}

#[test]
fn a_dropped_port_does_not_answer_and_another_port_does() {
    let wire = Wire { dropped_ports: vec![1935], ..Wire::new() };
    with_devices(&wire, async |first, second| {
        let (mut rx, mut tx) = ([0; 1024], [0; 1024]);
        let mut socket = TcpSocket::new(first, &mut rx, &mut tx);
        socket.set_timeout(Some(Duration::from_millis(100)));
        let refused = socket.connect((IpAddress::v4(10, 0, 0, 2), 1935)).await;
        assert_eq!(refused, Err(ConnectError::ConnectionReset));
        assert!(wire.counts.get().dropped > 0);
        drop(socket);
        exchange(first, second).await;
    });
}
