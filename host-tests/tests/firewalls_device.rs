//! The port plan and the port test of a device's network stack (smoltcp, behind a TAP interface) through real firewalls.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use embedded_rtmp::message::MessageKind;
use host_tests::flv::Tag;
use host_tests::peers::finish_within;
use support::site::{Capture, Site};
use support::{LIMIT, clip, media};

/// Builds the demo, unless `host-tests/run` has built it. Returns the executable.
fn demo() -> &'static Path {
    static DEMO: OnceLock<PathBuf> = OnceLock::new();
    DEMO.get_or_init(|| {
        if std::env::var_os("HOST_TESTS_BUILT").is_none() {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "--quiet", "-p", "embedded-rtmp-demo", "--bin", "demo"]);
            finish_within(10 * LIMIT, &mut cargo).unwrap().successful().unwrap();
        }
        Path::new(env!("CARGO_BIN_EXE_publish")).with_file_name("demo")
    })
}

/// The device's result for each port: in the port test, and then when it publishes.
struct Told {
    status: Option<i32>,
    test: Vec<String>,
    publish: Vec<String>,
    errors: String,
}

/// Puts a device on the network behind the client, as a router, and has it test the ports of the server and publish there.
fn device(site: &Site, port: &str, sockets: &str) -> Told {
    let (client, server) = (&site.network.client, &site.network.server);
    let interface = "ip tuntap add dev tap0 mode tap; ip addr add 10.77.1.1/24 dev tap0; ip link set tap0 up";
    let forward = "echo 1 >/proc/sys/net/ipv4/ip_forward";
    client.shell(&format!("test -e /sys/class/net/tap0 || {{ {interface}; {forward}; }}"), "").unwrap();
    server.shell("ip route replace 10.77.1.0/24 via 10.77.0.1", "").unwrap();
    let mut command = client.command(demo());
    command.args(["tap", "tap0", &site.url(port), "--sockets", sockets]);
    let finished = finish_within(2 * LIMIT, &mut command).unwrap();
    let output = String::from_utf8(finished.stdout).unwrap();
    // Times are left out.
    let lines = |what: &str| {
        let lines = output.lines().filter_map(|line| line.strip_prefix(what));
        lines.map(|line| line.split(';').next().unwrap_or_default().to_owned()).collect()
    };
    Told { status: finished.status.code(), test: lines("test: "), publish: lines("publish: "), errors: finished.stderr }
}

/// Checks both, and that the clip was published if it should have been.
fn check(rules: &str, sockets: &str, test: [&str; 3], publish: [&str; 3]) {
    let site = Site::new(rules);
    let told = device(&site, "", sockets);
    let with_ports = |words: [&str; 3], tunnel: &str| {
        let ports = ["RTMP 1935", "RTMP 80", "RTMP 443"];
        let rows = ports.iter().zip(words).map(|(port, word)| format!("{port}: {word}"));
        rows.chain([format!("RTMPT 80: {tunnel}")]).collect::<Vec<_>>()
    };
    assert_eq!(told.test[..3], with_ports(test, "")[..3], "{}", told.errors);
    assert_eq!(told.publish[..3], with_ports(publish, "")[..3], "{}", told.errors);
    let published = publish.contains(&CONNECTED);
    assert_eq!(told.status, Some(i32::from(!published)), "{}", told.errors);
    if published {
        // Audio may pass a long video frame, so only the order within each kind is compared.
        let (recorded, sent) = (media(&site.directory.path().join("live-x.flv")), media(&clip()));
        for kind in [MessageKind::AUDIO, MessageKind::VIDEO] {
            let of_kind = |tag: &&Tag| tag.kind == kind;
            assert!(
                recorded.iter().filter(of_kind).eq(sent.iter().filter(of_kind)),
                "the clip did not arrive unchanged"
            );
        }
    }
}

const CONNECTED: &str = "connected";
const DROPPED: &str = "dropped, no answer in time";
const LOST: &str = "abandoned, another was first";
const NEEDLESS: &str = "not needed";

#[test]
#[ignore = "needs network namespaces and a TAP interface: host-tests/run runs it"]
fn item_093_a_firewall_that_drops_1935() {
    check("tcp dport 1935 drop", "2", [DROPPED, CONNECTED, CONNECTED], [LOST, CONNECTED, NEEDLESS]);
}

