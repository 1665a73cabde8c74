//! A client of `serve` that repeats its requests. Only loopback is needed.

mod support;

use embedded_rtmp::amf0::Token;
use embedded_rtmp::message::MessageKind;
use support::raw::RawClient;
use support::{Serve, tags};

fn pictures(serve: &Serve, name: &str) -> usize {
    tags(&serve.recording(name)).iter().filter(|tag| tag.kind == MessageKind::VIDEO).count()
}

#[test]
fn item_140_a_repeated_publish_continues_one_recording() {
    let serve = Serve::start(&[]);
    let mut client = RawClient::publisher(serve.port(), "x");
    client.video(1);
    // With another spelling of the name, on the same message stream and on another one.
    for stream in [1, 2] {
        client.call(0, "createStream", &[]);
        client.call(stream, "publish", &["/x?again".into()]);
        client.wait_for("NetStream.Publish.Start");
        client.video(stream);
    }
    client.video(1);
    client.call(0, "deleteStream", &[2.0.into()]);
    client.wait_for("NetStream.Unpublish.Success");
    assert_eq!(pictures(&serve, "live-x.flv"), 4);
    assert_eq!(serve.stop()["recordings"].as_array().unwrap().len(), 1);
}

#[test]
fn item_141_another_name_follows_on_the_same_stream() {
    let serve = Serve::start(&["--take-over", "refuse"]);
    let mut other = RawClient::publisher(serve.port(), "taken");
    other.video(1);
    let mut client = RawClient::publisher(serve.port(), "a");
    client.video(1);
    client.call(1, "publish", &["taken".into()]);
    // The rejected publish does not end the publication of `a`.
    std::thread::sleep(std::time::Duration::from_millis(300));
    other.video(1);
    client.wait_for("NetStream.Publish.BadName");
    client.video(1);
    client.call(1, "publish", &["b".into()]);
    client.wait_for("NetStream.Publish.Start");
    client.video(1);
    client.call(1, "publish", &[Token::Boolean(false)]);
    client.wait_for("NetStream.Unpublish.Success");
    client.call(1, "publish", &["c".into()]);
    client.wait_for("NetStream.Publish.Start");
    client.video(1);
    // Media after the end of the publication is dropped.
    client.call(1, "closeStream", &[]);
    client.video(1);
    client.wait_for("NetStream.Unpublish.Success");
    assert_eq!(["a", "b", "c"].map(|key| pictures(&serve, &format!("live-{key}.flv"))), [2, 1, 1]);
    drop(client);
    serve.wait_until_it_says("1 messages on message streams that are not published were dropped");
}

#[test]
fn item_153_a_player_that_reads_and_answers_no_pings_is_not_disconnected() {
    let serve = Serve::start(&["--idle", "2"]);
    let mut player = RawClient::player(serve.port(), "x");
    let mut silent = RawClient::connected(serve.port());
    let begin = std::time::Instant::now();
    let mut is_closed = false;
    while begin.elapsed() < std::time::Duration::from_secs(7) {
        player.receive().unwrap();
        is_closed |= !is_closed && silent.receive().is_err();
    }
    // A client that does not play must answer.
    assert!(is_closed);
}
