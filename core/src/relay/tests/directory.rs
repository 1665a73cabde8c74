//! Names, publishers and players of several streams.

use core::time::Duration;

use super::sessions::Pair;
use super::*;
use crate::relay::cursor::Flag;
use crate::relay::{
    Accepted, Directory, DirectoryState, Generation, NameTooLong, PeerId, PlayerEntry, PlayerIndex, PublishAnswer,
    Publisher, PumpError, RelayEvent, RelayRejection, StreamEntry, StreamIndex, StreamName, TakeOver,
};

/// The tables of a directory.
struct Tables {
    state: DirectoryState,
    streams: Vec<StreamEntry<'static>>,
    players: Vec<PlayerEntry>,
}

impl Tables {
    fn new(config: &RelayConfig, streams: usize, players: usize) -> Self {
        let entry = |_| StreamEntry::new(vec![0; 16].leak());
        Self {
            state: DirectoryState::new(config),
            streams: (0..streams).map(entry).collect(),
            players: (0..players).map(|_| PlayerEntry::new()).collect(),
        }
    }

    fn directory(&mut self) -> Directory<'_, 'static> {
        Directory::new(&mut self.state, &mut self.streams, &mut self.players)
    }

    fn publish(&mut self, millis: u64, peer: u32, key: &str) -> Result<PublishAnswer, RelayRejection> {
        let name = StreamName::new(b"live", key.as_bytes());
        let (may, answer) =
            (self.directory().may_publish(name), self.directory().publish(at(millis), name, publisher(peer)));
        assert_eq!(may.err(), answer.err());
        answer
    }

    /// The stream that an accepted publish has.
    fn accepted(&mut self, millis: u64, peer: u32, key: &str) -> StreamIndex {
        match self.publish(millis, peer, key) {
            Ok(PublishAnswer::Accept(stream)) => stream,
            other => panic!("{other:?}"),
        }
    }

    fn unpublish(&mut self, millis: u64, peer: u32) -> Vec<RelayEvent> {
        self.directory().unpublish(at(millis), PeerId(peer), Some(StreamId(1)));
        self.events(millis)
    }

    fn timeout(&mut self, millis: u64) -> Vec<RelayEvent> {
        self.directory().handle_timeout(at(millis));
        self.events(millis)
    }

    fn events(&mut self, millis: u64) -> Vec<RelayEvent> {
        let mut directory = self.directory();
        core::iter::from_fn(|| directory.poll_event(at(millis))).collect()
    }

    fn play(&mut self, peer: u32, key: &str) -> Result<Accepted, RelayRejection> {
        self.directory().play(StreamName::new(b"live", key.as_bytes()), PeerId(peer), StreamId(1))
    }

    /// The peers that `wake` returns for a stream.
    fn woken(&mut self, stream: StreamIndex) -> Vec<u32> {
        let mut woken: Vec<u32> = self.directory().wake(stream).map(|(_, PeerId(peer))| peer).collect();
        woken.sort_unstable();
        woken
    }
}

/// A second publisher is rejected, and there is no grace time.
const STRICT: RelayConfig = RelayConfig { take_over: TakeOver::Refuse, grace: Duration::ZERO, ..RelayConfig::new() };

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

const fn publisher(peer: u32) -> Publisher {
    Publisher { peer: PeerId(peer), stream: StreamId(1) }
}

fn resumed(stream: StreamIndex, since: u64) -> RelayEvent {
    RelayEvent::Resumed { stream, since: Instant::from_millis(since) }
}

#[test]
fn a_stream_has_one_publisher() {
    let mut tables = Tables::new(&STRICT, 3, 0);
    let stream = tables.accepted(0, 1, "x");
    assert_eq!(tables.publish(0, 2, "x?token"), Err(RelayRejection::Taken));
    assert_eq!(tables.publish(0, 1, "x"), Err(RelayRejection::Taken));
    let directory = tables.directory();
    assert_eq!(directory.published(publisher(1)), Some(stream));
    assert_eq!(directory.published(Publisher { stream: StreamId(2), ..publisher(1) }), None);
    assert_eq!((directory.name(stream), directory.is_published(stream)), (&b"live/x"[..], true));
    // The same key in another application is another stream.
    let other = StreamName::new(b"studio", b"x");
    let Ok(PublishAnswer::Accept(other)) = tables.directory().publish(at(0), other, publisher(3)) else { panic!() };
    assert_ne!(stream, other);
    assert_eq!(tables.unpublish(5, 1), [RelayEvent::Gone(stream)]);
    assert_eq!((tables.accepted(5, 2, "x"), tables.events(5)), (stream, vec![]));
    assert_eq!(tables.directory().poll_timeout(), None);
}

