//! The server of `server`, in tunnels, at most two.
#![no_std]
#![no_main]

use embedded_rtmp::session::{Server, SessionBuffers};
use embedded_rtmp::tunnel::{Protocol, TunnelConfig, TunnelConnection, TunnelEvent, Tunnels};
use probe::{Board, Wish};

probe::entry!(run);

fn run(board: &mut Board) -> Option<()> {
    let buffers = SessionBuffers { scratch: &mut board.scratch, control: &mut board.control };
    let mut server = Server::<8>::new(buffers, board.server, &board.entropy).ok()?;
    let mut tunnels = Tunnels::<2>::new(TunnelConfig { page: Some("x"), ..TunnelConfig::new() });
    let mut connection = TunnelConnection::new((board.now)());
    while !connection.is_over() {
        let received = (board.receive)(&mut board.input);
        let mut input = board.input.get(..received)?;
        let now = (board.now)();
        if input.first().is_some_and(|first| Protocol::of(*first) != Protocol::Http) {
            return None;
        }
        while let Some(event) = connection.next_event(now, &mut input, &mut tunnels) {
            match event {
                TunnelEvent::Open => drop(connection.open(now, &board.entropy, &mut tunnels)),
                TunnelEvent::Closed(tunnel) => (board.show)(tunnel.index() as u32, &[]),
                TunnelEvent::Refused(_) => (board.show)(9, &[]),
                TunnelEvent::Data(_) => {
                    let before = input.len();
                    let event = connection.receive(now, &mut input, |bytes| server.next_event(now, bytes)).ok()?;
                    if let Some(event) = event {
                        Wish::of(&event, board.app, board.key, board.show).answer(&mut server)?;
                    }
                    if before == input.len() {
                        let _ = connection.answer_early();
                        break;
                    }
                }
                _ => {}
            }
        }
        let now = (board.now)();
        let waiting = server.transmit_len();
        let fill = |room: &mut [u8]| server.poll_transmit(now, room);
        let written = connection.poll_transmit(now, &mut board.output, &mut tunnels, waiting, fill);
        (board.send)(board.output.get(..written)?);
        if connection.poll_timeout(&tunnels).is_some_and(|deadline| deadline <= now) {
            let _ = connection.handle_timeout(now, &mut tunnels);
        }
        if let Some(tunnel) = tunnels.handle_timeout(now) {
            (board.show)(tunnel.index() as u32, &[]);
        }
        if server.poll_timeout().is_some_and(|deadline| (board.now)() >= deadline) {
            server.handle_timeout((board.now)()).ok()?;
        }
    }
    Some(())
}
