//! A client and a server that are connected to each other.

use std::vec::Vec;

use super::*;

/// A client and a server, with the bytes in transit between them.
pub(super) struct Pair {
    pub(super) client: Client<'static, 8>,
    pub(super) server: Server<'static, 8>,
    collectors: [Collector; 2],
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    pub(super) client_saw: Vec<Seen>,
    pub(super) server_saw: Vec<Seen>,
    /// All that either side has sent.
    pub(super) sent: [Vec<u8>; 2],
    pub(super) cut: usize,
    pub(super) window: usize,
}

impl Pair {
    pub(super) fn new(client: Client<'static, 8>, server: Server<'static, 8>, cut: usize, window: usize) -> Pair {
        Pair {
            client,
            server,
            collectors: Default::default(),
            to_server: Vec::new(),
            to_client: Vec::new(),
            client_saw: Vec::new(),
            server_saw: Vec::new(),
            sent: Default::default(),
            cut,
            window,
        }
    }

    /// A pair in which the client publishes under `key`.
    pub(super) fn publishing(key: &'static str, cut: usize, window: usize) -> Pair {
        let mut pair = Pair::new(client(), server(), cut, window);
        pair.client.connect(&OPTIONS).unwrap();
        pair.client.publish(key).unwrap();
        pair.run();
        assert_eq!(pair.client.publishing(), Some(StreamId(1)));
        pair
    }

    /// Passes bytes in both directions until neither side sends anything.
    pub(super) fn run(&mut self) {
        loop {
            let input = core::mem::take(&mut self.to_client);
            let (seen, output, result) =
                drive_client(&mut self.client, &input, self.cut, self.window, &mut self.collectors[0]);
            result.unwrap();
            self.client_saw.extend(seen);
            self.sent[0].extend_from_slice(&output);
            self.to_server.extend_from_slice(&output);
            if self.to_server.is_empty() {
                return;
            }
            let input = core::mem::take(&mut self.to_server);
            let (seen, output, result) =
                drive_server(&mut self.server, &input, self.cut, self.window, &mut self.collectors[1]);
            result.unwrap();
            self.server_saw.extend(seen);
            self.sent[1].extend_from_slice(&output);
            self.to_client.extend_from_slice(&output);
        }
    }

    /// Sends a message through the client's windows.
    pub(super) fn send(&mut self, kind: MessageKind, timestamp: u32, mut payload: &[u8]) {
        let length = payload.len() as u32;
        let csid = self.client.begin_media(kind, StreamId(1), Timestamp(timestamp), length).unwrap();
        while self.client.media_left(csid).is_some() {
            let mut out = vec![0; self.window];
            let WriteProgress { taken, written, .. } = self.client.poll_media(csid, payload, &mut out);
            assert!(written > 0, "nothing was written");
            payload = &payload[taken..];
            self.sent[0].extend_from_slice(&out[..written]);
            self.to_server.extend_from_slice(&out[..written]);
        }
    }
}
