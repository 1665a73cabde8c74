//! RTMPS and RTMPTS: which servers are trusted, the text of a refusal, and other programs with `serve`.

mod support;

use std::path::Path;
use std::process::Command;

use host_tests::peers::network::SERVER;
use host_tests::peers::{
    FrameHashes, NodeMediaServer, Program, TlsProxy, finish_within, frame_hashes, start, wait_until,
};
use support::certificates::{Authority, Dates, Identity, NAME};
use support::site::{Capture, Site};
use support::{LIMIT, Serve, clip, media, played, player, publish, publish_well};
use tempfile::TempDir;

/// `serve` with TLS.
fn serving(identity: &Identity) -> Serve {
    let arguments = identity.arguments();
    Serve::start(&arguments.each_ref().map(String::as_str))
}

fn url(scheme: &str, port: u16) -> String {
    format!("{scheme}://{NAME}:{port}/live/x")
}

/// A server that a client trusts with `--tls-ca`, and its authority in a file.
fn trusted() -> (Serve, TempDir, String) {
    let (authority, directory) = (Authority::new("root"), tempfile::tempdir().unwrap());
    let serve = serving(&authority.identity(NAME, Dates::Valid, &[]));
    let file = authority.file(&directory);
    (serve, directory, file)
}

#[test]
fn item_222_frames_are_equal_through_rtmps_and_rtmpts_beside_rtmp() {
    let (serve, directory, ca) = trusted();
    let schemes = ["rtmps", "rtmpts", "rtmp", "rtmpt"];
    for publisher in schemes {
        let players = schemes.map(|scheme| {
            let file = directory.path().join(scheme);
            (start(&mut player(&url(scheme, serve.port()), &file, &["--tls-ca", &ca])).unwrap(), file)
        });
        let expected = 4 * (1 + schemes.iter().position(|scheme| *scheme == publisher).unwrap());
        wait_until("all play", LIMIT, || serve.said().matches("plays live/x").count() == expected).unwrap();
        let summary = publish_well(&clip(), &url(publisher, serve.port()), &["--fast", "--tls-ca", &ca]);
        assert_eq!(summary["attempts"][0]["transport"], publisher.to_uppercase());
        assert_eq!(summary["acknowledged"], true);
        for (running, file) in players {
            let (status, _, errors) = played(running);
            assert_eq!(status, Some(0), "{errors}");
            assert_eq!(media(&file), media(&clip()), "{publisher}: {errors}");
        }
    }
    assert_eq!(media(&serve.recording("live-x-4.flv")), media(&clip()));
    assert_eq!(serve.stop()["recordings"].as_array().unwrap().len(), 4);
}

/// Returns what a client with these options reports about the server on `port`. Returns nothing if it published
/// successfully.
fn said(port: u16, arguments: &[&str]) -> String {
    let before = [&["--fast", "--quiet"], arguments].concat();
    let (status, summary, errors) = publish(&clip(), &url("rtmps", port), &before);
    if status == Some(0) {
        assert_eq!(errors, "");
        return errors;
    }
    assert_eq!(status, Some(1), "{errors}");
    let outcome = &summary["attempts"][0]["outcome"];
    assert_eq!(outcome, "the certificate of the server was refused", "{errors}");
    let text = format!("publish: no connection; failed on RTMPS {port}: the certificate of the server was refused: ");
    errors.strip_prefix(&text).unwrap_or_else(|| panic!("{errors}")).trim_end().to_owned()
}

