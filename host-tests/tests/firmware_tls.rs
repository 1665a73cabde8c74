//! The firmware in QEMU over TLS: RTMPS to nginx, whose stream module decrypts it.

#[path = "support/pki.rs"]
#[allow(dead_code, reason = "the tests of handshakes use the rest")]
mod pki;
mod support;

use std::process::Command;
use std::time::Duration;

use host_tests::firmware::{are_parts_of_the_clip, board, counted};
use host_tests::peers::{Application, Finished, Nginx, NginxOptions, TlsProxy, finish_within};

/// Long enough for a build of the firmware on a busy machine, and for the test.
const LIMIT: Duration = Duration::from_secs(240);

fn publish(nginx: &Nginx, proxy: &TlsProxy, pin: [u8; 32]) -> (Finished, String) {
    let url = nginx.url(Application::Record, "tls").replace("rtmp://", "rtmps://");
    let url = url.replace(&format!("127.0.0.1:{}", nginx.port()), &format!("10.0.2.2:{}", proxy.port()));
    let pin: String = pin.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut run = Command::new(board().join("run"));
    let finished = finish_within(LIMIT, run.args(["--tls", "publish", &url, "--pin", &pin])).unwrap();
    let log = String::from_utf8_lossy(&finished.stdout).into_owned();
    (finished, log)
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
