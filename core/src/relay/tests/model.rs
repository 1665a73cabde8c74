//! Random publishers and players, against a model that forgets nothing: a list of all messages with their positions.

use super::*;
use crate::relay::record::RECORD;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as usize % bound
    }
}

/// A message of the model.
struct Message {
    kind: MessageKind,
    payload: Vec<u8>,
    /// The number of bytes that were reserved before it.
    at: usize,
    arrived: usize,
    cut: bool,
    is_key: bool,
    is_configuration: bool,
}

impl Message {
    /// Whether it is a sequence header with a body.
    fn configures(&self) -> bool {
        self.is_configuration && self.payload.len() > 5
    }

    fn is_video(&self) -> bool {
        self.kind == MessageKind::VIDEO
    }
}

/// What the ring should contain.
struct Model {
    room: usize,
    messages: Vec<Message>,
    /// The end of what was written.
    written: usize,
    /// The first message of each publisher.
    publishers: Vec<usize>,
}

impl Model {
    fn head(&self) -> usize {
        self.messages.last().map_or(0, |message| message.at + RECORD + message.payload.len())
    }

    fn is_gone(&self, index: usize) -> bool {
        self.messages[index].at + self.room < self.written
    }

    /// Whether a player that gets it next is late, so that it may continue with a newer message.
    fn is_old(&self, index: usize) -> bool {
        self.messages[index].at + self.room / 2 < self.written
    }

    /// The payload that a player should get.
    fn payload(&self, index: usize) -> Vec<u8> {
        let Message { payload, arrived, cut, .. } = &self.messages[index];
        let zeros = if *cut { payload.len() - arrived } else { 0 };
        [&payload[..*arrived], &vec![0; zeros]].concat()
    }

    /// The first message of the publisher that sent the one at `index`.
    fn publisher(&self, index: usize) -> usize {
        *self.publishers.iter().rev().find(|first| **first <= index).expect("a publisher began before this")
    }

    /// Whether the stream had no video when the player that gets `index` began. Messages before that may have been cut since.
    fn needs_none(&self, index: usize) -> bool {
        let first = self.publisher(index);
        let came = (first..index).rev().find(|before| !self.messages[*before].cut).map_or(first, |before| before + 1);
        self.messages[first..came].iter().all(|message| message.kind != MessageKind::VIDEO)
    }

    /// The sequence header that is valid for the message at `index`.
    fn configuration(&self, index: usize) -> Option<&[u8]> {
        let before = self.messages[self.publisher(index)..index].iter().rev();
        let whole = |message: &&Message| message.configures() && message.arrived == message.payload.len();
        before.into_iter().find(whole).map(|message| &message.payload[..])
    }
}

/// A player, and the index of the next message that it should get.
struct Watched {
    play: Play,
    next: Option<usize>,
    /// The last sequence header that it got.
    configuration: Vec<u8>,
    /// It gets no video before a keyframe.
    awaits: bool,
    /// The message of which the player has got only a part.
    inside: Option<usize>,
    /// The messages that were counted as skipped.
    skipped: usize,
    /// The bytes that it takes at a time.
    most: usize,
    /// The message that it is inside of is a cached one, or may be.
    in_kept: bool,
    gone: bool,
}

impl Watched {
    fn new(most: usize) -> Self {
        let play = Play::default();
        Self {
            play,
            next: None,
            configuration: Vec::new(),
            awaits: false,
            inside: None,
            skipped: 0,
            most,
            in_kept: false,
            gone: false,
        }
    }

    fn turn(&mut self, ring: &Ring<'_>, model: &Model) {
        let result = self.play.take(ring, self.most);
        if result.is_err() {
            assert!(self.play.cursor.is_inside());
            if !self.in_kept {
                let inside = self.next.expect("is within a message");
                assert!(model.is_gone(inside), "message {inside} is still there");
            }
            self.gone = true;
            return;
        }
        let got = core::mem::take(&mut self.play.got);
        let last = got.len().wrapping_sub(1);
        for (place, (kind, millis, payload)) in got.into_iter().enumerate() {
            let is_open = place == last && self.play.cursor.is_inside();
            self.check(model, kind, millis as usize, &payload, is_open);
            if is_open {
                // It is continued the next time.
                self.play.got = vec![(kind, millis, payload)];
            }
        }
        if !self.play.cursor.is_inside() && self.most == usize::MAX {
            self.expect_nothing_more(model);
        }
    }

    /// Checks a message. Its timestamp is its index; that of a cached one is the index of the message after it.
    fn check(&mut self, model: &Model, kind: char, index: usize, payload: &[u8], is_open: bool) {
        let message = &model.messages[index];
        let expected = model.payload(index);
        // A sequence header without a body is not cached.
        let is_kept = kind == 'V' && payload.starts_with(&[0x17, 0]) && payload.len() > 5 && !message.configures();
        if is_kept || (is_open && payload.len() < 6) {
            self.in_kept = is_open;
            if !is_open {
                assert_eq!(
                    Some(payload),
                    model.configuration(index),
                    "not the sequence header that is valid for message {index}"
                );
                self.configuration = payload.to_vec();
            }
            return;
        }
        self.in_kept = false;
        assert_eq!(kind, message.kind.name().unwrap().chars().next().unwrap());
        assert!(expected.starts_with(payload) || message.cut, "message {index}");
        if !is_open {
            assert_eq!(payload, expected, "message {index}");
        }
        let next = self.next;
        match next {
            // The message is a continued one, or the next one.
            Some(next) if (next..index).all(|left_out| self.passes(model, left_out)) => {}
            Some(next) => {
                assert!(model.is_old(next), "message {next} was skipped for {index}");
                let needs_none = self.awaits || model.is_gone(next) || model.needs_none(index);
                assert!(message.is_key || needs_none, "a player cannot continue with message {index}");
                self.awaits = true;
            }
            None => self.awaits = true,
        }
        self.awaits |= model.publishers.contains(&index);
        let is_for = !self.awaits || message.is_key || message.is_configuration || !message.is_video();
        assert!(is_for || self.inside == Some(index), "message {index} needs earlier ones");
        self.awaits &= !message.is_key;
        self.awaits |= message.cut && message.is_video();
        if message.configures() && !is_open {
            self.configuration = payload.to_vec();
        }
        if message.is_key
            && let Some(needed) = model.configuration(index)
        {
            assert_eq!(self.configuration, needed, "keyframe {index} has another sequence header");
        }
        self.inside = is_open.then_some(index);
        self.next = Some(if is_open { index } else { index + 1 });
        self.skipped = self.play.cursor.skipped() as usize;
    }