/// Publishes to servers with good and bad certificates, which `front` starts, and compares what the client reports
/// about each.
fn certificates<F>(front: impl Fn(&Identity) -> (F, u16)) {
    let [root, other] = ["root", "other"].map(Authority::new);
    let [middle, foreign] = [Authority::under(&root, "middle"), Authority::under(&other, "foreign")];
    let directories = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [ca, strange, middle_ca] = [(&root, 0), (&other, 1), (&middle, 2)].map(|(ca, at)| ca.file(&directories[at]));
    let trust = ["--tls-ca", &ca];
    let good = root.identity(NAME, Dates::Valid, &[]);
    let self_signed = Identity::self_signed(NAME);
    let file = |identity: &Identity| identity.chain_file().display().to_string();
    let own = [(NAME, Dates::Valid), ("media.example", Dates::Valid), (NAME, Dates::Expired)];
    let own = own.map(|(name, dates)| Identity::self_signed_authority(name, dates));
    let own_files = own.each_ref().map(file);
    let cases: [(&Identity, &[&str], &str); 21] = [
        (&good, &trust, ""),
        (&good, &["--tls-pin", &good.pin()], ""),
        (&good, &["--tls-insecure"], ""),
        (
            &good,
            &["--tls-ca", &strange],
            "its issuer is an unknown CA, and the server sends no intermediate certificate",
        ),
        (&good, &[], "its issuer is an unknown CA, and the server sends no intermediate certificate"),
        (
            &good,
            &["--tls-pin", &self_signed.pin()],
            &format!("its key has the SHA-256 {}, not that of --tls-pin", good.pin()),
        ),
        (&root.identity("media.example", Dates::Valid, &[]), &trust, "it is for media.example, and not for localhost"),
        (&root.identity(NAME, Dates::Expired, &[]), &trust, "it expired on 2020-02-29"),
        (&root.identity(NAME, Dates::Future, &[]), &trust, "it is not valid before 2999-12-31"),
        (&middle.identity(NAME, Dates::Valid, &[&middle]), &trust, ""),
        (
            &middle.identity(NAME, Dates::Valid, &[]),
            &trust,
            "its issuer is an unknown CA, and the server sends no intermediate certificate",
        ),
        // An intermediate authority may be trusted directly.
        (&middle.identity(NAME, Dates::Valid, &[]), &["--tls-ca", &middle_ca], ""),
        (&foreign.identity(NAME, Dates::Valid, &[&foreign]), &trust, "its issuer is an unknown CA"),
        (&self_signed, &trust, &format!("it is self-signed: --tls-pin {} would trust it", self_signed.pin())),
        (&self_signed, &["--tls-pin", &self_signed.pin()], ""),
        (&self_signed, &["--tls-insecure"], ""),
        // Certificates that the user lists.
        (&self_signed, &["--tls-ca", &file(&self_signed)], ""),
        (&own[0], &["--tls-ca", &own_files[0]], ""),
        (&own[1], &["--tls-ca", &own_files[1]], "it is for media.example, and not for localhost"),
        (&own[2], &["--tls-ca", &own_files[2]], "it expired on 2020-02-29"),
        // A pin ignores names and dates.
        (&root.identity("media.example", Dates::Expired, &[]), &["--tls-insecure"], ""),
    ];
    for (number, (identity, arguments, expected)) in cases.into_iter().enumerate() {
        let (_front, port) = front(identity);
        assert_eq!(said(port, arguments), expected, "case {number}: {arguments:?}");
    }
}

#[test]
fn item_223_a_certificate_that_is_refused_is_said_to_be_and_why() {
    certificates(|identity| {
        let serve = serving(identity);
        let port = serve.port();
        (serve, port)
    });
}

#[test]
#[ignore = "needs nginx: host-tests/run runs it"]
fn item_223_a_certificate_of_nginx_that_is_refused_is_said_to_be_and_why() {
    let serve = Serve::start(&[]);
    certificates(|identity| {
        let front = TlsProxy::with(serve.port(), &identity.chain_file(), &identity.key_file(), "TLSv1.3").unwrap();
        let port = front.port();
        (front, port)
    });
}

