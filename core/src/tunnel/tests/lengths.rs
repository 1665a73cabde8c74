//! The number of bytes that sessions announce to a tunnel.

use super::*;
use crate::session::Client as Session;

/// A session that publishes through a tunnel.
fn publishing(frames: Vec<Frame>) -> Publisher {
    let mut host = Host::new(TunnelConfig::new());
    let mut route = Route::new("cam", frames, WAYS[0]);
    while route.publisher.stream.is_none() {
        route.publisher.next = usize::MAX;
        let now = route.publisher.tunnel.poll_timeout().unwrap().max(START);
        route.step(&mut host, now);
    }
    route.publisher.next = 0;
    route.publisher
}

fn drained(session: &mut Session<'_, 8>) {
    while session.poll_transmit(START, &mut [0; 64]) > 0 {}
}

#[test]
fn media_len_is_what_poll_media_gives() {
    for (_, _, payload) in frames(9) {
        for pieces in [1, 100, 4_095, 4_096, 4_097, 70_000] {
            let mut publisher = publishing(Vec::new());
            let session = &mut publisher.session;
            drained(session);
            let stream = session.publishing().unwrap();
            let csid = session.begin_media(MessageKind::VIDEO, stream, Timestamp(1), payload.len() as u32).unwrap();
            let mut rest = &payload[..];
            while session.media_left(csid).is_some() {
                let piece = &rest[..pieces.min(rest.len())];
                let length = session.media_len(csid, piece.len());
                let WriteProgress { taken, written, .. } = session.poll_media(csid, piece, &mut [0; 80_000]);
                assert_eq!((taken, written), (piece.len(), length), "{} in {pieces}", payload.len());
                rest = &rest[taken..];
            }
        }
    }
}

#[test]
fn media_len_is_right_wherever_the_output_ended() {
    let payload: Vec<u8> = (0..9_000_u32).map(|place| place as u8).collect();
    for window in [1, 2, 5, 11, 12, 13, 100, 4_107, 4_108, 4_109] {
        let mut publisher = publishing(Vec::new());
        let session = &mut publisher.session;
        drained(session);
        let stream = session.publishing().unwrap();
        let csid =
            session.begin_media(MessageKind::VIDEO, stream, Timestamp(0x0100_0000), payload.len() as u32).unwrap();
        let (mut rest, mut left) = (&payload[..], session.media_len(csid, payload.len()));
        while session.media_left(csid).is_some() {
            let WriteProgress { taken, written, .. } = session.poll_media(csid, rest, &mut std::vec![0; window]);
            rest = &rest[taken..];
            left -= written;
            assert_eq!(session.media_len(csid, rest.len()), left, "{window}");
        }
        assert_eq!(left, 0);
    }
}

#[test]
fn media_len_is_zero_without_payload() {
    let mut publisher = publishing(Vec::new());
    let session = &mut publisher.session;
    drained(session);
    let stream = session.publishing().unwrap();
    let csid = session.begin_media(MessageKind::VIDEO, stream, Timestamp(1), 10).unwrap();
    assert_eq!(session.media_len(csid, 0), 0);
    assert_eq!(moved(session.poll_media(csid, &[], &mut [0; 100])), (0, 0));
    let empty = session.begin_media(MessageKind::AUDIO, stream, Timestamp(1), 0).unwrap();
    assert_eq!(session.media_len(empty, 0), 12);
    assert_eq!(moved(session.poll_media(empty, &[], &mut [0; 100])), (0, 12));
}

#[test]
fn media_len_is_zero_while_a_chunk_of_another_message_is_open() {
    let mut publisher = publishing(Vec::new());
    let session = &mut publisher.session;
    drained(session);
    let stream = session.publishing().unwrap();
    let video = session.begin_media(MessageKind::VIDEO, stream, Timestamp(1), 100).unwrap();
    let audio = session.begin_media(MessageKind::AUDIO, stream, Timestamp(1), 10).unwrap();
    assert_eq!(session.poll_media(video, &[0; 20], &mut [0; 50]).taken, 20);
    assert_eq!((session.media_len(video, 80), session.media_len(audio, 10)), (80, 0));
    assert_eq!(moved(session.poll_media(audio, &[0; 10], &mut [0; 50])), (0, 0));
    assert_eq!(moved(session.poll_media(video, &[0; 80], &mut [0; 99])), (80, 80));
    let length = session.media_len(audio, 10);
    assert_eq!(moved(session.poll_media(audio, &[0; 10], &mut [0; 50])), (10, length));
}
