//! A ring with one stream, and one viewer of it on the web.
#![no_std]
#![no_main]

use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};
use embedded_rtmp::relay::{Generation, HeaderEntry, Player, RelayConfig, Ring, StreamBuffers};
use embedded_rtmp::web::{StreamStatus, WebConfig, WebConnection, WebEvent, WebRejection, WebResource, WebStatus};
use probe::Board;

probe::entry!(run);

fn run(board: &mut Board) -> Option<()> {
    let mut entries = [HeaderEntry::new(); 4];
    let buffers = StreamBuffers { ring: &mut board.scratch, headers: &mut board.control, entries: &mut entries };
    let mut ring = Ring::new(buffers, &RelayConfig::new());
    let (config, published) =
        (WebConfig { names: &["camera.local"], ..WebConfig::new() }, Generation::default().next());
    let mut connection = WebConnection::<512>::new((board.now)());
    let mut player = Player::new(StreamId(1), published);
    while !connection.is_over() {
        let now = (board.now)();
        if let Some((kind, millis, data)) = (board.frame)() {
            let (kind, timestamp, stream) = (MessageKind(kind), Timestamp(millis), StreamId(1));
            let header = MessageHeader { timestamp, length: data.len() as u32, kind, stream };
            ring.push(now, &Fragment { csid: ChunkStreamId::COMMAND, header, offset: 0, data });
        }
        let received = (board.receive)(&mut board.input);
        let mut input = board.input.get(..received)?;
        while let Some(event) = connection.next_event(now, &mut input, &config) {
            match event {
                WebEvent::Request(request) => {
                    let is_page = !matches!(request.resource, WebResource::Stream(_));
                    let is_known = request.key == board.key && request.application == board.app;
                    let is_user = request.credentials.is_some_and(|credentials| credentials.are(board.app, board.key));
                    if is_page || is_known && is_user {
                        player = Player::new(StreamId(1), published);
                        connection.accept(now);
                    } else {
                        connection.reject(now, WebRejection::NotFound);
                    }
                }
                _ => (board.show)(1, &[]),
            }
        }
        let written = if connection.is_streaming() {
            connection.poll_stream(now, &mut board.output, &mut player, Some(&ring), published).ok()?
        } else if connection.is_status() {
            let stream = StreamStatus { name: board.key, ..StreamStatus::default() };
            let status = WebStatus { uptime: ring.messages(), ..WebStatus::default() };
            connection.poll_status(now, &mut board.output, &status, &mut |index| (index == 0).then_some(stream))
        } else {
            connection.poll_transmit(now, &mut board.output)
        };
        (board.send)(board.output.get(..written)?);
        if connection.poll_timeout(&config).is_some_and(|deadline| deadline <= now) {
            connection.handle_timeout(now, &config, written > 0);
        }
    }
    Some(())
}
