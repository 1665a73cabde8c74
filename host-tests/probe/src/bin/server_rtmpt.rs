//! The server of `server`, in a tunnel: two at most.
#![no_std]
#![no_main]

use embedded_rtmp::command::{DataMessage, code};
use embedded_rtmp::session::{Buffers, Server, ServerEvent};
use embedded_rtmp::tunnel::{Config, Connection, Event, Protocol, Tunnels};
use probe::Board;

#[unsafe(no_mangle)]
fn _start(board: &mut Board) {
    let _ = run(board);
}

fn run(board: &mut Board) -> Option<()> {
    let buffers = Buffers { scratch: &mut board.scratch, control: &mut board.control };
    let mut server = Server::<8>::new(buffers, board.server, &board.entropy).ok()?;
    let mut tunnels = Tunnels::<2>::new(Config { page: Some("x"), ..Config::new() });
    let mut connection = Connection::new((board.now)());
    while !connection.is_over() {
        let received = (board.receive)(&mut board.input);
        let mut input = board.input.get(..received)?;
        let now = (board.now)();
        if input.first().is_some_and(|first| Protocol::of(*first) != Protocol::Http) {
            return None;
        }
        while let Some(event) = connection.next_event(&mut tunnels, now, &mut input) {
            match event {
                Event::Open => drop(connection.open(&mut tunnels, now, &board.entropy)),
                Event::Closed(tunnel) => (board.show)(tunnel.index() as u32, &[]),
                Event::Refused(_) => (board.show)(9, &[]),
                Event::Data(_) => {
                    let (mut connect, mut publish) = (None, None);
                    let before = input.len();
                    match connection.receive(now, &mut input, |bytes| server.next_event(now, bytes)).ok()? {
                        Some(ServerEvent::Connect(request)) => {
                            connect = Some(request.app.as_bytes() == board.app.as_bytes());
                        }
                        Some(ServerEvent::Publish { stream, key }) => {
                            publish = Some((stream, key.as_bytes() == board.key.as_bytes()));
                        }
                        Some(ServerEvent::Media(fragment)) => {
                            let name = match fragment.header.kind.is_data() {
                                true => DataMessage::parse(fragment.data).map(|message| message.name),
                                false => None,
                            };
                            let shown = name.map_or(fragment.data, |name| name.as_bytes());
                            (board.show)(fragment.header.timestamp.0, shown);
                        }
                        Some(ServerEvent::Unpublished(stream)) => (board.show)(stream.0, &[]),
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
        let written = connection.poll_transmit(&mut tunnels, now, waiting, &mut board.output, fill);
        (board.send)(board.output.get(..written)?);
        if connection.poll_timeout(&tunnels) <= now {
            let _ = connection.handle_timeout(&mut tunnels, now);
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
