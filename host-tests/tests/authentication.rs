//! Authentication with a user and a password.

mod support;

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use embedded_rtmp::amf0::{Text, Token};
use embedded_rtmp::auth::{Authenticator, Credentials};
use embedded_rtmp::message::MessageKind;
use host_tests::firmware::{Firmware, FirmwareKind};
use host_tests::peers::{Program, finish_within, frame_hashes, free_port, start};
use md5::{Digest, Md5};
use support::raw::{RawClient, command};
use support::refusing::{Refusal, Refusing};
use support::{LIMIT, Serve, clip, media, played, player, publish, publish_well, url};

/// Starts `serve` for the user `cam`.
fn serve() -> (Serve, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "s3cret\n").unwrap();
    (Serve::start(&["--user", "cam", "--password-file", file.to_str().unwrap()]), directory)
}

fn with_user(serve: &Serve, user: &str, path: &str) -> String {
    format!("rtmp://{user}@127.0.0.1:{}/{path}", serve.port())
}

#[test]
fn item_095_only_the_right_password_publishes_and_plays() {
    let (serve, directory) = serve();
    let output = directory.path().join("played.flv");
    let player = start(&mut self::player(&with_user(&serve, "cam:s3cret", "live/x"), &output, &[])).unwrap();
    serve.wait_until_it_says("plays live/x");
    publish_well(&clip(), &with_user(&serve, "cam:s3cret", "live/x"), &["--fast"]);
    let (status, _, errors) = played(player);
    assert_eq!(status, Some(0), "{errors}");
    assert!(media(&output) == media(&clip()));
    for (user, says) in [
        ("cam:wrong", "the server refuses the user and the password"),
        ("dog:s3cret", "the server refuses the user and the password"),
        ("", "--password-file"),
    ] {
        let url = if user.is_empty() { serve.url("live/y") } else { with_user(&serve, user, "live/y") };
        let (status, _, errors) = publish(&clip(), &url, &["--fast"]);
        assert!(status == Some(1) && errors.contains(says), "{user}: {errors}");
        assert!(!errors.contains("s3cret"), "{errors}");
    }
    let password = directory.path().join("password");
    let arguments = ["--fast", "--user", "cam", "--password-file", password.to_str().unwrap()];
    publish_well(&clip(), &serve.url("live/z"), &arguments);
    let said = serve.said();
    assert!(said.contains("a wrong user or password") && !said.contains("response="), "{said}");
    let summary = serve.stop();
    let names: Vec<_> = summary["recordings"].as_array().unwrap().iter().map(|one| &one["stream"]).collect();
    assert_eq!(names, ["live/x", "live/z"]);
}

/// Connects to an application, and returns the description of the refusal, or `None` if the server accepts.
fn refusal(mut client: RawClient, app: &str) -> Option<String> {
    let connect = [Token::ObjectStart, Token::Key("app".into()), app.into(), Token::End];
    client.send(0, MessageKind::COMMAND, &command("connect", 1.0, &connect));
    loop {
        let told = client.receive().expect("an answer");
        for (code, description) in told {
            match &*code {
                "NetConnection.Connect.Rejected" => return Some(description),
                "NetConnection.Connect.Success" => return None,
                _ => {}
            }
        }
    }
}

/// Returns the application with the answer to a new challenge.
fn answer(from: Ipv4Addr, port: u16, password: &str) -> String {
    let (mut client, mut app) = (Authenticator::<384>::new(), "live".to_owned());
    for _ in 0..2 {
        let description = refusal(RawClient::from(from, port), &app).unwrap();
        let credentials = Credentials { user: "cam", password };
        assert!(client.answer(Text::from(&*description), "live", &credentials, &[1; 8]).unwrap());
        app = client.app().unwrap().to_owned();
    }
    app
}

#[test]
fn item_095_a_thousand_wrong_passwords_do_not_delay_other_addresses() {
    let (serve, _directory) = serve();
    let port = serve.port();
    let [guesser, other] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];
    for guess in 0..1000 {
        let app = format!("live?authmod=adobe&user=cam&challenge=c&response={guess:024}&opaque=o");
        assert!(refusal(RawClient::from(guesser, port), &app).unwrap().contains("reason=authfailed"));
    }
    // From the first address, even the right password is refused, because it comes too early.
    let app = answer(guesser, port, "s3cret");
    assert!(refusal(RawClient::from(guesser, port), &app).unwrap().contains("reason=authfailed"));
    let app = answer(other, port, "s3cret");
    assert_eq!(refusal(RawClient::from(other, port), &app), None);
    // An answer is valid for one connection.
    assert!(refusal(RawClient::from(other, port), &app).unwrap().contains("reason=authfailed"));
    serve.wait_until_it_says("too many wrong passwords from this address");
}

