//! Long sessions, sessions that end anywhere, and how large a session is (items 113, 115, 116).

use super::*;

/// The state of the handshake with digests.
const DIGEST: usize = if cfg!(feature = "digest") { 88 } else { 0 };

// On a host; sessions of a microcontroller are smaller. A change that makes a session larger changes these lines.
const _: () = assert!(size_of::<Client<'_, 8>>() <= 880 + DIGEST);
const _: () = assert!(size_of::<Server<'_, 8>>() <= 960 + DIGEST);

#[test]
fn item_115_the_size_of_a_session_depends_on_its_chunk_streams() {
    assert_eq!(size_of::<Client<'_, 16>>() - size_of::<Client<'_, 8>>(), 8 * 24);
    assert_eq!(size_of::<Server<'_, 16>>() - size_of::<Server<'_, 8>>(), 8 * 24);
}

/// The timestamps of 16 messages, `step` ms apart, which begin before `crossing`.
fn crossing(crossing: u32, step: u32) -> Vec<u32> {
    (0..16).map(|number: u32| crossing.wrapping_sub(5 * step).wrapping_add(number * step)).collect()
}

#[test]
fn item_116_timestamps_cross_2_24_and_2_31_and_2_32() {
    for turn in [0xFF_FFFF, 0x100_0000, 0x8000_0000, 0] {
        for step in [1, 23, 40, 0x10_0000, 0xFF_FFFE, 0xFF_FFFF, 0x100_0000] {
            for (cut, window) in [(1, 1), (1 << 20, 8_192), (7, 5)] {
                let config = ClientConfig { chunk_size: 128, ..ClientConfig::new() };
                let client = Client::new(buffers(512), config, &[7; 32]).unwrap();
                let mut pair = Pair::new(client, server(), cut, window);
                pair.client.connect(&OPTIONS).unwrap();
                pair.client.publish("cam").unwrap();
                pair.run();
                let times = crossing(turn, step);
                for (number, time) in times.iter().enumerate() {
                    // Some messages are continued, with the extended timestamp once more.
                    pair.send(MessageKind::VIDEO, *time, &vec![number as u8; if number % 3 == 0 { 200 } else { 20 }]);
                    pair.send(MessageKind::AUDIO, time.wrapping_add(1), &[0xAF; 9]);
                }
                pair.run();
                let seen = |kind: u8| -> Vec<u32> {
                    let time = |seen: &Seen| match seen {
                        Seen::Message(1, of, time, _) if *of == kind => Some(*time),
                        _ => None,
                    };
                    pair.server_saw.iter().filter_map(time).collect()
                };
                assert_eq!(seen(9), times, "{turn:#x}, steps of {step:#x}, pieces of {cut}");
                assert_eq!(seen(8), times.iter().map(|time| time.wrapping_add(1)).collect::<Vec<_>>());
                // Serial arithmetic keeps them in order.
                assert!(times.windows(2).all(|pair| Timestamp(pair[1]).since(Timestamp(pair[0])) == step as i32));
            }
        }
    }
}

#[test]
fn item_116_timestamps_that_jump_back_and_forth_arrive_as_they_are() {
    let mut pair = Pair::publishing("cam", 100, 100);
    let times = [0, u32::MAX, 0, 0x7FFF_FFFF, 0x8000_0000, 5, 5, 4, 0xFF_FFFF, 0xFF_FFFE, 0x100_0000, 0, u32::MAX];
    for time in times {
        pair.send(MessageKind::VIDEO, time, &[1; 9]);
    }
    pair.run();
    let seen: Vec<u32> = pair.server_saw[3..]
        .iter()
        .map(|seen| if let Seen::Message(_, _, time, _) = seen { *time } else { 1 })
        .collect();
    assert_eq!(seen, times);
}

#[test]
fn item_116_the_count_of_received_bytes_continues_past_2_32() {
    // Repeats one message of 16 MB from memory that is filled once.
    let mut script = Script::publisher();
    script.control(MessageKind::WINDOW_ACK_SIZE, &0x4000_0000_u32.to_be_bytes());
    script.chunk_size(0xFF_FFFF);
    let mut server = server();
    drive_server(&mut server, &script.bytes, 1 << 20, 8_192, &mut Collector::default()).2.unwrap();
    let mut message = vec![6, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0];
    message.resize(12 + 0xFF_FFFF, 0x17);
    let (mut total, mut acknowledged) = (u64::from(server.bytes_received()), Vec::new());
    while total < (1 << 32) + (1 << 31) {
        let mut input = &message[..];
        while let Some(event) = server.next_event(START, &mut input).unwrap() {
            assert!(matches!(event, ServerEvent::Media(_)));
        }
        total += message.len() as u64;
        assert_eq!((input.len(), server.bytes_received()), (0, total as u32));
        let mut out = [0; 100];
        let written = server.poll_transmit(START, &mut out);
        if written > 0 {
            assert_eq!((written, &out[..12]), (16, &[2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0][..]));
            assert_eq!(out[12..16], (total as u32).to_be_bytes());
            acknowledged.push(total);
        }
    }
    assert_eq!(acknowledged.len(), 6);
    assert!(acknowledged.windows(2).all(|pair| (0x4000_0000..0x4200_0000).contains(&(pair[1] - pair[0]))));
}

/// A short session, and what each side sent in it.
fn recorded() -> Pair {
    let mut pair = Pair::publishing("cam", 1 << 20, 8_192);
    pair.send(MessageKind::DATA, 0, b"\x02\x00\x0A@something");
    pair.send(MessageKind::VIDEO, 16_777_210, &[0x17; 5_000]);
    pair.send(MessageKind::AUDIO, 16_777_230, &[0xAF; 100]);
    pair.run();
    pair.client.close().unwrap();
    pair.run();
    pair
}

#[test]
fn item_113_a_session_that_ends_at_any_byte_has_seen_what_came_before() {
    let Pair { sent: [from_client, from_server], client_saw, server_saw, .. } = recorded();
    let ends = (0..3_073).step_by(97).chain(3_060..=from_client.len());
    let (mut seen_before, mut counts) = (0, vec![0; server_saw.len() + 1]);
    for end in ends {
        let (mut server, mut collector) = (server(), Collector::default());
        let (seen, _, result) = drive_server(&mut server, &from_client[..end], 1 << 20, 8_192, &mut collector);
        assert_eq!((result, &seen[..]), (Ok(()), &server_saw[..seen.len()]), "the client ends at {end}");
        assert!(seen.len() >= seen_before && server.wants_input() && !server.is_closed());
        seen_before = seen.len();
        counts[seen_before] += 1;
    }
    assert!(counts.iter().all(|count| *count > 0), "each event had its end: {counts:?}");
    for end in (0..3_073).step_by(97).chain(3_060..=from_server.len()) {
        let (mut client, mut collector) = (publisher(), Collector::default());
        let (seen, _, result) = drive_client(&mut client, &from_server[..end], 1 << 20, 8_192, &mut collector);
        // The client did not ask to end, so the last event has another form.
        let expected = client_saw.iter().filter(|seen| **seen != Seen::Unpublished).take(seen.len());
        let told: Vec<_> = seen.iter().filter(|seen| !matches!(seen, Seen::Status(..))).collect();
        assert_eq!((result, told), (Ok(()), expected.collect()), "the server ends at {end}");
    }
}