#[test]
fn a_session_that_ends_ends_all_that_it_publishes() {
    let mut tables = Tables::new(&RelayConfig::new(), 2, 0);
    for (id, key) in [(1, "a"), (2, "b")] {
        let (name, id) = (StreamName::new(key.as_bytes(), b""), Publisher { stream: StreamId(id), ..publisher(1) });
        assert!(tables.directory().publish(at(0), name, id).is_ok());
    }
    tables.directory().unpublish(at(0), PeerId(1), None);
    assert!(matches!(tables.events(0)[..], [RelayEvent::Gone(_), RelayEvent::Gone(_)]));
}

#[test]
fn tables_that_are_full_reject() {
    let mut tables = Tables::new(&RelayConfig::new(), 1, 1);
    let long = RelayRejection::Name(NameTooLong { needed: 17, room: 16 });
    assert_eq!((tables.publish(0, 1, "twelve-bytes"), tables.play(9, "twelve-bytes")), (Err(long), Err(long)));
    tables.accepted(0, 1, "x");
    assert_eq!(
        (tables.publish(0, 2, "y"), tables.play(9, "y")),
        (Err(RelayRejection::Full), Err(RelayRejection::Full))
    );
    tables.play(9, "x").unwrap();
    assert_eq!(tables.play(8, "x"), Err(RelayRejection::Full));
    // The one place for players is its own.
    tables.play(9, "x").unwrap();
}

#[test]
fn wake_returns_each_player_of_the_stream_once_for_each_turn() {
    let mut tables = Tables::new(&RelayConfig::new(), 2, 5);
    let players = [1, 2, 3].map(|peer| tables.play(peer, "x").unwrap().player);
    tables.play(4, "y").unwrap();
    let stream = tables.accepted(0, 9, "x");
    assert_eq!((tables.woken(stream), tables.woken(stream)), (vec![1, 2, 3], vec![]));
    let turn = tables.directory().player(players[1]).map(|turn| (turn.stream, turn.generation.is_published()));
    assert_eq!(turn, Some((Some(stream), true)));
    assert_eq!((tables.woken(stream), tables.woken(stream)), (vec![2], vec![]));
}

#[test]
fn players_that_leave_in_any_order_leave_the_others_in_their_list() {
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
        let mut tables = Tables::new(&RelayConfig::new(), 1, 4);
        let stream = tables.accepted(0, 9, "x");
        let players = [0, 1, 2, 3].map(|peer| tables.play(peer, "x").unwrap().player);
        let mut left = vec![0, 1, 2, 3];
        for peer in order {
            assert!(tables.directory().leave(players[peer]).is_some());
            assert!(tables.directory().leave(players[peer]).is_none());
            left.retain(|other| *other != peer as u32);
            for other in &left {
                tables.directory().player(players[*other as usize]).unwrap();
            }
            assert_eq!(tables.woken(stream), left);
        }
        // The place is free again when the publisher has ended, too.
        assert_eq!(tables.publish(0, 1, "y"), Err(RelayRejection::Full));
        tables.unpublish(0, 9);
        tables.accepted(0, 1, "y");
    }
}

#[test]
fn a_publisher_takes_a_place_from_players_that_wait_for_another_stream() {
    let mut tables = Tables::new(&RelayConfig::new(), 1, 2);
    let waiting = tables.play(1, "x").unwrap().player;
    assert_eq!(tables.play(2, "y"), Err(RelayRejection::Full), "a player does not");
    let stream = tables.accepted(0, 3, "y");
    assert_eq!(tables.events(0), [RelayEvent::GivenUp { player: waiting, peer: PeerId(1) }]);
    assert_eq!((tables.events(0), tables.woken(stream)), (vec![], vec![]));
    assert!(tables.directory().player(waiting).is_some_and(|turn| turn.stream.is_none()));
    // Its leaving does not affect the stream that now has the place.
    tables.play(2, "y").unwrap();
    assert!(tables.directory().leave(waiting).is_some());
    assert_eq!(tables.woken(stream), [2]);
}