#[test]
fn item_095_a_challenge_of_another_server_is_refused() {
    let ((serve, _directory), (other, _directory_of_other)) = (self::serve(), self::serve());
    let named = "live?authmod=adobe&user=cam";
    let [own, foreign] = [&serve, &other].map(|server| refusal(RawClient::connect(server.port()), named).unwrap());
    // The salt of this server, and the challenge of the other one.
    let at = |text: &str| text.find("&challenge=").unwrap();
    let mixed = format!("{}{}", &own[..at(&own)], &foreign[at(&foreign)..]);
    for (description, is_accepted) in [(&mixed, false), (&own, true)] {
        let (mut client, credentials) = (Authenticator::<384>::new(), Credentials { user: "cam", password: "s3cret" });
        let need = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
        for asked in [need, description] {
            assert!(client.answer(Text::from(asked), "live", &credentials, &[1; 8]).unwrap());
        }
        let refusal = refusal(RawClient::connect(serve.port()), client.app().unwrap());
        assert_eq!(refusal.is_none(), is_accepted, "{refusal:?}");
    }
}

#[test]
fn item_095_before_the_password_only_connect_is_answered() {
    let (serve, _directory) = serve();
    let mut client = RawClient::connect(serve.port());
    // A client that sends all requests at once and does not wait for answers.
    let connect = [Token::ObjectStart, Token::Key("app".into()), "live".into(), Token::End];
    let commands = [
        (0, command("connect", 1.0, &connect)),
        (0, command("createStream", 2.0, &[Token::Null])),
        (1, command("publish", 0.0, &[Token::Null, "x".into(), "live".into()])),
    ];
    let bytes = commands.map(|(stream, command)| RawClient::bytes(3, stream, MessageKind::COMMAND, &command)).concat();
    client.stream.write_all(&bytes).unwrap();
    client.wait_for("NetConnection.Connect.Rejected");
    client.wait_until_closed();
    assert_eq!(serve.stop()["recordings"].as_array().unwrap().len(), 0);
}

