//! The port plan through real firewalls: two network namespaces, and nft rules between them.

mod support;

use host_tests::peers::finish_within;
use host_tests::peers::network::WIRE;
use support::site::{Capture, Site};
use support::{LIMIT, clip, tags};

/// Matches segments with data. TCP's own segments are shorter.
const DATA: &str = "meta length > 200";

const LOST: &str = "abandoned, another was first";
const DROPPED: &str = "dropped, no answer in time";

#[test]
#[ignore = "needs network namespaces: host-tests/run runs it"]
fn without_a_firewall_the_first_port_wins() {
    let site = Site::new("");
    assert_eq!(site.ports(), [["connected"; 3]; 2]);
    let (status, attempts) = site.publish(&["--order", "netconnection"]);
    assert_eq!((status, &*attempts), (Some(0), "RTMP 1935: connected; RTMP 80: not needed; RTMP 443: not needed"));
}

#[test]
#[ignore = "needs network namespaces: host-tests/run runs it"]
fn item_093_a_firewall_that_drops_1935() {
    let site = Site::new("tcp dport 1935 drop");
    assert_eq!(site.ports(), [["dropped", "connected", "connected"]; 2]);
    let (status, attempts) = site.publish(&["--order", "player"]);
    let sequential = format!("RTMP 1935: {DROPPED}; RTMP 80: connected; RTMPT 80: not needed");
    assert_eq!((status, attempts), (Some(0), sequential));
    // In a race, 1935 is abandoned when another port has won, which is before its deadline.
    let (status, attempts) = site.publish(&["--sockets", "2"]);
    assert!(attempts.starts_with(&format!("RTMP 1935: {LOST}; RTMP 80: connected;")), "{attempts}");
    assert_eq!(status, Some(0));
}

#[test]
#[ignore = "needs network namespaces: host-tests/run runs it"]
fn item_093_a_firewall_that_rejects_1935_with_a_reset() {
    let site = Site::new("tcp dport 1935 reject with tcp reset");
    assert_eq!(site.ports(), [["refused", "connected", "connected"]; 2]);
    for order in ["player", "netconnection", "smart", "1935,80"] {
        let (status, attempts) = site.publish(&["--order", order]);
        assert!(attempts.starts_with("RTMP 1935: refused; RTMP 80: connected"), "{order}: {attempts}");
        assert_eq!(status, Some(0));
    }
}

#[test]
#[ignore = "needs network namespaces: host-tests/run runs it"]
fn item_093_a_firewall_that_prohibits_1935_by_icmp() {
    let site = Site::new("tcp dport 1935 reject with icmpx type admin-prohibited");
    assert_eq!(site.ports(), [["unreachable", "connected", "connected"]; 2]);
    let (status, attempts) = site.publish(&["--order", "netconnection"]);
    let expected = "RTMP 1935: unreachable; RTMP 80: connected; RTMP 443: not needed";
    assert_eq!((status, &*attempts), (Some(0), expected));
}

#[test]
#[ignore = "needs network namespaces: host-tests/run runs it"]
fn item_093_tcp_is_accepted_on_1935_and_then_there_is_silence() {
    let site = Site::new(&format!("tcp dport 1935 {DATA} drop"));
    assert_eq!(site.ports(), [["silent", "connected", "connected"]; 2]);
    let (status, attempts) = site.publish(&["--order", "netconnection"]);
    let silent = "RTMP 1935: connected, but no RTMP handshake in time";
    assert_eq!((status, attempts), (Some(0), format!("{silent}; RTMP 80: connected; RTMP 443: not needed")));
    let (status, attempts) = site.publish(&[]);
    assert!(attempts.starts_with(&format!("RTMP 1935: {LOST}; RTMP 80: connected;")), "{attempts}");
    assert_eq!(status, Some(0));
}

#[test]
#[ignore = "needs network namespaces: host-tests/run runs it"]
fn item_093_rtmp_is_reset_on_every_port_and_http_passes() {
    // The first segment of a connection, if it begins like C0.
    let rtmp = "ct original bytes < 2200 meta length > 1000 @ih,0,8 3";
    let site = Site::new(&format!("tcp dport {{ 1935, 80, 443 }} {rtmp} reject with tcp reset"));
    assert_eq!(site.ports(), [["closed"; 3], ["connected"; 3]]);
    let closed = |port: u16| format!("RTMP {port}: closed during the RTMP handshake");
    let (status, attempts) = site.publish(&["--order", "netconnection"]);
    assert_eq!((status, attempts), (Some(1), [1935, 80, 443].map(closed).join("; ")));
    let (status, attempts) = site.publish(&[]);
    assert_eq!((status, attempts), (Some(0), [1935, 80, 443].map(closed).join("; ") + "; RTMPT 80: connected"));
}