#[test]
#[ignore = "needs network namespaces and a TAP interface: host-tests/run runs it"]
fn item_093_one_socket_and_a_firewall_that_drops_1935() {
    check("tcp dport 1935 drop", "1", [DROPPED, CONNECTED, CONNECTED], [DROPPED, CONNECTED, NEEDLESS]);
}

#[test]
#[ignore = "needs network namespaces and a TAP interface: host-tests/run runs it"]
fn item_093_a_firewall_that_rejects_1935_with_a_reset() {
    let rules = "tcp dport 1935 reject with tcp reset";
    check(rules, "2", ["refused", CONNECTED, CONNECTED], ["refused", CONNECTED, NEEDLESS]);
}

/// smoltcp ignores the ICMP message.
#[test]
#[ignore = "needs network namespaces and a TAP interface: host-tests/run runs it"]
fn item_093_a_firewall_that_prohibits_1935_by_icmp_looks_like_a_drop_to_a_device() {
    let rules = "tcp dport 1935 reject with icmpx type admin-prohibited";
    check(rules, "2", [DROPPED, CONNECTED, CONNECTED], [LOST, CONNECTED, NEEDLESS]);
}

#[test]
#[ignore = "needs network namespaces and a TAP interface: host-tests/run runs it"]
fn item_093_tcp_is_accepted_on_1935_and_then_there_is_silence() {
    let silent = "connected, but no RTMP handshake in time";
    check("tcp dport 1935 meta length > 200 drop", "2", [silent, CONNECTED, CONNECTED], [LOST, CONNECTED, NEEDLESS]);
}

#[test]
#[ignore = "needs network namespaces and a TAP interface: host-tests/run runs it"]
fn item_093_rtmp_is_reset_on_every_port() {
    let closed = "closed during the RTMP handshake";
    check("tcp dport { 1935, 80, 443 } meta length > 200 reject with tcp reset", "2", [closed; 3], [closed; 3]);
}

#[test]
#[ignore = "needs network namespaces and a TAP interface: host-tests/run runs it"]
fn a_connection_that_is_cut_off_after_the_handshake_leads_to_the_next_port() {
    let cut_off = "cut off after the RTMP handshake";
    check("tcp dport 1935 ct original bytes > 2200 drop", "1", [CONNECTED; 3], [cut_off, CONNECTED, NEEDLESS]);
}

#[test]
#[ignore = "needs network namespaces and a TAP interface: host-tests/run runs it"]
fn item_093_only_443_passes() {
    check("tcp dport != 443 drop", "3", [DROPPED, DROPPED, CONNECTED], [LOST, LOST, CONNECTED]);
}

#[test]
#[ignore = "needs network namespaces and a TAP interface: host-tests/run runs it"]
fn item_093_nothing_passes() {
    check("meta l4proto tcp drop", "4", [DROPPED; 3], [DROPPED; 3]);
}

#[test]
#[ignore = "needs network namespaces and a TAP interface: host-tests/run runs it"]
fn item_094_a_web_server_on_80_and_1935_dropped() {
    let site = Site::serving("tcp dport 1935 drop", &[1935, 443]).proxy();
    let told = device(&site, "", "3");
    let expected =
        ["RTMP 1935: dropped, no answer in time", "RTMP 80: answered, but not in RTMP", "RTMP 443: connected"];
    assert_eq!(told.test[..3], expected);
    let expected = ["RTMP 1935: abandoned, another was first", expected[1], expected[2]];
    assert_eq!((told.status, &told.publish[..3]), (Some(0), &expected.map(str::to_owned)[..]), "{}", told.errors);
}

#[test]
#[ignore = "needs network namespaces and a TAP interface: host-tests/run runs it"]
fn item_092_with_a_port_in_the_url_every_syn_goes_to_that_port() {
    let site = Site::new("tcp dport 80 drop");
    let capture = Capture::start(&site, "device");
    let told = device(&site, ":80", "4");
    assert_eq!((told.status, &*told.publish), (Some(1), &[format!("RTMP 80: {DROPPED}")][..]), "{}", told.errors);
    let ports = capture.ports();
    assert!(!ports.is_empty() && ports.iter().all(|port| *port == 80), "{ports:?}");
}
