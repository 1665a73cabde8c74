//! The publisher of `client`, through a tunnel.
#![no_std]
#![no_main]

use embedded_rtmp::message::{MessageKind, StreamId, Timestamp};
use embedded_rtmp::session::{Client, ClientConfig, ClientEvent, SessionBuffers};
use embedded_rtmp::tunnel;
use probe::{Board, ask, metadata};

probe::entry!(run);

fn run(board: &mut Board) -> Option<()> {
    let buffers = SessionBuffers { scratch: &mut board.scratch, control: &mut board.control };
    let Ok(mut client) = Client::<8>::new(buffers, ClientConfig::new(), &board.entropy) else { return None };
    ask(&mut client, board.url, board.app, board.key)?;
    let mut tunnel = tunnel::TunnelClient::new(board.url, 80);

    let mut stream: Option<StreamId> = None;
    while !tunnel.is_closed() {
        // Received bytes.
        let received = (board.receive)(&mut board.input);
        let mut input = board.input.get(..received)?;
        let mut before = usize::MAX;
        while input.len() < before {
            before = input.len();
            let now = (board.now)();
            match tunnel.receive(now, &mut input, |bytes| client.next_event(now, bytes)).ok()?.ok()? {
                Some(ClientEvent::Publishing(id)) => stream = Some(id),
                Some(ClientEvent::Refused(stage, status)) => (board.show)(stage as u32, status.code.as_bytes()),
                _ => {}
            }
        }
        if !client.wants_input() && client.wants_transmit() {
            tunnel.send_early();
        }
        if tunnel.needs_connection() {
            (board.show)(0, &[]);
            tunnel.connected();
        }
        let now = (board.now)();
        let waiting = client.transmit_len();
        let written = tunnel.poll_transmit(now, &mut board.output, waiting, |room| client.poll_transmit(now, room));
        (board.send)(board.output.get(..written)?);
        // Bytes to send.
        if let Some(id) = stream
            && let Some((kind, at, frame)) = (board.frame)()
        {
            let mut rest = frame;
            if kind == MessageKind::DATA.0 {
                rest = metadata(&mut board.metadata)?;
            }
            let csid = client.begin_media(MessageKind(kind), id, Timestamp(at), rest.len() as u32).ok()?;
            while client.media_left(csid).is_some() {
                let waiting = client.media_len(csid, rest.len());
                let mut taken = 0;
                let written = tunnel.poll_transmit((board.now)(), &mut board.output, waiting, |room| {
                    let progress = client.poll_media(csid, rest, room);
                    taken = progress.taken;
                    progress.written
                });
                rest = rest.get(taken..)?;
                (board.send)(board.output.get(..written)?);
            }
        }
        if (board.is_over)() {
            client.close().ok()?;
            tunnel.close();
        }
        client.handle_timeout((board.now)()).ok()?;
        if tunnel.poll_timeout().is_some_and(|deadline| (board.now)() >= deadline) {
            tunnel.handle_timeout((board.now)()).ok()?;
        }
    }
    Some(())
}