#[test]
#[ignore = "needs network namespaces: host-tests/run runs it"]
fn item_098_only_well_formed_http_on_80_passes() {
    let site = Site::serving("tcp dport != 80 drop", &[8081]).proxy();
    assert_eq!(site.ports(), [["dropped", "not RTMP", "dropped"], ["dropped", "connected", "dropped"]]);
    let (status, attempts) = site.publish(&["--order", "player"]);
    let expected = format!("RTMP 1935: {DROPPED}; RTMP 80: answered, but not in RTMP; RTMPT 80: connected");
    assert_eq!((status, attempts), (Some(0), expected));
    let (status, attempts) = site.publish(&[]);
    assert!(attempts.contains("RTMP 80: answered, but not in RTMP; ") && attempts.ends_with("; RTMPT 80: connected"));
    assert_eq!(status, Some(0), "{attempts}");
    let recorded = site.directory.path().join("live-x.flv");
    assert_eq!(tags(&recorded), tags(&clip()));
}

#[test]
#[ignore = "needs network namespaces: host-tests/run runs it"]
fn a_connection_that_is_cut_off_after_the_handshake_leads_to_the_next_port() {
    // C0 and C1 pass, and the answer to them.
    let site = Site::new("tcp dport 1935 ct original bytes > 2200 drop");
    // The handshake of a tunnel needs more bytes than may pass.
    assert_eq!(site.ports(), [["connected"; 3], ["silent", "connected", "connected"]]);
    let (status, attempts) = site.publish(&["--order", "netconnection"]);
    let cut_off = "RTMP 1935: cut off after the RTMP handshake";
    assert_eq!((status, attempts), (Some(0), format!("{cut_off}; RTMP 80: connected; RTMP 443: not needed")));
}

#[test]
#[ignore = "needs network namespaces: host-tests/run runs it"]
fn item_094_a_web_server_on_80_and_1935_dropped() {
    let site = Site::serving("tcp dport 1935 drop", &[1935, 443]).proxy();
    assert_eq!(site.ports(), [["dropped", "not RTMP", "connected"]; 2]);
    let (status, attempts) = site.publish(&["--order", "netconnection"]);
    let expected = format!("RTMP 1935: {DROPPED}; RTMP 80: answered, but not in RTMP; RTMP 443: connected");
    assert_eq!((status, attempts), (Some(0), expected));
    let (status, attempts) = site.publish(&["--order", "1935,80,443", "--stagger", "30"]);
    assert!(attempts.starts_with(&format!("RTMP 1935: {LOST}; RTMP 80: ")), "{attempts}");
    assert!(status == Some(0) && attempts.ends_with("RTMP 443: connected"), "{attempts}");
}

#[test]
#[ignore = "needs network namespaces: host-tests/run runs it"]
fn item_093_only_443_passes() {
    let site = Site::new("tcp dport != 443 drop");
    assert_eq!(site.ports(), [["dropped", "dropped", "connected"]; 2]);
    let (status, attempts) = site.publish(&["--order", "netconnection"]);
    let expected = format!("RTMP 1935: {DROPPED}; RTMP 80: {DROPPED}; RTMP 443: connected");
    assert_eq!((status, attempts), (Some(0), expected));
    let (status, attempts) = site.publish(&["--order", "1935,80,443,8080,7070"]);
    let expected = format!("RTMP 1935: {LOST}; RTMP 80: {LOST}; RTMP 443: connected");
    assert!(status == Some(0) && attempts.starts_with(&expected), "{attempts}");
}

#[test]
#[ignore = "needs network namespaces: host-tests/run runs it"]
fn item_093_nothing_passes() {
    let site = Site::new("meta l4proto tcp drop");
    assert_eq!(site.ports(), [["dropped"; 3]; 2]);
    let (status, attempts) = site.publish(&["--order", "1935,80,443", "--sockets", "3"]);
    let expected = [1935, 80, 443].map(|port| format!("RTMP {port}: {DROPPED}")).join("; ");
    assert_eq!((status, attempts), (Some(1), expected));
}

#[test]
#[ignore = "needs network namespaces: host-tests/run runs it"]
fn a_host_that_does_not_exist() {
    let site = Site::new("");
    site.network.client.shell(&format!("ip addr flush dev {WIRE}"), "").unwrap();
    assert_eq!(site.ports(), [["unreachable"; 3]; 2]);
}

#[test]
#[ignore = "needs network namespaces: host-tests/run runs it"]
fn item_092_with_a_port_in_the_url_every_syn_goes_to_that_port() {
    let site = Site::new("tcp dport 80 drop");
    for order in ["player", "netconnection", "smart", "1935,443"] {
        let capture = Capture::start(&site, order);
        let mut command = site.network.client.command(env!("CARGO_BIN_EXE_publish"));
        command.args(["--fast", "--json", "--order", order]).arg(clip()).arg(site.url(":80"));
        let finished = finish_within(LIMIT, &mut command).unwrap();
        assert_eq!(finished.status.code(), Some(1), "{}", finished.stderr);
        let ports = capture.ports();
        assert!(!ports.is_empty() && ports.iter().all(|port| *port == 80), "{order}: {ports:?}");
    }
    // The same capture sees other ports if other ports are tried.
    let capture = Capture::start(&site, "none");
    site.publish(&["--order", "80,443"]);
    let ports = capture.ports();
    assert!(ports.contains(&80) && ports.contains(&443), "{ports:?}");
}
