//! Every preset with every firewall, on the simulated wire: which attempt wins and when, and the reports of the others.
//!
//! The server listens on 1935, 80 and 443, and accepts RTMPT on 80, RTMPE on 1935 and RTMPS on 443.

use core::time::Duration;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::simulation::{Wire, run};
use super::*;
use Firewall as F;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Firewall {
    /// None.
    Open,
    /// 1935 is dropped.
    Drop,
    /// 1935 is rejected with a reset.
    Reset,
    /// 1935 is rejected with an ICMP message, which the client's stack reports. (smoltcp does not report it: see
    /// `Drop`.)
    Prohibited,
    /// TCP connects on 1935, and then the server sends nothing.
    Silence,
    /// TCP passes on every port, and segments that look like RTMP are dropped.
    RtmpDropped,
    /// TCP passes on every port, and segments that look like RTMP are answered with a reset.
    RtmpReset,
    /// RTMP's handshake passes on 1935, and everything after it is dropped.
    CutOff,
    /// A captive proxy on 80 answers 400 to everything; 1935 is dropped.
    Proxy,
    /// A proxy on 80 passes well-formed HTTP, and answers 400 to the rest. All other ports are dropped.
    HttpOnly,
    /// All ports except 443 are dropped.
    Only443,
    /// Packets to all ports except 443 are dropped. On 443, only TLS passes.
    OnlyTls,
    /// The same, and an attacker answers on 443 with a certificate of its own.
    Attacker,
    /// TCP passes on every port, and segments that look like RTMP or HTTP are dropped.
    Inspected,
    /// All ports are dropped.
    Nothing,
}

impl Firewall {
    fn wire(self, target: Target) -> Wire {
        let open = match (target.transport, target.port) {
            (Transport::Rtmp, 1935 | 80 | 443) => Wire::Rtmp,
            (Transport::Rtmpt, 80) => Wire::Tunnel,
            (Transport::Rtmpe, 1935) => Wire::Rtmp,
            (Transport::Rtmps, 443) => Wire::Tls,
            _ => Wire::Refuse,
        };
        match (self, target.transport, target.port) {
            (F::Nothing, ..) => Wire::Drop,
            (F::Only443 | F::OnlyTls | F::Attacker, _, port) if port != 443 => Wire::Drop,
            (F::HttpOnly, _, port) if port != 80 => Wire::Drop,
            (F::HttpOnly, Transport::Rtmp, _) | (F::Proxy, _, 80) => Wire::Http,
            (F::OnlyTls, transport, _) if !transport.is_tls() => Wire::Close,
            (F::Attacker, transport, _) => {
                if transport.is_tls() {
                    Wire::Untrusted
                } else {
                    Wire::Close
                }
            }
            (F::Inspected, Transport::Rtmp | Transport::Rtmpt, _) => Wire::Silent,
            (F::Drop | F::Proxy, _, 1935) => Wire::Drop,
            (F::Reset, _, 1935) => Wire::Refuse,
            (F::Prohibited, _, 1935) => Wire::Unreachable,
            (F::Silence, _, 1935) => Wire::Silent,
            (F::CutOff, _, 1935) => Wire::CutOff,
            (F::RtmpDropped, Transport::Rtmp, _) if open == Wire::Rtmp => Wire::Silent,
            (F::RtmpReset, Transport::Rtmp, _) if open == Wire::Rtmp => Wire::Close,
            _ => open,
        }
    }
}

/// A firewall, the target that wins behind it and after how many milliseconds, and the reports of the others.
type Row = (Firewall, &'static str, &'static str);

fn told(targets: &[Target], limits: Limits, firewall: Firewall, tunnels: bool) -> (String, String) {
    let course = run(targets, limits, |target| match target.transport {
        Transport::Rtmpt if !tunnels => Wire::Unsupported,
        _ => firewall.wire(target),
    });
    assert!(course.most_at_once <= limits.max_at_once.into());
    let failures: Vec<_> = course.failures.iter().map(|(target, why)| format!("{target} {why:?}")).collect();
    let end = course.winner.map_or(format!("none, {}", course.end), |(at, target)| format!("{target}, {at}"));
    (end, failures.join(", "))
}

fn check<const N: usize>(targets: &[Target], limits: Limits, tunnels: bool, rows: [Row; N]) {
    for (firewall, winner, failures) in rows {
        let (end, failed) = told(targets, limits, firewall, tunnels);
        assert_eq!((&*end, &*failed), (winner, failures), "{firewall:?}");
    }
}

