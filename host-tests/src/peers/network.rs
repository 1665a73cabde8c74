//! Two hosts with a wire and a firewall between them, as network namespaces that are removed at the end.
//!
//! They need root, or a user namespace if the system allows one.

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::{Running, start};

/// The client's address.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The server's address.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// The name of the wire's interface at both ends.
pub const WIRE: &str = "wire";

const PATIENCE: Duration = Duration::from_secs(20);

/// A host: a network namespace that exists as long as this value.
#[derive(Debug)]
pub struct Host {
    /// A sleeping process that owns the namespace.
    holder: Running,
    as_root: bool,
}

impl Host {
    /// A host without any network. With `beside`, it shares the user namespace of another host.
    ///
    /// # Errors
    /// The system does not allow it, or a program is missing.
    pub fn new(beside: Option<&Host>) -> Result<Self> {
        let as_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        let mut command = match beside {
            Some(host) if !as_root => host.command("unshare"),
            _ => Command::new("unshare"),
        };
        command.arg(if as_root || beside.is_some() { "-n" } else { "-Urn" });
        // It ends when this process ends for any reason.
        command.args(["setpriv", "--pdeathsig", "KILL", "sleep", "infinity"]);
        let mut holder = start(&mut command)?;
        let name = PathBuf::from(format!("/proc/{}/comm", holder.id()));
        holder.wait_until("a network namespace", PATIENCE, |_| {
            fs::read_to_string(&name).is_ok_and(|name| name == "sleep\n")
        })?;
        Ok(Self { holder, as_root })
    }

    /// A command that runs on this host.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string(), "-n"]);
        if !self.as_root {
            command.args(["-U", "--preserve-credentials"]);
        }
        command.arg("--").arg(program);
        // The default PATH of an ordinary user does not include ip, nft and nginx.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
        command
    }

    /// Returns whether a program on this host listens on a TCP port.
    pub fn listens(&self, port: u16) -> bool {
        self.shell(&format!("ss -Hltn 'sport = :{port}' | grep -q ."), "").is_ok()
    }

    /// Runs a shell command on this host, with `input`.
    ///
    /// # Errors
    /// It fails.
    pub fn shell(&self, script: &str, input: &str) -> Result<()> {
        let mut command = self.command("sh");
        command.args(["-e", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("nsenter")?;
        child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("{script}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}

/// Two hosts and the wire between them.
#[derive(Debug)]
pub struct Network {
    /// The host at [`CLIENT`].
    pub client: Host,
    /// The host at [`SERVER`], which has the firewall.
    pub server: Host,
    /// The program that carries the packets, if the wire has a delay.
    ends: Vec<Running>,
    /// The sockets of that program.
    directory: Option<TempDir>,
}

impl Network {
    /// Two hosts without a delay and without a firewall.
    ///
    /// # Errors
    /// The system does not allow it, or a program is missing.
    pub fn new() -> Result<Self> {
        let network = Self::without_wire()?;
        let server = network.server.holder.id();
        let (client, host) = (&network.client, &network.server);
        client.shell(&format!("ip link add {WIRE} type veth peer name {WIRE} netns {server}"), "")?;
        for (host, address) in [(client, CLIENT), (host, SERVER)] {
            host.shell(&format!("ip addr add {address}/24 dev {WIRE}; ip link set {WIRE} up"), "")?;
        }
        Ok(network)
    }

    /// Two hosts on a wire with this delay in each direction. Needs root. `wire` is the program of that name in this package.
    ///
    /// # Errors
    /// The system does not allow it, or a program is missing.
    pub fn delayed(wire: &Path, delay: Duration) -> Result<Self> {
        let mut network = Self::without_wire()?;
        let directory = tempfile::tempdir()?;
        let [one, other] = ["client", "server"].map(|name| directory.path().join(name));
        let delay = delay.as_millis().to_string();
        let ends = [(&network.client, CLIENT, &one, &other), (&network.server, SERVER, &other, &one)];
        for (host, address, here, there) in ends {
            let mut command = host.command(wire);
            command.arg(WIRE).arg(here).arg(there).args(["--delay", &delay]);
            let mut end = start(&mut command)?;
            end.wait_until("a wire", PATIENCE, |end| end.output().contains("ready"))?;
            host.shell(&format!("ip addr add {address}/24 dev {WIRE}; ip link set {WIRE} up"), "")?;
            network.ends.push(end);
        }
        network.directory = Some(directory);
        Ok(network)
    }

    fn without_wire() -> Result<Self> {
        let client = Host::new(None)?;
        let server = Host::new(Some(&client))?;
        let network = Self { client, server, ends: Vec::new(), directory: None };
        for host in [&network.client, &network.server] {
            host.shell("ip link set lo up", "")?;
        }
        Ok(network)
    }

    /// Applies these nft rules, one on each line, to packets to the server. Other packets pass, and so do answers to
    /// connections of the server.
    ///
    /// # Errors
    /// nft is missing, or rejects the rules.
    pub fn firewall(&self, rules: &str) -> Result<()> {
        // The kernel counts the bytes of connections, so that rules can distinguish their phases.
        self.server.shell("echo 1 >/proc/sys/net/netfilter/nf_conntrack_acct", "")?;
        let table = format!(
            "table inet firewall {{\nchain input {{\ntype filter hook input priority 0\niif lo accept\n{rules}\n}}\n}}\n"
        );
        self.server.shell("nft -f -", &table)
    }
}