#[test]
#[ignore = "needs nginx: host-tests/run runs it"]
fn item_222_publish_and_play_speak_both_versions_of_tls_with_nginx() {
    let (authority, directory, serve) = (Authority::new("root"), tempfile::tempdir().unwrap(), Serve::start(&[]));
    let (identity, ca) = (authority.identity(NAME, Dates::Valid, &[]), authority.file(&directory));
    for version in ["TLSv1.2", "TLSv1.3"] {
        let front = TlsProxy::with(serve.port(), &identity.chain_file(), &identity.key_file(), version).unwrap();
        let file = directory.path().join(version);
        let running = start(&mut player(&url("rtmps", front.port()), &file, &["--tls-ca", &ca])).unwrap();
        let plays = if version == "TLSv1.2" { 1 } else { 2 };
        wait_until("it plays", LIMIT, || serve.said().matches("plays live/x").count() == plays).unwrap();
        publish_well(&clip(), &url("rtmps", front.port()), &["--fast", "--tls-ca", &ca]);
        let (status, _, errors) = played(running);
        assert_eq!(status, Some(0), "{errors}");
        assert_eq!(media(&file), media(&clip()));
    }
}

/// Publishes the clip, or plays into a file, inside TLS with a verified server. The program trusts the authority in the file
/// `ca` and no other.
fn verifying(program: Program, url: &str, file: Option<&Path>, ca: &str) -> Command {
    let mut command = match program {
        Program::Ffmpeg | Program::Ffmpeg9 => {
            let (mut command, trust) = (program.ffmpeg(), ["-tls_verify", "1", "-ca_file", ca]);
            match file {
                Some(file) => {
                    command.args(["-analyzeduration", "1500000"]).args(trust).args(["-i", url, "-c", "copy"]).arg(file)
                }
                None => command.arg("-i").arg(clip()).args(["-c", "copy", "-f", "flv"]).args(trust).arg(url),
            };
            return command;
        }
        _ => file.map_or_else(|| program.publisher(&clip(), url, false), |file| program.player(url, file)),
    };
    // The program trusts the authorities of the system, so it runs in a separate mount namespace with another file of
    // authorities.
    let script = format!("mount --bind {ca} /etc/ssl/certs/ca-certificates.crt && exec \"$@\"");
    let mut wrapped = Command::new("unshare");
    wrapped.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]).arg(command.get_program());
    wrapped.args(command.get_args());
    command = wrapped;
    command
}

const PROGRAMS: [Program; 3] = [Program::Ffmpeg, Program::Ffmpeg9, Program::Rtmp2];

#[test]
#[ignore = "needs ffmpeg 5 and 9, and GStreamer: host-tests/run runs it"]
fn item_224_programs_that_verify_publish_to_serve_and_play_from_it_over_rtmps() {
    let expected = frame_hashes(&clip()).unwrap();
    for publisher in PROGRAMS {
        let (serve, directory, ca) = trusted();
        let url = url("rtmps", serve.port());
        let players = PROGRAMS.map(|program| {
            let file = directory.path().join(format!("{program:?}.flv"));
            (program, start(&mut verifying(program, &url, Some(&file), &ca)).unwrap(), file)
        });
        wait_until("all play", LIMIT, || serve.said().matches("plays live/x").count() == players.len())
            .unwrap_or_else(|error| panic!("{error}: {}", serve.said()));
        finish_within(LIMIT, &mut verifying(publisher, &url, None, &ca)).unwrap().successful().unwrap();
        assert!(frame_hashes(&serve.recording("live-x.flv")).unwrap() == expected, "{publisher:?}");
        for (program, running, file) in players {
            let errors = running.finish_within(LIMIT).unwrap().stderr;
            assert_equal(program, &frame_hashes(&file).unwrap(), &expected, &errors);
        }
    }
}

/// When rtmp2src receives the end of the stream, it drops the frames that it has not passed on.
fn assert_equal(program: Program, found: &FrameHashes, expected: &FrameHashes, errors: &str) {
    let (videos, audios) = (found.video.len(), found.audio.len());
    let context = format!("{}: {videos} video, {audios} audio frames: {errors}", program.name());
    assert!(expected.video.starts_with(&found.video) && expected.audio.starts_with(&found.audio), "{context}");
    let (video, audio) = if program == Program::Rtmp2 { (3, 5) } else { (1, 1) };
    assert!(videos + video > expected.video.len() && audios + audio > expected.audio.len(), "{context}");
}