#[test]
fn item_093_the_player_order() {
    check(
        PLAYER,
        Limits::SEQUENTIAL,
        true,
        [
            (F::Open, "RTMP 1935, 120", ""),
            (F::Drop, "RTMP 80, 3120", "RTMP 1935 TimedOut"),
            (F::Reset, "RTMP 80, 160", "RTMP 1935 Refused"),
            (F::Prohibited, "RTMP 80, 160", "RTMP 1935 Unreachable"),
            (F::Silence, "RTMP 80, 5160", "RTMP 1935 HandshakeTimedOut"),
            (F::RtmpDropped, "RTMPT 80, 10240", "RTMP 1935 HandshakeTimedOut, RTMP 80 HandshakeTimedOut"),
            (F::RtmpReset, "RTMPT 80, 320", "RTMP 1935 Closed, RTMP 80 Closed"),
            (F::CutOff, "RTMP 80, 5240", "RTMP 1935 CutOff"),
            (F::Proxy, "none, 3160", "RTMP 1935 TimedOut, RTMP 80 NotRtmp, RTMPT 80 NotRtmp"),
            (F::HttpOnly, "RTMPT 80, 3240", "RTMP 1935 TimedOut, RTMP 80 NotRtmp"),
            (F::Only443, "none, 9000", "RTMP 1935 TimedOut, RTMP 80 TimedOut, RTMPT 80 TimedOut"),
            (F::Nothing, "none, 9000", "RTMP 1935 TimedOut, RTMP 80 TimedOut, RTMPT 80 TimedOut"),
        ],
    );
}

#[test]
fn item_093_the_net_connection_order() {
    check(
        NET_CONNECTION,
        Limits::SEQUENTIAL,
        true,
        [
            (F::Open, "RTMP 1935, 120", ""),
            (F::Drop, "RTMP 80, 3120", "RTMP 1935 TimedOut"),
            (F::Reset, "RTMP 80, 160", "RTMP 1935 Refused"),
            (F::Prohibited, "RTMP 80, 160", "RTMP 1935 Unreachable"),
            (F::Silence, "RTMP 80, 5160", "RTMP 1935 HandshakeTimedOut"),
            (
                F::RtmpDropped,
                "none, 15120",
                "RTMP 1935 HandshakeTimedOut, RTMP 80 HandshakeTimedOut, RTMP 443 HandshakeTimedOut",
            ),
            (F::RtmpReset, "none, 240", "RTMP 1935 Closed, RTMP 80 Closed, RTMP 443 Closed"),
            (F::CutOff, "RTMP 80, 5240", "RTMP 1935 CutOff"),
            (F::Proxy, "RTMP 443, 3200", "RTMP 1935 TimedOut, RTMP 80 NotRtmp"),
            (F::HttpOnly, "none, 6080", "RTMP 1935 TimedOut, RTMP 80 NotRtmp, RTMP 443 TimedOut"),
            (F::Only443, "RTMP 443, 6120", "RTMP 1935 TimedOut, RTMP 80 TimedOut"),
            (F::Nothing, "none, 9000", "RTMP 1935 TimedOut, RTMP 80 TimedOut, RTMP 443 TimedOut"),
        ],
    );
}

#[test]
fn item_092_an_explicit_port_alone() {
    check(
        &[Target::rtmp(80)],
        Limits::smart(4),
        true,
        [
            (F::Open, "RTMP 80, 120", ""),
            (F::Drop, "RTMP 80, 120", ""),
            (F::Reset, "RTMP 80, 120", ""),
            (F::Prohibited, "RTMP 80, 120", ""),
            (F::Silence, "RTMP 80, 120", ""),
            (F::RtmpDropped, "none, 5040", "RTMP 80 HandshakeTimedOut"),
            (F::RtmpReset, "none, 80", "RTMP 80 Closed"),
            (F::CutOff, "RTMP 80, 120", ""),
            (F::Proxy, "none, 80", "RTMP 80 NotRtmp"),
            (F::HttpOnly, "none, 80", "RTMP 80 NotRtmp"),
            (F::Only443, "none, 3000", "RTMP 80 TimedOut"),
            (F::Nothing, "none, 3000", "RTMP 80 TimedOut"),
        ],
    );
}