    /// Whether a player moves past a message.
    fn passes(&mut self, model: &Model, index: usize) -> bool {
        let message = &model.messages[index];
        self.awaits |= model.publishers.contains(&index) || message.cut && message.is_video();
        let is_known = message.arrived >= message.payload.len().min(10);
        message.cut || self.awaits && message.payload[0] == 0x27 && is_known
    }

    /// A player that reads everything waits only for messages that have not arrived.
    fn expect_nothing_more(&mut self, model: &Model) {
        let Some(next) = self.next else { return };
        let awaits = self.awaits;
        for index in next..model.messages.len() {
            let message = &model.messages[index];
            if self.passes(model, index) {
                continue;
            }
            let needed = match message.payload[..] {
                [0x17, 0, ..] => usize::MAX,
                [0x27, ..] => 10,
                _ => 2,
            };
            let unknown = message.arrived < message.payload.len().min(needed);
            assert!(unknown || model.is_old(next), "message {index} was not sent");
            if unknown {
                break;
            }
        }
        self.awaits = awaits;
    }
}

/// Lets the publisher do one step.
fn publish(ring: &mut Ring<'_>, model: &mut Model, open: &mut Vec<usize>, random: &mut Random) {
    let place = match random.below(40) {
        0 => {
            ring.end();
            open.drain(..).for_each(|index| model.messages[index].cut = true);
            model.publishers.push(model.messages.len());
            return;
        }
        // It continues an incomplete message.
        1..28 if !open.is_empty() => random.below(open.len()),
        _ => {
            let (kind, start): (MessageKind, &[u8]) = match random.below(6) {
                0 => (MessageKind::VIDEO, &[0x17, 1]),
                1 => (MessageKind::VIDEO, &[0x17, 0]),
                2 => (MessageKind::VIDEO, &[0x27, 1]),
                _ => (MessageKind::AUDIO, &[0xAF, 1]),
            };
            // An incomplete one of the same kind is cut.
            if let Some(place) = open.iter().position(|index| model.messages[*index].kind == kind) {
                model.messages[open.remove(place)].cut = true;
            }
            let long = if random.below(8) == 0 { model.room - RECORD - 2 } else { 40 };
            let mut payload = start.to_vec();
            payload.extend((0..random.below(long)).map(|_| 1 + random.below(255) as u8));
            let (at, is_key, is_configuration) = (model.head(), start == [0x17, 1], start == [0x17, 0]);
            if is_configuration {
                payload.truncate(20);
            }
            let message = Message { kind, payload, at, arrived: 0, cut: false, is_key, is_configuration };
            model.written = model.written.max(at + RECORD);
            open.push(model.messages.len());
            model.messages.push(message);
            open.len() - 1
        }
    };
    let index = open[place];
    let gone = model.is_gone(index);
    let Message { kind, payload, at, arrived, .. } = &mut model.messages[index];
    let length = (1 + random.below(30)).min(payload.len() - *arrived);
    ring.push(NOW, &fragment(*kind, index as u32, payload, *arrived, length));
    if gone {
        model.messages[open.remove(place)].cut = true;
        return;
    }
    *arrived += length;
    model.written = model.written.max(*at + RECORD + *arrived);
    if *arrived == payload.len() {
        open.remove(place);
    }
}

#[test]
fn a_ring_gives_what_a_list_of_all_messages_would() {
    let (mut sent, mut skipped, mut gone, mut cut) = (0, 0, 0, 0);
    for seed in 1..=300 {
        let mut random = Random(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15));
        let room = 60 + random.below(400);
        let mut memory = Memory::new(room);
        let mut ring = memory.ring();
        let mut model = Model { room, messages: Vec::new(), written: 0, publishers: vec![0] };
        let (mut open, mut players) = (Vec::new(), Vec::new());
        for _ in 0..400 {
            publish(&mut ring, &mut model, &mut open, &mut random);
            if players.len() < 6 && random.below(20) == 0 {
                players.push(Watched::new([usize::MAX, 1 + random.below(60)][random.below(2)]));
            }
            for player in players.iter_mut().filter(|player: &&mut Watched| !player.gone) {
                if player.most == usize::MAX || random.below(3) > 0 {
                    player.turn(&ring, &model);
                }
            }
        }
        for player in &players {
            sent += player.play.cursor.sent();
            skipped += player.skipped;
            gone += u32::from(player.gone);
            if player.most == usize::MAX && player.gone && !player.in_kept {
                // It was never slow: other messages have filled the ring before this one was complete.
                let inside = &model.messages[player.next.unwrap()];
                assert!(inside.arrived < inside.payload.len());
            }
        }
        cut += ring.counts().cut;
    }
    // All of these have happened.
    assert!(sent > 50_000 && skipped > 500 && gone > 100 && cut > 1_000, "{sent} {skipped} {gone} {cut}");
}
