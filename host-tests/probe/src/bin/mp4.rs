//! Makes fragmented MP4 from messages.
#![no_std]
#![no_main]

use embedded_rtmp::media::mp4::{Configuration, Muxer, Step};
use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};
use probe::Board;

#[unsafe(no_mangle)]
fn _start(board: &mut Board) {
    let mut muxer = Muxer::new();
    while let Some((kind, at, payload)) = (board.frame)() {
        let (kind, stream) = (MessageKind(kind), StreamId::CONNECTION);
        let header = MessageHeader { timestamp: Timestamp(at), length: payload.len() as u32, kind, stream };
        match muxer.begin(&header, [payload, &[]]) {
            Some(Step::Init) => {
                let cached = [(MessageKind::VIDEO, board.app), (MessageKind::AUDIO, board.key)];
                let configuration = Configuration::new(cached.map(|(kind, text)| (kind, text.as_bytes())));
                if muxer.configure(&configuration) {
                    let length = configuration.write(at, &mut board.output);
                    (board.send)(board.output.get(..length).unwrap_or_default());
                    (board.show)(configuration.length(), configuration.codecs().as_str().as_bytes());
                }
            }
            Some(Step::Fragment(fragment)) => {
                let length = fragment.write_head(at, &mut board.output);
                (board.send)(board.output.get(..length).unwrap_or_default());
                (board.send)(payload.get(fragment.start as usize..).unwrap_or_default());
            }
            _ => {}
        }
    }
}
