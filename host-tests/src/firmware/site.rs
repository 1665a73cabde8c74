//! A board in a network with faults: its Ethernet is a TAP device on a router, and the server is behind the router.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::Firmware;
use crate::peers::network::Network;
use crate::peers::{Running, nginx, start};

pub use crate::peers::network::SERVER;
/// The address that DHCP assigns to the board.
pub const GUEST: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);

const PATIENCE: Duration = Duration::from_secs(20);
/// The duration of a DHCP lease in seconds.
const LEASE: u32 = 12;

/// The network and its programs.
#[derive(Debug)]
pub struct Site {
    /// The client is the router with a TAP device for the board. The firewall is on the server.
    pub network: Network,
    dhcp: Option<Running>,
    nginx: Option<Running>,
    directory: TempDir,
}

impl Site {
    /// A network without faults and without a server.
    ///
    /// # Errors
    /// The system does not allow it, or a program is missing.
    pub fn new() -> Result<Self> {
        let network = Network::new()?;
        network.client.shell(
            "ip tuntap add dev tap0 mode tap; ip addr add 10.77.1.1/24 dev tap0; ip link set tap0 up
             echo 1 >/proc/sys/net/ipv4/ip_forward",
            "",
        )?;
        network.server.shell("ip route add 10.77.1.0/24 via 10.77.0.1", "")?;
        let mut site = Self { network, dhcp: None, nginx: None, directory: tempfile::tempdir()? };
        site.start_dhcp()?;
        Ok(site)
    }

    /// Starts the DHCP server.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_dhcp(&mut self) -> Result<()> {
        let directory = self.directory.path().display().to_string();
        let configuration = format!(
            "start {GUEST}\nend {GUEST}\ninterface tap0\nmin_lease 1\nlease_file {directory}/leases\n\
             pidfile {directory}/udhcpd.pid\nauto_time 1\noption subnet 255.255.255.0\noption router 10.77.1.1\n\
             option dns 10.77.1.1\noption lease {LEASE}\n"
        );
        let path = self.directory.path().join("udhcpd.conf");
        fs::write(&path, configuration)?;
        fs::write(self.directory.path().join("leases"), "")?;
        let mut command = self.network.client.command("udhcpd");
        command.arg("-f").arg(path);
        self.dhcp = Some(start(&mut command)?);
        Ok(())
    }

    /// Stops the DHCP server.
    pub fn stop_dhcp(&mut self) {
        self.dhcp = None;
    }

    /// Starts nginx on `ports`, with an application `live` that records.
    ///
    /// # Errors
    /// It does not listen in time.
    pub fn serve(&mut self, ports: &[u16]) -> Result<()> {
        let (directory, shown) = (self.directory.path(), self.directory.path().display());
        let listen: String = ports.iter().map(|port| format!("listen {port}; ")).collect();
        let servers = format!(
            "rtmp {{ server {{ {listen} chunk_size 4096;
  application live {{ live on; record all; record_path {shown}; record_unique on; }} }} }}"
        );
        let main = format!("user root; {}", nginx::LOAD_RTMP);
        fs::write(directory.join("nginx.conf"), nginx::configuration(directory, &main, &servers))?;
        let nginx = self.nginx.insert(nginx::run(self.network.server.command("nginx"), directory)?);
        let first = ports.first().copied().unwrap_or_default();
        nginx.wait_until("nginx listens", PATIENCE, |_| self.network.server.listens(first))
    }

    /// Sends a signal to nginx, such as `STOP`. Frozen by it, nginx reads nothing, and its connections stay open until
    /// `CONT`.
    ///
    /// # Errors
    /// nginx does not run.
    pub fn signal_nginx(&self, name: &str) -> Result<()> {
        self.nginx.as_ref().context("nginx does not run")?.signal(name)
    }

    /// Starts the firmware on the board.
    ///
    /// # Errors
    /// It cannot be built or started.
    pub fn start(&self, arguments: &[&str]) -> Result<Firmware> {
        let tap = "tap,ifname=tap0,script=no,downscript=no";
        Firmware::start(Some(&self.network.client), &["--nic", tap], arguments)
    }

    /// The directory of the recordings.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The recordings, first to last.
    ///
    /// # Errors
    /// There is none.
    pub fn recordings(&self) -> Result<Vec<PathBuf>> {
        let files = nginx::recordings(self.directory.path(), "")?;
        files.first().context("nothing was recorded")?;
        Ok(files)
    }

    /// Limits the rate to the server to this many bits per second. Packets above it are delayed.
    ///
    /// # Errors
    /// `tc` is missing, or the kernel has no such queue.
    pub fn limit(&self, rate: &str) -> Result<()> {
        let wire = crate::peers::network::WIRE;
        self.network.client.shell(&format!("tc qdisc add dev {wire} root tbf rate {rate} burst 10kb latency 500ms"), "")
    }
}
