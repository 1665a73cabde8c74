//! Messages that are incomplete while streams begin and end.

use super::*;
use crate::amf0::Token;

/// The header and the first chunk of a video message of 300 bytes, and its other two chunks.
fn halves(csid: u8, stream: u8) -> (Vec<u8>, Vec<u8>) {
    let header = [csid, 0, 0, 0, 0, 1, 44, 9, stream, 0, 0, 0];
    let next = [0xC0 | csid];
    ([&header[..], &[csid; 128]].concat(), [&next[..], &[csid; 128], &next, &[csid; 44]].concat())
}

/// The media events of a server, and those about streams.
fn sees(script: &Script) -> Vec<Seen> {
    let (seen, _, result) = server_sees(&script.bytes);
    assert_eq!(result, Ok(()));
    seen.into_iter().filter(|seen| matches!(seen, Seen::Message(..) | Seen::Ended(_))).collect()
}

fn message(stream: u32, csid: u8) -> Seen {
    Seen::Message(stream, 9, 0, vec![csid; 300])
}

#[test]
fn item_042_no_stream_gets_a_part_of_a_message_without_its_beginning() {
    // Begun before its stream is published.
    let ((begin, end), (whole, rest)) = (halves(6, 1), halves(7, 1));
    let mut script = Script::connect();
    script.create_stream(2.0).raw(&begin).publish(1, "cam").raw(&end).raw(&whole).raw(&rest);
    assert_eq!(sees(&script), [message(1, 7)]);
    // Begun on a stream that ends; the other one does not get it.
    let mut script = Script::publisher();
    script.create_stream(3.0).publish(2, "mic").raw(&begin).call(0, "deleteStream", 0.0, 1.0.into()).raw(&end);
    let (begin, end) = halves(7, 2);
    script.raw(&begin).raw(&end);
    assert_eq!(sees(&script), [Seen::Ended(1), message(2, 7)]);
    // Begun on a stream that ends and begins again.
    let mut script = Script::publisher();
    let (begin, end) = halves(6, 1);
    script.raw(&begin).command(1, &["closeStream".into(), 0.0.into(), Token::Null]).publish(1, "cam").raw(&end);
    assert_eq!(sees(&script), [Seen::Ended(1)]);
}

#[test]
fn item_042_a_message_on_no_stream_is_cut_off_where_there_are_two_publishers() {
    let ((begin, end), (other, rest), (next, last)) = (halves(6, 0), halves(7, 2), halves(6, 1));
    let mut script = Script::publisher();
    script.create_stream(3.0).raw(&begin).publish(2, "mic").raw(&other).raw(&end).raw(&rest).raw(&next).raw(&last);
    assert_eq!(sees(&script), [message(2, 7), message(1, 6)]);
}

#[test]
fn item_087_a_stream_that_is_deleted_by_its_key_is_the_only_one_that_publishes() {
    for argument in ["cam".into(), Token::Null, f64::NAN.into()] {
        let mut script = Script::publisher();
        script.call(0, "deleteStream", 0.0, argument).call(0, "deleteStream", 0.0, argument);
        assert_eq!(sees(&script), [Seen::Ended(1)], "{argument:?}");
        // With two publishers, only the stream of the command is deleted.
        let mut script = Script::publisher();
        script.create_stream(3.0).publish(2, "mic").call(0, "deleteStream", 0.0, argument);
        script.call(2, "deleteStream", 0.0, argument);
        assert_eq!(sees(&script), [Seen::Ended(2)], "{argument:?}");
    }
}

#[test]
fn unfinished_messages_do_not_occupy_room_for_ever() {
    let mut script = Script::publisher();
    for round in 0..100_u8 {
        let csid = 10 + round % 20;
        let (begin, _) = halves(csid, 1);
        // A message that began as video begins again with an unknown type.
        script.raw(&begin).message(u32::from(csid), MessageKind(0x7F), 1, &[0; 5]);
    }
    let (begin, end) = halves(6, 1);
    script.raw(&begin).raw(&end);
    assert_eq!(sees(&script), [message(1, 6)]);
}