#[test]
fn a_player_that_waits_alone_can_reuse_its_place_for_another_stream() {
    let mut tables = Tables::new(&RelayConfig::new(), 1, 1);
    tables.play(1, "x").unwrap();
    tables.play(1, "y").unwrap();
    let stream = tables.accepted(0, 3, "y");
    assert_eq!((tables.events(0), tables.woken(stream)), (vec![], vec![1]));
}

#[test]
fn another_stream_is_played_when_the_last_message_is_sent() {
    let mut tables = Tables::new(&RelayConfig::new(), 3, 2);
    let [x, y] = [("x", 8), ("y", 9)].map(|(key, peer)| tables.accepted(0, peer, key));
    let Accepted { player, played: None } = tables.play(1, "x").unwrap() else { panic!() };
    let set = |tables: &mut Tables, is_inside| {
        tables.directory().player(player).unwrap().player.cursor.set(Flag::Inside, is_inside);
    };
    let play = |tables: &mut Tables, key: &str, id| {
        tables.directory().play(StreamName::new(b"live", key.as_bytes()), PeerId(1), StreamId(id)).unwrap().played
    };
    let stream = |tables: &mut Tables| tables.directory().player(player).unwrap().stream;
    // It is between two messages: at once.
    assert!(play(&mut tables, "y", 2).is_some() && stream(&mut tables) == Some(y));
    // Inside a message: later. The last request counts.
    set(&mut tables, true);
    assert_eq!((play(&mut tables, "z", 3), play(&mut tables, "x", 4)), (None, None));
    assert_eq!((tables.directory().settle(player), stream(&mut tables)), (None, Some(y)));
    // A place that no player waits for any longer is free.
    tables.accepted(0, 7, "w");
    set(&mut tables, false);
    assert!(tables.directory().settle(player).is_some() && stream(&mut tables) == Some(x));
    assert_eq!(tables.directory().player(player).unwrap().player.stream(), StreamId(4));
    assert_eq!(tables.directory().settle(player), None);
    // The next stream is stopped before it begins.
    set(&mut tables, true);
    assert_eq!(play(&mut tables, "y", 5), None);
    assert_eq!(tables.directory().stop(player, StreamId(5)), None);
    set(&mut tables, false);
    assert!(tables.directory().settle(player).is_some() && tables.directory().player(player).is_none());
    assert_eq!(tables.directory().player_of(PeerId(1)), None);
}

#[test]
fn the_next_stream_may_be_given_up_before_it_begins() {
    let mut tables = Tables::new(&RelayConfig::new(), 2, 1);
    tables.accepted(0, 8, "x");
    let player = tables.play(1, "x").unwrap().player;
    tables.directory().player(player).unwrap().player.cursor.set(Flag::Inside, true);
    tables.play(1, "y").unwrap();
    tables.accepted(0, 9, "z");
    assert_eq!(tables.events(0), []);
    tables.directory().player(player).unwrap().player.cursor.set(Flag::Inside, false);
    assert!(tables.directory().settle(player).is_some());
    assert_eq!(tables.events(0), [RelayEvent::GivenUp { player, peer: PeerId(1) }]);
}

