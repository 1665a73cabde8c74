//! Players with sessions, and what arrives at their clients.

use super::*;
use crate::command::{ConnectOptions, PlayRequest};
use crate::relay::{Generation, Player, PumpError};
use crate::session::{self, Client, ClientConfig, ClientEvent, Server, ServerConfig, ServerEvent};

const NOW: Instant = Instant::from_millis(1);

/// A player that knows that its stream is published.
pub(super) fn player(stream: StreamId) -> Player {
    Player::new(stream, Generation(1))
}

fn buffers() -> session::SessionBuffers<'static> {
    session::SessionBuffers { scratch: vec![0; 1_536].leak(), control: vec![0; 512].leak() }
}

/// A client and its server session, with a message stream between them.
pub(super) struct Pair {
    client: Client<'static>,
    server: Server<'static>,
    pub(super) stream: StreamId,
    pub(super) got: Vec<Got>,
}

impl Pair {
    pub(super) fn open() -> Self {
        let mut client = Client::new(buffers(), ClientConfig::new(), &[1; 32]).unwrap();
        let server = Server::new(buffers(), ServerConfig::new(), &[2; 32]).unwrap();
        client.connect(&ConnectOptions::new("live", &["rtmp://host/live"])).unwrap();
        client.publish("cam").unwrap();
        let mut pair = Self { client, server, stream: StreamId(0), got: Vec::new() };
        let (mut out, mut said) = (vec![0; 8_192], Vec::new());
        while pair.stream == StreamId(0) {
            let length = pair.client.poll_transmit(NOW, &mut out);
            said.extend_from_slice(&out[..length]);
            let mut input = &said[..];
            loop {
                let mut accepted = None;
                let Some(event) = pair.server.next_event(NOW, &mut input).unwrap() else { break };
                match event {
                    ServerEvent::Connect(_) => accepted = Some(None),
                    ServerEvent::Publish { stream, .. } => accepted = Some(Some(stream)),
                    _ => {}
                }
                match accepted {
                    Some(None) => pair.server.accept_connect().unwrap(),
                    Some(Some(stream)) => pair.server.accept(stream).unwrap(),
                    None => {}
                }
            }
            // The rest waits for room for the answers.
            said = input.to_vec();
            let length = pair.server.poll_transmit(NOW, &mut out);
            pair.receive(&out[..length]);
        }
        pair
    }

    fn receive(&mut self, mut input: &[u8]) {
        while let Some(event) = self.client.next_event(NOW, &mut input).unwrap() {
            match event {
                ClientEvent::Publishing(stream) => self.stream = stream,
                ClientEvent::Media(fragment) => {
                    let name = fragment.header.kind.name().and_then(|name| name.chars().next()).unwrap();
                    if fragment.is_first() {
                        self.got.push((name, fragment.header.timestamp.0, Vec::new()));
                    }
                    // A player has one open message at a time.
                    let (kind, _, payload) = self.got.last_mut().unwrap();
                    assert_eq!((*kind, payload.len()), (name, fragment.offset as usize));
                    payload.extend_from_slice(fragment.data);
                }
                _ => {}
            }
        }
    }

    /// Lets a player send everything that there is, through windows of this size. Its client gets nothing.
    pub(super) fn drain(&mut self, player: &mut Player, ring: &Ring<'_>, window: usize) {
        let mut out = vec![0; window];
        while player.pump(Some(ring), Generation(1), &mut self.server, NOW, &mut out).unwrap() > 0 {}
    }

    /// Lets a player send through one window to its client.
    pub(super) fn pump(&mut self, player: &mut Player, ring: &Ring<'_>, window: usize) -> Result<usize, PumpError> {
        let mut out = vec![0; window];
        let length = player.pump(Some(ring), Generation(1), &mut self.server, NOW, &mut out)?;
        self.receive(&out[..length]);
        Ok(length)
    }
}

#[test]
fn clients_get_what_was_published_through_any_windows() {
    for window in [1, 7, 100, 5_000] {
        let mut memory = Memory::new(20_000);
        let (mut ring, mut pair) = (memory.ring(), Pair::open());
        let mut player = player(pair.stream);
        let long = [KEY, &vec![9; 6_000]].concat();
        let published = [
            (MessageKind::DATA, 0, METADATA),
            (MessageKind::VIDEO, 0, CONFIGURATION),
            (MessageKind::AUDIO, 0, b""),
            (MessageKind::VIDEO, 5, &long),
            (MessageKind::AUDIO, 5, AUDIO),
            (MessageKind::VIDEO, 0x0100_0000, INTER),
            (MessageKind::VIDEO, 0xFFFF_FFFF, INTER),
            (MessageKind::VIDEO, 3, KEY),
        ];
        for (kind, millis, payload) in published {
            for offset in (0..payload.len().max(1)).step_by(500) {
                ring.push(NOW, &fragment(kind, millis, payload, offset, (payload.len() - offset).min(500)));
                while pair.pump(&mut player, &ring, window).unwrap() > 0 {}
            }
        }
        let expected: Vec<Got> = published
            .iter()
            .map(|(kind, millis, payload)| (kind.name().unwrap().chars().next().unwrap(), *millis, payload.to_vec()))
            .collect();
        assert!(pair.got == expected, "{window}: {:?}", pair.got);
        assert_eq!(player.played().sent, 8);
    }
}

