//! The capabilities in Enhanced RTMP that a client and a server announce (items 99 and 100).

use super::*;
use crate::amf0::Encoder;
use crate::command::{Capabilities, CodecSupport, ConnectOptions, Extensions, PeerCapabilities};
use crate::message::FourCc;

const OFFER: Capabilities<'_> = Capabilities {
    video: &[(FourCc::HEVC, CodecSupport::ENCODE)],
    audio: &[(FourCc::OPUS, CodecSupport::ENCODE)],
    extensions: Extensions::MULTITRACK,
    has_list: true,
};

const ANSWER: Capabilities<'_> = Capabilities::PASSES_ON;

/// Returns what a peer announces for HEVC, for Opus, and apart from codecs.
fn said(peer: PeerCapabilities<'_>) -> (bool, u32, u32, u32) {
    (peer.is_enhanced(), peer.video(FourCc::HEVC).0, peer.audio(FourCc::OPUS).0, peer.extensions().0)
}

/// Connects, with bytes that arrive in pieces of `cut` bytes. Returns what the server has read about the client, and
/// what the client has read about the server.
fn connect(properties: &[u8], answer: Option<&Capabilities<'_>>, cut: usize) -> [(bool, u32, u32, u32); 2] {
    let (mut client, mut server) = (client(), server());
    let options = ConnectOptions { properties, ..OPTIONS };
    client.connect(&options).unwrap();
    let (now, mut of_client, mut of_server) = (Instant::from_millis(1), None, None);
    for _ in 0..20 {
        let mut wire = vec![0; 8192];
        let length = client.poll_transmit(now, &mut wire);
        for mut piece in wire[..length].chunks(cut) {
            while let Some(event) = server.next_event(now, &mut piece).unwrap() {
                let ServerEvent::Connect(request) = event else { continue };
                of_client = Some(said(PeerCapabilities::new(request.values())));
                match answer {
                    Some(answer) => server.accept_connect_with(answer).unwrap(),
                    None => server.accept_connect().unwrap(),
                }
            }
        }
        let length = server.poll_transmit(now, &mut wire);
        for mut piece in wire[..length].chunks(cut) {
            loop {
                match client.next_event(now, &mut piece).unwrap() {
                    Some(ClientEvent::Connected) => {}
                    Some(_) => continue,
                    None => break,
                }
                of_server = Some(said(client.connect_answer()));
            }
        }
    }
    [of_client.unwrap(), of_server.unwrap()]
}

fn properties() -> Vec<u8> {
    let mut buffer = [0; 300];
    let mut encoder = Encoder::new(&mut buffer);
    OFFER.emit(&mut encoder).unwrap();
    encoder.finish().to_vec()
}

#[test]
fn item_099_item_100_client_and_server_say_what_they_can_do() {
    for cut in [1, 7, 8192] {
        assert_eq!(connect(&properties(), Some(&ANSWER), cut), [(true, 3, 3, 2), (true, 4, 4, 14)], "{cut}");
        let old = (false, 0, 0, 0);
        assert_eq!(connect(&properties(), None, cut), [(true, 3, 3, 2), old], "an old server");
        assert_eq!(connect(&[], Some(&ANSWER), cut), [old, (true, 4, 4, 14)], "an old client");
    }
}

#[test]
fn item_100_before_and_after_the_answer_the_server_says_nothing() {
    let mut client = client();
    assert_eq!(said(client.connect_answer()), (false, 0, 0, 0));
    client.connect(&OPTIONS).unwrap();
    assert_eq!(said(client.connect_answer()), (false, 0, 0, 0));
}