#[test]
fn item_121_players_wait_in_the_grace_time_and_continue_with_the_next_publisher() {
    let mut tables = Tables::new(&RelayConfig::new(), 1, 1);
    let stream = tables.accepted(0, 1, "x");
    let player = tables.play(5, "x").unwrap().player;
    let generation = |tables: &mut Tables| tables.directory().player(player).unwrap().generation;
    let before = generation(&mut tables);
    assert_eq!(tables.unpublish(1_000, 1), [RelayEvent::Gone(stream)]);
    assert_eq!((tables.directory().poll_timeout(), generation(&mut tables)), (Some(at(11_000)), before));
    // Within the grace time no player is told anything.
    assert_eq!((tables.timeout(10_999), tables.accepted(10_999, 2, "x")), (vec![], stream));
    // The timestamps continue from the time when the first publisher was last heard.
    assert_eq!((tables.events(10_999), generation(&mut tables)), (vec![resumed(stream, 0)], before));
    assert_eq!(tables.timeout(11_000), []);
    // Too late: players are told of the end.
    assert_eq!(tables.unpublish(20_000, 2), [RelayEvent::Gone(stream)]);
    assert_eq!(tables.timeout(30_000), [RelayEvent::Ended(stream)]);
    assert!(!generation(&mut tables).is_published() && !tables.directory().is_published(stream));
    assert_eq!((tables.directory().poll_timeout(), tables.timeout(99_000)), (None, vec![]));
    assert_eq!((tables.accepted(99_000, 4, "x"), tables.events(99_000)), (stream, vec![]));
}

#[test]
fn item_121_a_stream_without_players_has_no_grace_time() {
    let mut tables = Tables::new(&RelayConfig::new(), 1, 2);
    // A stream that never had players.
    let stream = tables.accepted(0, 1, "x");
    assert_eq!(tables.unpublish(0, 1), [RelayEvent::Gone(stream)]);
    assert_eq!((tables.directory().poll_timeout(), tables.directory().is_published(stream)), (None, false));
    // The last player leaves in the grace time.
    tables.accepted(0, 1, "y");
    let players = [5, 6].map(|peer| tables.play(peer, "y").unwrap().player);
    tables.unpublish(0, 1);
    for (player, is_published) in players.into_iter().zip([true, false]) {
        tables.directory().leave(player);
        assert_eq!(tables.directory().is_published(stream), is_published);
    }
    assert_eq!(tables.timeout(10_000), []);
    // The only player asks for another stream.
    tables.accepted(0, 1, "y");
    tables.play(5, "y").unwrap();
    tables.unpublish(0, 1);
    let player = tables.play(5, "z").unwrap().player;
    let directory = tables.directory();
    assert_eq!((directory.name(stream), directory.is_published(stream)), (&b"live/z"[..], false));
    assert_eq!(tables.accepted(20_000, 2, "z"), stream);
    assert_eq!((tables.events(20_000), tables.woken(stream)), (vec![], vec![5]));
    assert!(tables.directory().player(player).unwrap().generation.is_published());
}

#[test]
fn item_121_the_place_of_a_stream_in_its_grace_time_is_given_to_another_stream_last() {
    let mut tables = Tables::new(&RelayConfig::new(), 2, 2);
    let stream = tables.accepted(0, 1, "x");
    let viewer = tables.play(5, "x").unwrap().player;
    tables.unpublish(0, 1);
    let early = tables.play(6, "y").unwrap().player;
    let given_up = |player, peer| [RelayEvent::GivenUp { player, peer: PeerId(peer) }];
    assert_ne!(tables.accepted(0, 2, "z"), stream, "the place of a stream in its grace time is given away last");
    assert_eq!(tables.events(0), given_up(early, 6));
    assert_eq!(tables.accepted(0, 3, "w"), stream);
    assert_eq!(
        tables.events(0),
        given_up(viewer, 5),
        "there is no event that continues the timestamps of another stream"
    );
    assert_eq!((tables.timeout(99_000), tables.publish(99_000, 4, "x")), (vec![], Err(RelayRejection::Full)));
}

#[test]
fn a_second_publisher_takes_over_at_once_if_the_configuration_says_so() {
    let config = RelayConfig { take_over: TakeOver::Always, ..RelayConfig::new() };
    let mut tables = Tables::new(&config, 1, 0);
    let stream = tables.accepted(0, 1, "x");
    tables.directory().heard(at(100), stream);
    assert_eq!(tables.accepted(150, 2, "x"), stream);
    let events = [RelayEvent::Replaced(publisher(1)), RelayEvent::Gone(stream), resumed(stream, 100)];
    assert_eq!(tables.events(150), events);
    assert_eq!((tables.unpublish(160, 1), tables.unpublish(160, 2)), (vec![], vec![RelayEvent::Gone(stream)]));
}