#[test]
fn item_093_a_list_with_a_stagger_of_30_ms() {
    check(
        &[1935, 80, 443, 8080, 7070].map(Target::rtmp),
        Limits::staggered(Duration::from_millis(30), 5),
        true,
        [
            (F::Open, "RTMP 1935, 120", ""),
            (F::Drop, "RTMP 80, 150", "RTMP 8080 Refused"),
            (F::Reset, "RTMP 80, 150", "RTMP 1935 Refused, RTMP 8080 Refused"),
            (F::Prohibited, "RTMP 80, 150", "RTMP 1935 Unreachable, RTMP 8080 Refused"),
            (F::Silence, "RTMP 80, 150", "RTMP 8080 Refused"),
            (
                F::RtmpDropped,
                "none, 5100",
                "RTMP 1935 HandshakeTimedOut, RTMP 80 HandshakeTimedOut, RTMP 443 HandshakeTimedOut, RTMP 8080 Refused, RTMP 7070 Refused",
            ),
            (
                F::RtmpReset,
                "none, 160",
                "RTMP 1935 Closed, RTMP 80 Closed, RTMP 443 Closed, RTMP 8080 Refused, RTMP 7070 Refused",
            ),
            (F::CutOff, "RTMP 80, 5240", "RTMP 1935 CutOff, RTMP 8080 Refused"),
            (F::Proxy, "RTMP 443, 180", "RTMP 80 NotRtmp, RTMP 8080 Refused, RTMP 7070 Refused"),
            (
                F::HttpOnly,
                "none, 3120",
                "RTMP 1935 TimedOut, RTMP 80 NotRtmp, RTMP 443 TimedOut, RTMP 8080 TimedOut, RTMP 7070 TimedOut",
            ),
            (F::Only443, "RTMP 443, 180", ""),
            (
                F::Nothing,
                "none, 3120",
                "RTMP 1935 TimedOut, RTMP 80 TimedOut, RTMP 443 TimedOut, RTMP 8080 TimedOut, RTMP 7070 TimedOut",
            ),
        ],
    );
}

#[test]
fn item_093_smart_with_four_sockets() {
    check(
        DEFAULT_ORDER,
        Limits::smart(4),
        true,
        [
            (F::Open, "RTMP 1935, 120", ""),
            (F::Drop, "RTMP 80, 220", ""),
            (F::Reset, "RTMP 80, 160", "RTMP 1935 Refused"),
            (F::Prohibited, "RTMP 80, 160", "RTMP 1935 Unreachable"),
            (F::Silence, "RTMP 80, 220", ""),
            (F::RtmpDropped, "RTMPT 80, 460", ""),
            (F::RtmpReset, "RTMPT 80, 400", "RTMP 1935 Closed, RTMP 80 Closed, RTMP 443 Closed"),
            (F::CutOff, "RTMP 80, 5240", "RTMP 1935 CutOff"),
            (F::Proxy, "RTMP 443, 300", "RTMP 80 NotRtmp"),
            (F::HttpOnly, "RTMPT 80, 440", "RTMP 80 NotRtmp"),
            (F::Only443, "RTMP 443, 320", ""),
            (F::Nothing, "none, 3300", "RTMP 1935 TimedOut, RTMP 80 TimedOut, RTMP 443 TimedOut, RTMPT 80 TimedOut"),
        ],
    );
}

#[test]
fn item_093_smart_with_two_sockets() {
    check(
        DEFAULT_ORDER,
        Limits::smart(2),
        true,
        [
            (F::Open, "RTMP 1935, 120", ""),
            (F::Drop, "RTMP 80, 220", ""),
            (F::Reset, "RTMP 80, 160", "RTMP 1935 Refused"),
            (F::Prohibited, "RTMP 80, 160", "RTMP 1935 Unreachable"),
            (F::Silence, "RTMP 80, 220", ""),
            (F::RtmpDropped, "RTMPT 80, 5300", "RTMP 1935 HandshakeTimedOut, RTMP 80 HandshakeTimedOut"),
            (F::RtmpReset, "RTMPT 80, 400", "RTMP 1935 Closed, RTMP 80 Closed, RTMP 443 Closed"),
            (F::CutOff, "RTMP 80, 5240", "RTMP 1935 CutOff"),
            (F::Proxy, "RTMP 443, 300", "RTMP 80 NotRtmp"),
            (F::HttpOnly, "RTMPT 80, 3160", "RTMP 1935 TimedOut, RTMP 80 NotRtmp"),
            (F::Only443, "RTMP 443, 3120", "RTMP 1935 TimedOut, RTMP 80 TimedOut"),
            (F::Nothing, "none, 6100", "RTMP 1935 TimedOut, RTMP 80 TimedOut, RTMP 443 TimedOut, RTMPT 80 TimedOut"),
        ],
    );
}

