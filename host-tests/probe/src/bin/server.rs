//! A server that takes one publisher.
#![no_std]
#![no_main]

use embedded_rtmp::command::{DataMessage, code};
use embedded_rtmp::session::{Buffers, Server, ServerEvent};
use probe::Board;

#[unsafe(no_mangle)]
fn _start(board: &mut Board) {
    let _ = run(board);
}

fn run(board: &mut Board) -> Option<()> {
    let buffers = Buffers { scratch: &mut board.scratch, control: &mut board.control };
    let mut server = Server::<8>::new(buffers, board.server, &board.entropy).ok()?;
    while !server.is_closed() {
        let received = (board.receive)(&mut board.input);
        let mut input = board.input.get(..received)?;
        loop {
            let (mut connect, mut publish) = (None, None);
            let Some(event) = server.next_event((board.now)(), &mut input).ok()? else { break };
            match event {
                ServerEvent::Connect(request) => connect = Some(request.app.as_bytes() == board.app.as_bytes()),
                ServerEvent::Publish { stream, key } => {
                    publish = Some((stream, key.as_bytes() == board.key.as_bytes()));
                }
                ServerEvent::Media(fragment) => {
                    let name = match fragment.header.kind.is_data() {
                        true => DataMessage::parse(fragment.data).map(|message| message.name),
                        false => None,
                    };
                    (board.show)(fragment.header.timestamp.0, name.map_or(fragment.data, |name| name.as_bytes()));
                }
                ServerEvent::Unpublished(stream) => (board.show)(stream.0, &[]),
                _ => {}
            }
            match connect {
                Some(true) => server.accept_connect().ok()?,
                Some(false) => server.reject_connect("no such application").ok()?,
                None => {}
            }
            match publish {
                Some((stream, true)) => server.accept(stream).ok()?,
                Some((stream, false)) => server.reject(stream, code::PUBLISH_DENIED, "wrong key").ok()?,
                None => {}
            }
        }
        let written = server.poll_transmit((board.now)(), &mut board.output);
        (board.send)(board.output.get(..written)?);
        if server.poll_timeout().is_some_and(|deadline| (board.now)() >= deadline) {
            server.handle_timeout((board.now)()).ok()?;
        }
    }
    Some(())
}
