//! The port plan through real firewalls: two network namespaces, and nft rules between them.

mod support;

use std::process::Command;
use std::time::Duration;

use host_tests::peers::network::{Network, SERVER, WIRE};
use host_tests::peers::{Finished, Running, finish_within, start, wait_until};
use serde_json::Value;
use support::{LIMIT, clip, tags};
use tempfile::TempDir;

/// What carries data: TCP's own segments are shorter.
const DATA: &str = "meta length > 200";

/// A network with a server behind a firewall: RTMP on 1935, 80 and 443, unless told otherwise.
struct Site {
    network: Network,
    programs: Vec<Running>,
    directory: TempDir,
}

impl Site {
    fn new(rules: &str) -> Self {
        Self::serving(rules, &[1935, 80, 443])
    }

    fn serving(rules: &str, ports: &[u16]) -> Self {
        let network = Network::new().unwrap();
        network.firewall(rules).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut site = Self { network, programs: Vec::new(), directory };
        let mut command = site.network.server.command(env!("CARGO_BIN_EXE_serve"));
        let addresses: Vec<_> = ports.iter().map(|port| format!("0.0.0.0:{port}")).collect();
        command.args(["--listen", &addresses.join(","), "--record"]).arg(site.directory.path());
        let serve = start(&mut command).unwrap();
        wait_until("serve listens", LIMIT, || serve.errors().matches("listening on").count() == ports.len())
            .unwrap_or_else(|error| panic!("{error}: {}", serve.errors()));
        site.programs.push(serve);
        site
    }