#[test]
fn item_093_smart_with_one_socket() {
    check(
        DEFAULT_ORDER,
        Limits::smart(1),
        true,
        [
            (F::Open, "RTMP 1935, 120", ""),
            (F::Drop, "RTMP 80, 3120", "RTMP 1935 TimedOut"),
            (F::Reset, "RTMP 80, 160", "RTMP 1935 Refused"),
            (F::Prohibited, "RTMP 80, 160", "RTMP 1935 Unreachable"),
            (F::Silence, "RTMP 80, 5160", "RTMP 1935 HandshakeTimedOut"),
            (
                F::RtmpDropped,
                "RTMPT 80, 15280",
                "RTMP 1935 HandshakeTimedOut, RTMP 80 HandshakeTimedOut, RTMP 443 HandshakeTimedOut",
            ),
            (F::RtmpReset, "RTMPT 80, 400", "RTMP 1935 Closed, RTMP 80 Closed, RTMP 443 Closed"),
            (F::CutOff, "RTMP 80, 5240", "RTMP 1935 CutOff"),
            (F::Proxy, "RTMP 443, 3200", "RTMP 1935 TimedOut, RTMP 80 NotRtmp"),
            (F::HttpOnly, "RTMPT 80, 6240", "RTMP 1935 TimedOut, RTMP 80 NotRtmp, RTMP 443 TimedOut"),
            (F::Only443, "RTMP 443, 6120", "RTMP 1935 TimedOut, RTMP 80 TimedOut"),
            (F::Nothing, "none, 12000", "RTMP 1935 TimedOut, RTMP 80 TimedOut, RTMP 443 TimedOut, RTMPT 80 TimedOut"),
        ],
    );
}

#[test]
fn item_093_smart_without_tunnels() {
    check(
        DEFAULT_ORDER,
        Limits::smart(4),
        false,
        [
            (F::Open, "RTMP 1935, 120", ""),
            (F::Drop, "RTMP 80, 220", ""),
            (F::Reset, "RTMP 80, 160", "RTMP 1935 Refused"),
            (F::Prohibited, "RTMP 80, 160", "RTMP 1935 Unreachable"),
            (F::Silence, "RTMP 80, 220", ""),
            (
                F::RtmpDropped,
                "none, 5240",
                "RTMP 1935 HandshakeTimedOut, RTMP 80 HandshakeTimedOut, RTMP 443 HandshakeTimedOut, RTMPT 80 Unsupported",
            ),
            (F::RtmpReset, "none, 240", "RTMP 1935 Closed, RTMP 80 Closed, RTMP 443 Closed, RTMPT 80 Unsupported"),
            (F::CutOff, "RTMP 80, 5240", "RTMP 1935 CutOff"),
            (F::Proxy, "RTMP 443, 300", "RTMP 80 NotRtmp, RTMPT 80 Unsupported"),
            (F::HttpOnly, "none, 3180", "RTMP 1935 TimedOut, RTMP 80 NotRtmp, RTMP 443 TimedOut, RTMPT 80 Unsupported"),
            (F::Only443, "RTMP 443, 320", "RTMPT 80 Unsupported"),
            (F::Nothing, "none, 3200", "RTMP 1935 TimedOut, RTMP 80 TimedOut, RTMP 443 TimedOut, RTMPT 80 Unsupported"),
        ],
    );
}

#[test]
fn item_220_smart_with_rtmpe_and_rtmps_as_fallbacks() {
    let targets = Allowed { rtmpe: true, rtmps: true }.default_order();
    check(
        targets,
        Limits::smart(8),
        true,
        [
            (F::Open, "RTMP 1935, 120", ""),
            (F::Drop, "RTMP 80, 220", ""),
            (F::RtmpDropped, "RTMPT 80, 460", ""),
            (F::Inspected, "RTMPE 1935, 520", ""),
            (F::Only443, "RTMP 443, 320", ""),
            (F::OnlyTls, "RTMPS 443, 740", "RTMP 443 Closed, RTMPTS 443 Refused"),
            (
                F::Attacker,
                "none, 3480",
                "RTMP 1935 TimedOut, RTMP 80 TimedOut, RTMP 443 Closed, RTMPT 80 TimedOut, RTMPE 1935 TimedOut, \
                 RTMPTE 80 TimedOut, RTMPS 443 Certificate, RTMPTS 443 Untrusted",
            ),
            (
                F::Nothing,
                "none, 3700",
                "RTMP 1935 TimedOut, RTMP 80 TimedOut, RTMP 443 TimedOut, RTMPT 80 TimedOut, RTMPE 1935 TimedOut, \
                 RTMPTE 80 TimedOut, RTMPS 443 TimedOut, RTMPTS 443 TimedOut",
            ),
        ],
    );
}

#[test]
fn item_220_an_rtmps_url_is_tried_with_tls_alone() {
    let url = crate::url::Url::parse("rtmps://h/live/key").unwrap();
    let order = Order::for_url_or(&url, Allowed { rtmpe: true, rtmps: true }.default_order());
    check(
        order.targets(),
        Limits::smart(4),
        true,
        [
            (F::Open, "RTMPS 443, 160", ""),
            (F::Drop, "RTMPS 443, 160", ""),
            (F::OnlyTls, "RTMPS 443, 160", ""),
            (F::Attacker, "none, 80", "RTMPS 443 Certificate"),
            (F::Nothing, "none, 3000", "RTMPS 443 TimedOut"),
        ],
    );
}