#[test]
fn a_slow_player_does_not_affect_the_others() {
    let mut memory = Memory::new(3_000);
    let mut ring = memory.ring();
    let (mut fast, mut slow, mut dead) = (Pair::open(), Pair::open(), Pair::open());
    let mut players = [fast.stream, slow.stream, dead.stream].map(player);
    let (mut sent, mut closed) = (Vec::new(), 0);
    for frame in 0..200_u32 {
        let start: &[u8] = if frame % 10 == 0 { &[0x17, 1] } else { &[0x27, 1] };
        let payload = [start, &vec![frame as u8; 300]].concat();
        push(&mut ring, MessageKind::VIDEO, frame, &payload);
        sent.push(('V', frame, payload));
        while fast.pump(&mut players[0], &ring, 1_000).unwrap() > 0 {}
        slow.pump(&mut players[1], &ring, 150).map_or_else(|_| closed += 1, drop);
        // It reads until it is inside a frame, and stops.
        if frame == 20 {
            dead.pump(&mut players[2], &ring, 100).unwrap();
        }
    }
    assert!(fast.got == sent, "the fast player's stream has changed");
    assert_eq!(dead.pump(&mut players[2], &ring, 100), Err(PumpError::Overtaken));
    assert!(slow.got.len() > 50 && closed == 0 && players[1].played().skipped > 50);
    // It continues with a keyframe after it was overtaken.
    for pair in slow.got.windows(2) {
        assert!(pair[1].1 == pair[0].1 + 1 || pair[1].2[0] == 0x17, "{} after {}", pair[1].1, pair[0].1);
    }
}

#[test]
fn a_player_without_its_message_stream_must_be_closed() {
    let mut memory = Memory::new(1_000);
    let (mut ring, mut pair) = (memory.ring(), Pair::open());
    push(&mut ring, MessageKind::VIDEO, 0, KEY);
    let mut player = player(StreamId(77));
    assert!(matches!(pair.pump(&mut player, &ring, 100), Err(PumpError::Request(_))));
}

#[test]
fn a_player_that_leaves_while_more_arrives_leaves_without_an_error() {
    let mut client = Client::<8, 1>::new(buffers(), ClientConfig::new(), &[1; 32]).unwrap();
    client.connect(&ConnectOptions::new("live", &["rtmp://host/live"])).unwrap();
    client.play(&PlayRequest::new("cam")).unwrap();
    let mut server = Server::<8>::new(buffers(), ServerConfig::new(), &[2; 32]).unwrap();
    let mut memory = Memory::new(1_000);
    let (mut ring, mut wire, mut out) = (memory.ring(), Vec::new(), [0; 4_096]);
    let (mut player, mut leaves): (Option<Player>, _) = (None, false);
    for round in 0..20 {
        push(&mut ring, MessageKind::VIDEO, round, KEY);
        if round == 15 {
            client.stop(StreamId(1)).unwrap();
        }
        let length = client.poll_transmit(NOW, &mut out);
        wire.extend_from_slice(&out[..length]);
        let mut input = &wire[..];
        while let Some(event) = server.next_event(NOW, &mut input).unwrap() {
            match event {
                ServerEvent::Connect(_) => server.accept_connect().unwrap(),
                ServerEvent::Play { stream, .. } => {
                    server.accept_play(stream, true).unwrap();
                    player = Some(super::sessions::player(stream));
                }
                ServerEvent::Stopped(_) => leaves = true,
                _ => {}
            }
        }
        wire = input.to_vec();
        if leaves && player.as_mut().is_some_and(Player::stop) {
            player = None;
        }
        let length = match &mut player {
            Some(player) => player.pump(Some(&ring), Generation(1), &mut server, NOW, &mut out).unwrap(),
            None => server.poll_transmit(NOW, &mut out),
        };
        let mut answer = &out[..length];
        while client.next_event(NOW, &mut answer).unwrap().is_some() {}
    }
    assert!(leaves && player.is_none());
}