#[test]
#[ignore = "needs ffmpeg 5 and 9, and GStreamer: host-tests/run runs it"]
fn item_224_programs_that_verify_refuse_a_serve_of_another_authority() {
    let (serve, _directory, _) = trusted();
    let (other, directory) = (Authority::new("other"), tempfile::tempdir().unwrap());
    let ca = other.file(&directory);
    for program in PROGRAMS {
        let finished = finish_within(LIMIT, &mut verifying(program, &url("rtmps", serve.port()), None, &ca)).unwrap();
        assert_ne!(finished.status.code(), Some(0), "{program:?}");
    }
    assert_eq!(serve.stop()["recordings"].as_array().unwrap().len(), 0);
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn item_224_ffmpeg_publishes_to_serve_and_plays_from_it_over_rtmpts() {
    let expected = frame_hashes(&clip()).unwrap();
    let (serve, directory, ca) = trusted();
    let (url, file) = (url("rtmpts", serve.port()), directory.path().join("played.flv"));
    let running = start(&mut Program::Ffmpeg.player(&url, &file)).unwrap();
    wait_until("it plays", LIMIT, || serve.said().contains("plays live/x")).unwrap();
    finish_within(LIMIT, &mut Program::Ffmpeg.publisher(&clip(), &url, true)).unwrap().successful().unwrap();
    let recorded = frame_hashes(&serve.recording("live-x.flv")).unwrap();
    // When it closes a tunnel, ffmpeg drops what it has not sent yet: a few frames of audio.
    assert!(recorded.video.len() >= 95 && recorded.audio.len() >= 150, "{recorded:?}");
    assert!(expected.video.starts_with(&recorded.video) && expected.audio.starts_with(&recorded.audio));
    let errors = running.finish_within(LIMIT).unwrap().stderr;
    assert!(frame_hashes(&file).unwrap() == recorded, "{errors}");
    // The player gets all frames from a publisher that sends all frames.
    let running = start(&mut Program::Ffmpeg.player(&url, &directory.path().join("all.flv"))).unwrap();
    wait_until("it plays", LIMIT, || serve.said().matches("plays live/x").count() == 2).unwrap();
    publish_well(&clip(), &url, &["--fast", "--tls-ca", &ca]);
    let errors = running.finish_within(LIMIT).unwrap().stderr;
    assert!(frame_hashes(&directory.path().join("all.flv")).unwrap() == expected, "{errors}");
}

/// ffmpeg 9.0 opens the tunnel inside TLS, uses an `http:` URL in the next request, and then refuses that URL itself. A
/// version without this fault must publish all frames.
#[test]
#[ignore = "needs ffmpeg 9: host-tests/run runs it"]
fn item_224_ffmpeg_9_ends_its_own_tunnel_inside_tls() {
    let (serve, _directory, ca) = trusted();
    let mut command = Program::Ffmpeg9.publisher(&clip(), &url("rtmpts", serve.port()), true);
    command.args(["-v", "verbose"]).env("SSL_CERT_FILE", ca);
    let finished = finish_within(LIMIT, &mut command).unwrap();
    if finished.status.code() == Some(0) {
        let recorded = frame_hashes(&serve.recording("live-x.flv")).unwrap();
        assert!(recorded.video.len() >= 95, "{recorded:?}");
    } else {
        assert!(finished.stderr.contains("Cannot reuse HTTP connection"), "{}", finished.stderr);
        assert!(!serve.said().contains("alert"), "{}", serve.said());
    }
}

/// The stream key of the tests with a firewall.
const KEY: &str = "a-very-secret-stream-key";

#[test]
#[ignore = "needs network namespaces: host-tests/run runs it"]
fn item_221_a_firewall_that_drops_or_resets_443_gets_no_byte_of_the_key() {
    for (rule, outcome) in [
        ("tcp dport 443 drop", "dropped, no answer in time"),
        ("tcp dport 443 reject with tcp reset", "refused"),
        ("tcp dport 443 meta length > 100 drop", "connected, but no RTMP handshake in time"),
        ("tcp dport 443 meta length > 100 reject with tcp reset", "closed during the RTMP handshake"),
    ] {
        let site = Site::new(rule);
        let capture = Capture::start(&site, "wire");
        for arguments in
            [&[][..], &["--allow", "rtmps,rtmpe"], &["--order", "netconnection"], &["--order", "rtmps:443"]]
        {
            let mut command = site.network.client.command(env!("CARGO_BIN_EXE_publish"));
            let url = site.url("").replace("rtmp:", "rtmps:").replace("live/x", &format!("live/{KEY}"));
            command.args(["--fast", "--quiet", "--tls-insecure"]).args(arguments).arg(clip()).arg(url);
            let finished = finish_within(LIMIT, &mut command).unwrap();
            assert_eq!(finished.status.code(), Some(1));
            assert_eq!(finished.stderr.trim_end(), format!("publish: no connection; failed on RTMPS 443: {outcome}"));
        }
        let (ports, bytes) = capture.ports_and_bytes();
        assert!(!ports.is_empty() && ports.iter().all(|port| *port == 443), "{ports:?}");
        assert!(!bytes.windows(8).any(|window| KEY.as_bytes().windows(8).any(|part| part == window)));
    }
}

#[test]
#[ignore = "needs network namespaces: host-tests/run runs it"]
fn item_220_behind_a_firewall_that_passes_tls_alone_an_rtmp_url_ends_in_rtmps_on_443() {
    let (authority, directory) = (Authority::new("root"), tempfile::tempdir().unwrap());
    let ca = authority.file(&directory);
    let identity = authority.identity(&SERVER.to_string(), Dates::Valid, &[]);
    // The first byte that a client sends on 443 must be the first byte of TLS.
    let rule = "tcp dport { 1935, 80 } drop\ntcp dport 443 @ih,0,8 0x03 drop";
    let site = Site::with(rule, &[1935, 80, 443], &identity.arguments());
    let (status, attempts) = site.publish(&["--allow", "rtmps", "--tls-ca", &ca, "--sockets", "8"]);
    let lost = "abandoned, another was first";
    let expected =
        ["RTMP 1935", "RTMP 80", "RTMP 443", "RTMPT 80"].map(|target| format!("{target}: {lost}; ")).concat();
    assert!(attempts.starts_with(&format!("{expected}RTMPS 443: connected")), "{attempts}");
    assert_eq!(status, Some(0));
    assert_eq!(media(&site.directory.path().join("live-x.flv")), media(&clip()));
    // There is no connection without the fallback, and none to a server that is not trusted.
    let (status, attempts) = site.publish(&[]);
    assert!(status == Some(1) && !attempts.contains("RTMPS"), "{attempts}");
    let (status, attempts) = site.publish(&["--allow", "rtmps", "--sockets", "8"]);
    assert!(attempts.contains("RTMPS 443: the certificate of the server was refused"), "{attempts}");
    assert_eq!(status, Some(1));
}

#[test]
#[ignore = "needs node-media-server: host-tests/run runs it"]
fn item_222_publish_and_play_verify_node_media_server() {
    let (authority, directory) = (Authority::new("root"), tempfile::tempdir().unwrap());
    let (identity, ca) = (authority.identity(NAME, Dates::Valid, &[]), authority.file(&directory));
    let server = NodeMediaServer::with_tls(&identity.chain_file(), &identity.key_file()).unwrap();
    let (url, file) = (url("rtmps", server.tls_port()), directory.path().join("played.flv"));
    let running = start(&mut player(&url, &file, &["--tls-ca", &ca])).unwrap();
    server.wait_for_player().unwrap();
    let summary = publish_well(&clip(), &url, &["--fast", "--tls-ca", &ca]);
    assert_eq!(summary["attempts"][0]["transport"], "RTMPS");
    let (status, _, errors) = played(running);
    assert_eq!(status, Some(0), "{errors}{}", server.log());
    assert_eq!(frame_hashes(&file).unwrap(), frame_hashes(&clip()).unwrap());
    // Another authority does not vouch for it.
    assert_eq!(
        said(server.tls_port(), &[]),
        "its issuer is an unknown CA, and the server sends no intermediate certificate"
    );
}
