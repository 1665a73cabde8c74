//! A server that accepts one publisher.
#![no_std]
#![no_main]

use embedded_rtmp::session::{Server, SessionBuffers};
use probe::{Board, Wish};

probe::entry!(run);

fn run(board: &mut Board) -> Option<()> {
    let buffers = SessionBuffers { scratch: &mut board.scratch, control: &mut board.control };
    let mut server = Server::<8>::new(buffers, board.server, &board.entropy).ok()?;
    while !server.is_closed() {
        let received = (board.receive)(&mut board.input);
        let mut input = board.input.get(..received)?;
        loop {
            let Some(event) = server.next_event((board.now)(), &mut input).ok()? else { break };
            Wish::of(&event, board.app, board.key, board.show).answer(&mut server)?;
        }
        let written = server.poll_transmit((board.now)(), &mut board.output);
        (board.send)(board.output.get(..written)?);
        if server.poll_timeout().is_some_and(|deadline| (board.now)() >= deadline) {
            server.handle_timeout((board.now)()).ok()?;
        }
    }
    Some(())
}
