//! A server behind a real firewall.

use std::process::Command;
use std::time::Duration;

use host_tests::peers::network::{Network, SERVER, WIRE};
use host_tests::peers::{Finished, Running, finish_within, start, wait_until};
use serde_json::Value;
use tempfile::TempDir;

use super::{LIMIT, clip};

/// A network with a server behind a firewall: RTMP on 1935, 80 and 443, unless told otherwise.
pub struct Site {
    pub network: Network,
    programs: Vec<Running>,
    pub directory: TempDir,
}

impl Site {
    pub fn new(rules: &str) -> Self {
        Self::serving(rules, &[1935, 80, 443])
    }

    pub fn serving(rules: &str, ports: &[u16]) -> Self {
        Self::with(rules, ports, &[])
    }

    /// Starts the same site, with more arguments for `serve`.
    pub fn with(rules: &str, ports: &[u16], arguments: &[String]) -> Self {
        let network = Network::new().unwrap();
        network.firewall(rules).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut site = Self { network, programs: Vec::new(), directory };
        let mut command = site.network.server.command(env!("CARGO_BIN_EXE_serve"));
        let addresses: Vec<_> = ports.iter().map(|port| format!("0.0.0.0:{port}")).collect();
        command.args(["--keep-timestamps", "--listen", &addresses.join(","), "--record"]).arg(site.directory.path());
        command.args(arguments);
        let serve = start(&mut command).unwrap();
        wait_until("serve listens", LIMIT, || serve.errors().matches("listening on").count() == ports.len())
            .unwrap_or_else(|error| panic!("{error}: {}", serve.errors()));
        site.programs.push(serve);
        site
    }

    /// nginx, as a proxy on port 80 that hands well-formed HTTP on to port 8081.
    pub fn proxy(mut self) -> Self {
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
            self.network.server.listens(80)
        })
        .unwrap();
        self.programs.push(nginx);
        self
    }

    pub fn url(&self, port: &str) -> String {
        format!("rtmp://{SERVER}{port}/live/x")
    }

    /// Publishes a clip without a port in the URL. Returns the result of each attempt.
    pub fn publish(&self, arguments: &[&str]) -> (Option<i32>, String) {
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
    pub fn ports(&self) -> [[String; 3]; 2] {
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

/// A packet capture at the client's end of the wire.
pub struct Capture {
    dumpcap: Running,
    file: std::path::PathBuf,
}

impl Capture {
    pub fn start(site: &Site, name: &str) -> Self {
        let file = site.directory.path().join(format!("{name}.pcap"));
        let mut command = site.network.client.command("dumpcap");
        command.args(["-q", "-P", "-i", WIRE, "-f", "tcp", "-w"]).arg(&file);
        let dumpcap = start(&mut command).unwrap();
        wait_until("dumpcap captures", LIMIT, || dumpcap.errors().contains("File:"))
            .unwrap_or_else(|error| panic!("{error}: {}", dumpcap.errors()));
        Self { dumpcap, file }
    }

    /// The ports that SYNs went to.
    pub fn ports(self) -> Vec<u16> {
        self.ports_and_bytes().0
    }

    /// Returns the same ports, and the whole capture.
    pub fn ports_and_bytes(self) -> (Vec<u16>, Vec<u8>) {
        // The file contains the last packets only after a short time.
        std::thread::sleep(Duration::from_millis(500));
        self.dumpcap.interrupt().unwrap();
        self.dumpcap.finish_within(LIMIT).unwrap().successful().unwrap();
        let mut tshark = Command::new("tshark");
        tshark.arg("-r").arg(&self.file).args(["-Y", "tcp.flags.syn == 1 && tcp.flags.ack == 0"]);
        tshark.args(["-T", "fields", "-e", "tcp.dstport"]);
        let finished = finish_within(LIMIT, &mut tshark).unwrap().successful().unwrap();
        let ports = String::from_utf8_lossy(&finished.stdout).lines().map(|port| port.parse().unwrap()).collect();
        (ports, std::fs::read(&self.file).unwrap())
    }
}