#[test]
fn item_120_a_second_publisher_waits_until_the_first_has_answered() {
    let mut tables = Tables::new(&RelayConfig::new(), 1, 0);
    let stream = tables.accepted(0, 1, "x");
    let ask = [RelayEvent::Ask(publisher(1))];
    // It answers.
    assert_eq!((tables.publish(1_000, 2, "x"), tables.events(1_000)), (Ok(PublishAnswer::Wait), ask.to_vec()));
    assert_eq!(tables.publish(1_500, 3, "x"), Err(RelayRejection::Taken), "one waits already");
    assert_eq!((tables.directory().poll_timeout(), tables.timeout(2_999)), (Some(at(3_000)), vec![]));
    tables.directory().heard_from(at(2_999), PeerId(9));
    assert_eq!(tables.events(2_999), [], "another peer");
    tables.directory().heard_from(at(2_999), publisher(1).peer);
    assert_eq!(tables.events(2_999), [RelayEvent::Rejected(publisher(2))]);
    assert_eq!(tables.timeout(3_000), []);
    // The second one leaves: nothing happens to the first.
    assert_eq!((tables.publish(4_000, 2, "x"), tables.events(4_000)), (Ok(PublishAnswer::Wait), ask.to_vec()));
    assert_eq!((tables.unpublish(4_500, 2), tables.timeout(6_000)), (vec![], vec![]));
    // The first one leaves.
    assert_eq!((tables.publish(7_000, 2, "x"), tables.events(7_000)), (Ok(PublishAnswer::Wait), ask.to_vec()));
    let accepted = RelayEvent::Accepted { publisher: publisher(2), stream };
    assert_eq!(tables.unpublish(7_001, 1), [RelayEvent::Gone(stream), resumed(stream, 2_999), accepted]);
    assert_eq!(tables.timeout(9_000), []);
    // It is silent.
    assert_eq!(tables.publish(10_000, 3, "x"), Ok(PublishAnswer::Wait));
    assert_eq!(tables.events(10_000), [RelayEvent::Ask(publisher(2))]);
    let accepted = RelayEvent::Accepted { publisher: publisher(3), stream };
    let replaced = RelayEvent::Replaced(publisher(2));
    assert_eq!(tables.timeout(12_000), [replaced, RelayEvent::Gone(stream), resumed(stream, 7_001), accepted]);
    assert_eq!(tables.directory().published(publisher(3)), Some(stream));
    assert_eq!((tables.unpublish(12_000, 2), tables.directory().poll_timeout()), (vec![], None));
}