    /// nginx, as a proxy on port 80 that hands well-formed HTTP on to port 8081.
    fn proxy(mut self) -> Self {
        let directory = self.directory.path().display().to_string();
        let configuration = format!(
            "daemon off; master_process off; user root; pid {directory}/nginx.pid; error_log {directory}/error.log;
events {{ worker_connections 64; }}
http {{ access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
server {{ listen 80; location / {{ proxy_pass http://127.0.0.1:8081; }} }} }}\n"
        );
        let path = self.directory.path().join("nginx.conf");
        std::fs::write(&path, configuration).unwrap();
        let mut command = self.network.server.command("nginx");
        command.arg("-c").arg(path).args(["-p", &directory, "-e", &format!("{directory}/error.log")]);
        let mut nginx = start(&mut command).unwrap();
        wait_until("nginx listens", LIMIT, || {
            assert!(nginx.ended().unwrap().is_none(), "{}", nginx.errors());
            self.network.server.shell("ss -Hltn 'sport = :80' | grep -q .", "").is_ok()
        })
        .unwrap();
        self.programs.push(nginx);
        self
    }

    fn url(&self, port: &str) -> String {
        format!("rtmp://{SERVER}{port}/live/x")
    }

    /// Publishes a clip without a port in the URL; answers what became of each attempt.
    fn publish(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = self.network.client.command(env!("CARGO_BIN_EXE_publish"));
        command.args(["--fast", "--json"]).args(arguments).arg(clip()).arg(self.url(""));
        let Finished { status, stdout, stderr } = finish_within(LIMIT, &mut command).unwrap();
        let summary: Value = serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
        let attempts = summary["attempts"].as_array().unwrap().iter().map(|attempt| {
            let text = |name: &str| attempt[name].as_str().unwrap().to_owned();
            format!("{} {}: {}", text("transport"), attempt["port"], text("outcome"))
        });
        (status.code(), attempts.collect::<Vec<_>>().join("; "))
    }

    /// What `ports` says of 1935, 80 and 443 in RTMP, and then of the same in RTMPT.
    fn ports(&self) -> [[String; 3]; 2] {
        let mut command = self.network.client.command(env!("CARGO_BIN_EXE_ports"));
        command.args(["--json", "--list", "1935,80,443", "--timeout", "2000"]).arg(self.url(""));
        let Finished { status, stdout, stderr } = finish_within(LIMIT, &mut command).unwrap();
        let rows: Value = serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
        let words = [0, 1].map(|transport| {
            [0, 1, 2].map(|port| {
                let row = &rows[2 * port + transport];
                assert_eq!(row["port"], [1935, 80, 443][port]);
                assert_eq!(row["transport"], ["RTMP", "RTMPT"][transport]);
                assert_eq!(row["handshake_ms"].is_number(), row["outcome"] == "connected");
                row["outcome"].as_str().unwrap().to_owned()
            })
        });
        assert_eq!(status.code(), Some(if words.iter().flatten().any(|word| word == "connected") { 0 } else { 1 }));
        words
    }
}

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
    // Racing, 1935 is given up when another has won, which is before its deadline.
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
fn item_093_rtmp_is_answered_with_a_reset_wherever_it_goes_and_http_gets_through() {
    // A segment that begins as C0 does, where a connection begins.
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
fn item_098_nothing_gets_through_but_well_formed_http_on_80() {
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
fn what_is_cut_off_behind_the_handshake_gives_way_to_another_port() {
    // C0 and C1 get through, and the answer to them.
    let site = Site::new("tcp dport 1935 ct original bytes > 2200 drop");
    // A tunnel's handshake takes more requests than may pass.
    assert_eq!(site.ports(), [["connected"; 3], ["silent", "connected", "connected"]]);
    let (status, attempts) = site.publish(&["--order", "netconnection"]);
    let cut_off = "RTMP 1935: cut off behind the RTMP handshake";
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
fn item_093_nothing_gets_through_but_443() {
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
fn item_093_nothing_gets_through() {
    let site = Site::new("meta l4proto tcp drop");
    assert_eq!(site.ports(), [["dropped"; 3]; 2]);
    let (status, attempts) = site.publish(&["--order", "1935,80,443", "--sockets", "3"]);
    let expected = [1935, 80, 443].map(|port| format!("RTMP {port}: {DROPPED}")).join("; ");
    assert_eq!((status, attempts), (Some(1), expected));
}

#[test]
#[ignore = "needs network namespaces: host-tests/run runs it"]
fn a_host_that_is_not_there() {
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
    // The same capture does see other ports, where others are tried.
    let capture = Capture::start(&site, "none");
    site.publish(&["--order", "80,443"]);
    let ports = capture.ports();
    assert!(ports.contains(&80) && ports.contains(&443), "{ports:?}");
}

/// A packet capture at the client's end of the wire.
struct Capture {
    dumpcap: Running,
    file: std::path::PathBuf,
}

impl Capture {
    fn start(site: &Site, name: &str) -> Self {
        let file = site.directory.path().join(format!("{name}.pcap"));
        let mut command = site.network.client.command("dumpcap");
        command.args(["-q", "-P", "-i", WIRE, "-f", "tcp", "-w"]).arg(&file);
        let dumpcap = start(&mut command).unwrap();
        wait_until("dumpcap captures", LIMIT, || dumpcap.errors().contains("File:"))
            .unwrap_or_else(|error| panic!("{error}: {}", dumpcap.errors()));
        Self { dumpcap, file }
    }

    /// The ports that SYNs went to.
    fn ports(self) -> Vec<u16> {
        // What the last packets were is in the file a moment later.
        std::thread::sleep(Duration::from_millis(500));
        self.dumpcap.interrupt().unwrap();
        self.dumpcap.finish_within(LIMIT).unwrap().successful().unwrap();
        let mut tshark = Command::new("tshark");
        tshark.arg("-r").arg(&self.file).args(["-Y", "tcp.flags.syn == 1 && tcp.flags.ack == 0"]);
        tshark.args(["-T", "fields", "-e", "tcp.dstport"]);
        let finished = finish_within(LIMIT, &mut tshark).unwrap().successful().unwrap();
        String::from_utf8_lossy(&finished.stdout).lines().map(|port| port.parse().unwrap()).collect()
    }
}