fn hex_md5(text: &str) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lets `program` publish to a server that asks for authentication in the same way as Limelight's servers, and checks
/// its answer.
fn expect_limelight(mut program: Command, server: &Refusing) {
    // The server accepts the connection, and refuses the stream.
    finish_within(LIMIT, &mut program).unwrap();
    let asked = server.asked();
    let app = asked.iter().find(|asked| asked.contains("&response=")).unwrap_or_else(|| panic!("{asked:?}"));
    let value = |name: &str| {
        let pair = app.split(['?', '&', ' ']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        pair.unwrap_or_else(|| panic!("{app} has no {name}"))
    };
    assert_eq!([value("authmod"), value("user"), value("nonce"), value("nc")], ["llnw", "cam", "N1=", "00000001"]);
    let (secret, action) = (hex_md5("cam:live:s3cret"), hex_md5("publish:/live/_definst_"));
    let expected = hex_md5(&format!("{secret}:N1=:00000001:{}:auth:{action}", value("cnonce")));
    assert_eq!(value("response"), expected);
    assert!(asked.iter().any(|asked| asked.starts_with("publish ")), "{asked:?}");
}

#[test]
fn item_096_publish_answers_a_limelight_server() {
    let server = Refusing::start(Refusal::Limelight);
    let url = format!("rtmp://cam:s3cret@127.0.0.1:{}/live/x", server.port);
    expect_limelight(support::publisher(&clip(), &url, &["--fast"]), &server);
}

#[test]
fn item_097_publish_follows_a_redirect_and_not_in_circles() {
    let serve = Serve::start(&[]);
    let first = Refusing::start(Refusal::Elsewhere(serve.url("live"))).port;
    publish_well(&clip(), &url(first, "live/cam"), &["--fast"]);
    assert!(media(&serve.recording("live-cam.flv")) == media(&clip()));
    let mut port = serve.port();
    for _ in 0..4 {
        port = Refusing::start(Refusal::Elsewhere(url(port, "live"))).port;
    }
    let (status, _, errors) = publish(&clip(), &url(port, "live/cam"), &["--fast"]);
    assert!(status == Some(1) && errors.contains("more than 3 servers"), "{errors}");
}

/// Publishes the clip with a program and these credentials. Returns whether it succeeded.
fn publishes(program: Program, port: u16, key: &str, password: &str) -> bool {
    let file: PathBuf = clip();
    let path = format!("live/{key}");
    let mut command = match program {
        Program::Rtmp2 => {
            let mut command = program.publisher(&file, &url(port, &path), false);
            insert_after(&mut command, "rtmp2sink", &["username=cam", &format!("password={password}")])
        }
        Program::Librtmp => {
            let location = format!("{} pubUser=cam pubPasswd={password}", url(port, &path));
            let mut command = program.publisher(&file, &location, false);
            // librtmp with GnuTLS hashes a text without its end. Behind it are zeros if the library has logged just before.
            command.env("GST_DEBUG", "rtmp*:6");
            command
        }
        _ => {
            let url = format!("rtmp://cam:{password}@127.0.0.1:{port}/{path}");
            program.publisher(&file, &url, false)
        }
    };
    finish_within(LIMIT, &mut command).unwrap().status.success()
}

/// Inserts more arguments after the argument `after` of a command.
fn insert_after(command: &mut Command, after: &str, more: &[&str]) -> Command {
    let mut longer = Command::new(command.get_program());
    for argument in command.get_args() {
        longer.arg(argument);
        if argument == after {
            longer.args(more);
        }
    }
    longer
}

#[test]
#[ignore = "needs two versions of ffmpeg, and GStreamer: host-tests/run runs it"]
fn item_095_item_384_programs_publish_with_the_right_password_only() {
    let (serve, _directory) = serve();
    for (program, key) in Program::PUBLISHERS.into_iter().zip(["ffmpeg", "ffmpeg9", "rtmp2", "librtmp"]) {
        publishes(program, serve.port(), key, "s3cret");
        let recording = serve.recording(&format!("live-{key}.flv"));
        let (found, expected) = (frame_hashes(&recording).unwrap(), frame_hashes(&clip()).unwrap());
        assert!(found == expected, "{key}: {} of {} frames", found.video.len(), expected.video.len());
        assert!(!publishes(program, serve.port(), "wrong", "wrong"), "{key}");
    }
    assert_eq!(serve.said().matches("turned away: a wrong user or password").count(), 4, "{}", serve.said());
}

#[test]
#[ignore = "needs qemu-system-arm, two versions of ffmpeg, and GStreamer: host-tests/run runs it"]
fn item_095_item_384_programs_publish_to_a_device_with_the_right_password_only() {
    /// Long enough for a build of the firmware on a machine that is busy with other things.
    const FIRMWARE_LIMIT: Duration = Duration::from_secs(240);
    let port = free_port().unwrap();
    let (forward, arguments) = (format!("{port}:1935"), ["serve", "--publishers", "4", "--user", "cam", "s3cret"]);
    let options = ["--hostfwd", &forward];
    let mut firmware = Firmware::start_kind(FirmwareKind::Tunnels, None, &options, &arguments).unwrap();
    firmware.wait_for("serving on ports", FIRMWARE_LIMIT).unwrap();
    for program in Program::PUBLISHERS {
        assert!(!publishes(program, port, "x", "wrong"), "{}: {}", program.name(), firmware.log());
        assert!(publishes(program, port, "x", "s3cret"), "{}: {}", program.name(), firmware.log());
    }
    let (status, log) = firmware.finish_within(LIMIT).unwrap();
    assert_eq!(status, Some(0), "{log}");
    let tags = media(&clip());
    let frames = [(MessageKind::AUDIO, "audio"), (MessageKind::VIDEO, "video")].map(|(kind, name)| {
        // The first is the configuration.
        let lengths: Vec<usize> =
            tags.iter().filter(|tag| tag.kind == kind).skip(1).map(|tag| tag.payload.len()).collect();
        format!("{} frames of {name}, {} bytes", lengths.len(), lengths.iter().sum::<usize>())
    });
    for text in ["a wrong user or password", &frames[0], &frames[1], "; good"] {
        assert_eq!(log.matches(text).count(), 4, "{text}: {log}");
    }
}

#[test]
#[ignore = "needs two versions of ffmpeg: host-tests/run runs it"]
fn item_096_ffmpeg_answers_a_limelight_server_as_we_do() {
    for program in [Program::Ffmpeg, Program::Ffmpeg9] {
        let server = Refusing::start(Refusal::Limelight);
        let url = format!("rtmp://cam:s3cret@127.0.0.1:{}/live/x", server.port);
        expect_limelight(program.publisher(&clip(), &url, false), &server);
    }
}
