//! The firmware in QEMU over TLS: RTMPS to nginx, whose stream module decrypts it, and RTMPTS to `serve`.

#[path = "support/pki.rs"]
#[allow(dead_code, reason = "the tests of handshakes use the rest")]
mod pki;
mod support;

use std::process::Command;
use std::time::Duration;

use host_tests::firmware::{are_parts_of_the_clip, board, counted};
use host_tests::peers::{Application, Finished, Nginx, NginxOptions, NodeMediaServer, TlsProxy, finish_within, start};
use support::certificates::{Authority, Dates, Identity, NAME};
use support::{Serve, played, player};

/// Long enough for a build of the firmware on a busy machine, and for the test.
const LIMIT: Duration = Duration::from_secs(240);

/// Lets the image publish over TLS. Returns how it ended, and its log.
fn run(url: &str, pin: &str) -> (Finished, String) {
    let mut run = Command::new(board().join("run"));
    let finished = finish_within(LIMIT, run.args(["--tls", "publish", url, "--pin", pin])).unwrap();
    let log = String::from_utf8_lossy(&finished.stdout).into_owned();
    (finished, log)
}

fn publish(nginx: &Nginx, proxy: &TlsProxy, pin: [u8; 32]) -> (Finished, String) {
    let url = nginx.url(Application::Record, "tls").replace("rtmp://", "rtmps://");
    let url = url.replace(&format!("127.0.0.1:{}", nginx.port()), &format!("10.0.2.2:{}", proxy.port()));
    let pin: String = pin.iter().map(|byte| format!("{byte:02x}")).collect();
    run(&url, &pin)
}

#[test]
#[ignore = "needs qemu-system-arm, nginx with its RTMP and stream modules: host-tests/run runs it"]
fn the_image_publishes_over_tls_to_a_server_with_the_pinned_key() {
    let nginx = Nginx::start(NginxOptions::default()).unwrap();
    let proxy = TlsProxy::start(nginx.port()).unwrap();
    let pin = pki::pin(&proxy.certificate().unwrap());
    let (finished, log) = publish(&nginx, &proxy, pin);
    println!("{log}");
    assert_eq!(finished.status.code(), Some(0), "{log}{}", finished.stderr);
    assert_eq!(counted(&log).unwrap(), [[174, 0], [100, 0]]);
    are_parts_of_the_clip(&nginx.recordings("tls").unwrap(), 1, &log).unwrap();
}

#[test]
#[ignore = "needs qemu-system-arm, nginx with its RTMP and stream modules: host-tests/run runs it"]
fn the_image_refuses_a_server_with_another_key() {
    let nginx = Nginx::start(NginxOptions::default()).unwrap();
    let proxy = TlsProxy::start(nginx.port()).unwrap();
    let (finished, log) = publish(&nginx, &proxy, [7; 32]);
    assert_eq!(finished.status.code(), Some(1), "{log}");
    assert!(log.contains("WrongKey"), "{log}");
    assert_eq!(nginx.recordings("tls").unwrap().len(), 0);
}

/// Lets the image publish to a server in a tunnel inside TLS.
fn publish_in_a_tunnel(port: u16, pin: &str) -> (Finished, String) {
    run(&format!("rtmpts://10.0.2.2:{port}/live/x"), pin)
}

/// `serve` with TLS, and its identity.
fn serving() -> (Serve, Identity) {
    let identity = Authority::new("root").identity(NAME, Dates::Valid, &[]);
    let arguments = identity.arguments();
    (Serve::start(&arguments.each_ref().map(String::as_str)), identity)
}

#[test]
#[ignore = "needs qemu-system-arm: host-tests/run runs it"]
fn item_286_the_image_publishes_through_a_tunnel_inside_tls() {
    let (serve, identity) = serving();
    let (finished, log) = publish_in_a_tunnel(serve.port(), &identity.pin());
    assert_eq!(finished.status.code(), Some(0), "{log}{}{}", finished.stderr, serve.said());
    assert_eq!(counted(&log).unwrap(), [[174, 0], [100, 0]]);
    are_parts_of_the_clip(&[serve.recording("live-x.flv")], 1, &log).unwrap();
}

/// The web server closes each connection after four requests, so the tunnel needs many connections, each inside TLS.
#[test]
#[ignore = "needs qemu-system-arm and nginx: host-tests/run runs it"]
fn item_286_a_tunnel_inside_tls_continues_on_other_connections() {
    let (serve, identity) = serving();
    let front = TlsProxy::for_tunnels(serve.port(), &identity.chain_file(), &identity.key_file(), 4).unwrap();
    let (finished, log) = publish_in_a_tunnel(front.port(), &identity.pin());
    assert_eq!(finished.status.code(), Some(0), "{log}{}{}", finished.stderr, serve.said());
    let [[audio, _], [video, _]] = counted(&log).unwrap();
    assert!(audio + video > 0 && log.contains("1 connections"), "{log}");
    are_parts_of_the_clip(&[serve.recording("live-x.flv")], 1, &log).unwrap();
}

#[test]
#[ignore = "needs qemu-system-arm: host-tests/run runs it"]
fn item_286_a_tunnel_inside_tls_is_not_opened_to_a_server_with_another_key() {
    let (serve, _identity) = serving();
    let (finished, log) = publish_in_a_tunnel(serve.port(), &"07".repeat(32));
    assert_eq!(finished.status.code(), Some(1), "{log}");
    assert!(log.contains("WrongKey"), "{log}");
    assert_eq!(serve.stop()["recordings"].as_array().unwrap().len(), 0);
}

#[test]
#[ignore = "needs qemu-system-arm and node-media-server: host-tests/run runs it"]
fn the_image_publishes_over_tls_to_node_media_server() {
    let (authority, directory) = (Authority::new("root"), tempfile::tempdir().unwrap());
    let (identity, ca) = (authority.identity(NAME, Dates::Valid, &[]), authority.file(&directory));
    let server = NodeMediaServer::with_tls(&identity.chain_file(), &identity.key_file()).unwrap();
    let (port, file) = (server.tls_port(), directory.path().join("played.flv"));
    let url = format!("rtmps://{NAME}:{port}/live/x");
    let playing = start(&mut player(&url, &file, &["--tls-ca", &ca])).unwrap();
    server.wait_for_player().unwrap();
    let (finished, log) = run(&format!("rtmps://10.0.2.2:{port}/live/x"), &identity.pin());
    assert_eq!(finished.status.code(), Some(0), "{log}{}{}", finished.stderr, server.log());
    let (status, _, errors) = played(playing);
    assert_eq!(status, Some(0), "{errors}");
    are_parts_of_the_clip(&[file], 1, &log).unwrap();
}