#[test]
fn all_tracks_of_the_next_publisher_are_shifted_by_one_offset() {
    let mut memory = Memory::new(1_000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    push(&mut ring, MessageKind::VIDEO, 5_000, KEY);
    push(&mut ring, MessageKind::AUDIO, 4_990, AUDIO);
    player.all(&ring);
    for (millis, expected) in [(2_000, 7_000), (0, 7_021)] {
        ring.end();
        ring.resume(before(millis));
        push(&mut ring, MessageKind::AUDIO, 100, AUDIO);
        push(&mut ring, MessageKind::VIDEO, 120, KEY);
        push(&mut ring, MessageKind::VIDEO, 90, KEY);
        let [audio, video, earlier] = [expected, expected + 20, expected - 10];
        assert_eq!(player.all(&ring), shown(&[('A', audio, AUDIO), ('V', video, KEY), ('V', earlier, KEY)]));
    }
    // Without a grace time, timestamps are those of the publisher.
    ring.end();
    push(&mut ring, MessageKind::VIDEO, 100, KEY);
    assert_eq!(player.all(&ring), shown(&[('V', 100, KEY)]));
}

#[test]
fn how_late_a_player_may_be_is_configured() {
    for (late_percent, skipped) in [(10, 3), (90, 0)] {
        let (mut bytes, config) =
            ([0; 10 * (KEY.len() + OVERHEAD)], RelayConfig { late_percent, ..RelayConfig::new() });
        let buffers = StreamBuffers { ring: &mut bytes, headers: &mut [], entries: &mut [] };
        let (mut ring, mut player) = (Ring::new(buffers, &config), Play::default());
        push(&mut ring, MessageKind::VIDEO, 0, KEY);
        player.all(&ring);
        (1..5).for_each(|millis| push(&mut ring, MessageKind::VIDEO, millis, KEY));
        player.all(&ring);
        assert_eq!(player.cursor.skipped(), skipped);
    }
}

#[test]
fn the_rest_of_a_message_that_is_lost_is_filled_with_zeros_up_to_a_limit() {
    const LENGTH: usize = 300;
    let long = [KEY, &[7; LENGTH]].concat();
    let rest = (long.len() - 50) as u32;
    for (fill_cut, fill_overtaken, cut, is_filled) in [
        (rest, 0, true, true),
        (rest - 1, u32::MAX, true, true),
        (rest - 1, rest - 1, true, false),
        (0, rest, false, true),
        (u32::MAX, rest - 1, false, false),
    ] {
        let config = RelayConfig { fill_cut, fill_overtaken, ..RelayConfig::new() };
        let mut bytes = vec![0; 1_000];
        let buffers = StreamBuffers { ring: &mut bytes, headers: &mut [], entries: &mut [] };
        let (mut ring, mut pair) = (Ring::new(buffers, &config), Pair::open());
        let mut player = super::sessions::player(pair.stream);
        ring.push(NOW, &fragment(MessageKind::VIDEO, 0, &long, 0, 50));
        while pair.pump(&mut player, &ring, 100).unwrap() > 0 {}
        if cut {
            ring.end();
        } else {
            (0..20).for_each(|millis| push(&mut ring, MessageKind::AUDIO, millis, &[0xAF; 100]));
        }
        let pumped = pair.pump(&mut player, &ring, 100);
        assert_eq!(pumped.err(), (!is_filled).then_some(PumpError::Overtaken));
        if is_filled {
            while pair.pump(&mut player, &ring, 100).unwrap() > 0 {}
            let filled = [&long[..50], &vec![0; rest as usize]].concat();
            assert!(pair.got[0].2 == filled, "{:?}", pair.got[0]);
            push(&mut ring, MessageKind::VIDEO, 40, KEY);
            while pair.pump(&mut player, &ring, 100).unwrap() > 0 {}
            assert_eq!(pair.got.last(), Some(&('V', 40, KEY.to_vec())));
        }
    }
}

#[test]
fn indices_are_places_in_the_tables() {
    let mut tables = Tables::new(&RelayConfig::new(), 2, 2);
    tables.accepted(0, 1, "x");
    let (stream, player) = (tables.accepted(0, 2, "y"), tables.play(3, "y").unwrap().player);
    assert_eq!((stream.get(), player.get()), (1, 0));
    assert!(!Generation::default().is_published());
}

proptest::proptest! {
    /// For any requests in any order: each stream has one publisher, the players of a stream are those that play it,
    /// and the tables are empty when all peers have left.
    #[test]
    fn tables_stay_consistent(steps in proptest::collection::vec((0_u8..8, 0_u32..6, 0_usize..5), 0..200), policy in 0_usize..3) {
        let take_over = [TakeOver::Refuse, TakeOver::Always, TakeOver::WhenSilent][policy];
        let config = RelayConfig { take_over, grace: Duration::from_millis(policy as u64 * 20), ..RelayConfig::new() };
        let (mut tables, mut now) = (Tables::new(&config, 3, 4), 0);
        let mut ended = 0;
        for (what, peer, key) in steps {
            now += 7;
            let name = ["a", "b", "c", "d", "e"][key];
            let player = tables.directory().player_of(PeerId(peer));
            match what {
                0 | 1 => drop(tables.directory().publish(at(now), StreamName::new(b"live", name.as_bytes()), of(peer, key))),
                2 => tables.directory().unpublish(at(now), PeerId(peer), None),
                3 | 4 => drop(tables.play(peer, name)),
                5 => {
                    let mut directory = tables.directory();
                    if let Some(turn) = player.and_then(|player| directory.player(player)) {
                        let is_inside = turn.player.is_inside();
                        turn.player.cursor.set(Flag::Inside, !is_inside);
                    }
                    player.and_then(|player| tables.directory().settle(player));
                }
                6 => drop(player.and_then(|player| tables.directory().stop(player, StreamId(1)))),
                _ => drop(player.and_then(|player| tables.directory().leave(player))),
            }
            tables.directory().handle_timeout(at(now));
            for event in tables.events(now) {
                match event {
                    RelayEvent::Accepted { publisher, stream } => {
                        assert_eq!(tables.directory().published(publisher), Some(stream));
                    }
                    RelayEvent::Replaced(publisher) | RelayEvent::Rejected(publisher) => {
                        assert_ne!(take_over, TakeOver::Refuse, "{publisher:?}");
                    }
                    RelayEvent::Ended(_) => ended += 1,
                    _ => {}
                }
            }
            check(&mut tables);
        }
        for peer in 0..6 {
            tables.directory().unpublish(at(now), PeerId(peer), None);
            tables.directory().player_of(PeerId(peer)).and_then(|player| tables.directory().leave(player));
        }
        tables.timeout(now + 10_000);
        assert_eq!(tables.directory().poll_timeout(), None);
        for (peer, name) in [(0, "f"), (1, "g"), (2, "h")] {
            tables.accepted(now, peer, name);
        }
        assert!(policy > 0 || ended == 0);
    }
}

/// The publication of a peer under one of the names.
const fn of(peer: u32, key: usize) -> Publisher {
    Publisher { peer: PeerId(peer), stream: StreamId(key as u32 + 1) }
}

/// The players that `wake` returns for each stream are those that play it.
fn check(tables: &mut Tables) {
    let mut playing: Vec<(StreamIndex, u32)> = Vec::new();
    let players: Vec<(PlayerIndex, u32)> =
        (0..6).filter_map(|peer| Some((tables.directory().player_of(PeerId(peer))?, peer))).collect();
    for (player, peer) in players {
        let turn = tables.directory().player(player).map(|turn| turn.stream);
        playing.extend(turn.flatten().map(|stream| (stream, peer)));
    }
    for (peer, key) in (0..6).flat_map(|peer| (0..5).map(move |key| (peer, key))) {
        let Some(stream) = tables.directory().published(of(peer, key)) else { continue };
        assert!(tables.directory().is_published(stream));
        let mut expected: Vec<u32> =
            playing.iter().filter(|(other, _)| *other == stream).map(|(_, peer)| *peer).collect();
        expected.sort_unstable();
        assert_eq!(tables.woken(stream), expected);
    }
}

#[test]
fn item_140_the_message_stream_on_which_a_peer_publishes_a_name_is_found() {
    let mut tables = Tables::new(&RelayConfig::new(), 2, 2);
    tables.accepted(1, 1, "x");
    let published_by = |tables: &mut Tables, key: &str, peer| {
        tables.directory().published_by(StreamName::new(b"live", key.as_bytes()), PeerId(peer))
    };
    assert_eq!(published_by(&mut tables, "/x?key=1", 1), Some(StreamId(1)));
    assert_eq!((published_by(&mut tables, "x", 2), published_by(&mut tables, "y", 1)), (None, None));
    tables.unpublish(2, 1);
    assert_eq!(published_by(&mut tables, "x", 1), None);
}

#[test]
fn item_141_another_name_on_the_same_message_stream_ends_the_first() {
    let mut tables = Tables::new(&RelayConfig { grace: Duration::ZERO, ..RelayConfig::new() }, 3, 1);
    let first = tables.accepted(1, 1, "a");
    let second = tables.accepted(2, 1, "b");
    assert_eq!(tables.events(2), [RelayEvent::Gone(first)]);
    assert_eq!(tables.directory().published(publisher(1)), Some(second));
    // While a publish waits, the current publication continues. It ends when the waiting publish is accepted.
    let taken = tables.accepted(3, 2, "c");
    assert_eq!(tables.publish(4, 1, "c"), Ok(PublishAnswer::Wait));
    assert_eq!(tables.events(4), [RelayEvent::Ask(publisher(2))]);
    assert!(tables.directory().is_published(second));
    let ended = tables.timeout(10_000);
    assert!(ended.contains(&RelayEvent::Accepted { publisher: publisher(1), stream: taken }), "{ended:?}");
    assert!(ended.contains(&RelayEvent::Gone(second)) && !tables.directory().is_published(second), "{ended:?}");
}

#[test]
fn item_275_a_publisher_that_was_asked_to_reconnect_is_followed_by_the_next_one_without_being_asked() {
    for take_over in [TakeOver::Refuse, TakeOver::WhenSilent, TakeOver::Always] {
        let mut tables = Tables::new(&RelayConfig { take_over, ..RelayConfig::new() }, 2, 1);
        let stream = tables.accepted(0, 1, "x");
        let other = tables.accepted(0, 9, "y");
        tables.play(3, "x").unwrap();
        tables.directory().hand_over(PeerId(1));
        // The next one waits for the end of the first one, which is not asked and may go on.
        assert_eq!(tables.publish(10, 2, "x"), Ok(PublishAnswer::Wait), "{take_over:?}");
        assert_eq!(tables.publish(10, 4, "x"), Err(RelayRejection::Taken), "only one waits");
        tables.directory().heard(at(20), stream);
        assert_eq!(tables.events(20), []);
        let accepted = RelayEvent::Accepted { publisher: publisher(2), stream };
        assert_eq!(tables.unpublish(30, 1), [RelayEvent::Gone(stream), resumed(stream, 20), accepted]);
        // The hand-over is for one publisher, and for the streams of that peer.
        assert_eq!(tables.publish(40, 5, "x").is_err(), take_over == TakeOver::Refuse);
        assert_eq!(tables.publish(40, 6, "y").is_err(), take_over == TakeOver::Refuse, "{other:?}");
    }
}

#[test]
fn item_275_a_publisher_that_was_asked_to_reconnect_and_stays_is_replaced_after_the_limit() {
    let mut tables = Tables::new(&STRICT, 1, 1);
    let stream = tables.accepted(0, 1, "x");
    tables.directory().hand_over(PeerId(1));
    assert_eq!(tables.publish(10, 2, "x"), Ok(PublishAnswer::Wait));
    tables.directory().heard(at(1_999), stream);
    assert_eq!(tables.timeout(2_009), []);
    let accepted = RelayEvent::Accepted { publisher: publisher(2), stream };
    let replaced = RelayEvent::Replaced(publisher(1));
    assert_eq!(tables.timeout(2_010), [replaced, RelayEvent::Gone(stream), resumed(stream, 1_999), accepted]);
}

#[test]
fn item_275_a_publisher_that_leaves_before_the_next_one_comes_leaves_no_hand_over() {
    let mut tables = Tables::new(&STRICT, 1, 1);
    let stream = tables.accepted(0, 1, "x");
    tables.directory().hand_over(PeerId(1));
    assert_eq!(tables.unpublish(5, 1), [RelayEvent::Gone(stream)]);
    assert_eq!(tables.accepted(10, 2, "x"), stream);
    assert_eq!(tables.publish(20, 3, "x"), Err(RelayRejection::Taken));
    tables.directory().hand_over(PeerId(7));
    assert_eq!(tables.publish(20, 3, "x"), Err(RelayRejection::Taken), "of another peer");
}

#[test]
fn the_publisher_and_the_players_of_each_stream_are_listed() {
    let mut tables = Tables::new(&RelayConfig::new(), 2, 4);
    let (x, y) = (tables.accepted(0, 1, "x"), tables.accepted(0, 2, "y"));
    let listed = |tables: &mut Tables, stream| {
        let directory = tables.directory();
        let mut players: Vec<u32> = directory.players(stream).map(|PeerId(peer)| peer).collect();
        players.sort_unstable();
        (directory.publisher(stream).map(|publisher| publisher.peer.0), players)
    };
    assert_eq!((listed(&mut tables, x), listed(&mut tables, y)), ((Some(1), vec![]), (Some(2), vec![])));
    for (peer, key) in [(7, "x"), (8, "y"), (9, "x")] {
        tables.play(peer, key).unwrap();
    }
    assert_eq!((listed(&mut tables, x), listed(&mut tables, y)), ((Some(1), vec![7, 9]), (Some(2), vec![8])));
    tables.unpublish(10, 1);
    assert_eq!(listed(&mut tables, x), (None, vec![7, 9]));
}
