//! The demo's options.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

/// Publishes a clip from one simulated device to another through a simulated firewall, and checks the recording.
#[derive(Debug, Clone, Parser)]
#[command(name = "demo", version)]
pub struct Options {
    /// What to do instead of publishing
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The FLV file to publish; without it, the bundled clip
    #[arg(long, value_name = "FILE")]
    pub clip: Option<PathBuf>,

    /// The ports that the publisher tries, in this order, and that the server listens on
    #[arg(long, value_name = "PORTS", default_value = "1935,80,443", value_parser = some_ports, global = true)]
    pub ports: Ports,

    /// The ports whose packets the wire drops, as a strict firewall does; '' for none
    #[arg(long, value_name = "PORTS", default_value = "1935", global = true)]
    pub drop: Ports,

    /// The ports where TCP connects, but the wire drops every segment with data; '' for none
    #[arg(long, value_name = "PORTS", default_value = "", global = true)]
    pub silence: Ports,

    /// The ports on which the wire drops everything after RTMP's handshake; '' for none
    #[arg(long, value_name = "PORTS", default_value = "", global = true)]
    pub cut_off: Ports,

    /// Accept only TLS on port 443 of the server (RTMPS). The publisher tries this port last, and verifies the server's
    /// key
    #[arg(long)]
    pub tls: bool,

    /// How many ports the publisher tries at the same time, each 100 ms after the previous one
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=MOST_SOCKETS as i64))]
    pub sockets: u8,

    /// How many of a hundred Ethernet frames the wire loses
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100), global = true)]
    pub loss: u8,

    /// How many milliseconds each frame takes in one direction. (Without a delay, wasted round trips cannot be seen.)
    #[arg(long, value_name = "MS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=2_000), global = true)]
    pub delay: u64,

    /// The file to which the server device records
    #[arg(long, value_name = "FILE", default_value = "target/demo/recording.flv")]
    pub output: PathBuf,
}

/// What the demo does instead of publishing from one device to the other.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Tests by which ports one device can reach the other. A web server listens on port 8080 of the other one
    Ports,
    /// Tests the ports of a real server from a device behind a TAP interface, then publishes to it. There is no
    /// simulated wire, so its options have no effect
    #[cfg(target_os = "linux")]
    Tap(Tap),
    /// Relays the bundled clip from one device through a second to three others: one keeps up, one is slow, one stops
    /// reading
    Relay,
}

/// A device on a real network.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Tap {
    /// The TAP interface, which must exist and be up
    pub interface: String,
    /// Where to publish: rtmp://host/app/key; with a port, only that port is tried
    pub url: String,
    /// The device's address
    #[arg(long, value_name = "ADDR/BITS", default_value = "10.77.1.2/24")]
    pub address: String,
    /// The gateway to other networks
    #[arg(long, value_name = "ADDR", default_value = "10.77.1.1")]
    pub gateway: std::net::Ipv4Addr,
    /// How many attempts may be under way at the same time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub sockets: u8,
}

/// A list of ports in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(pub(crate) Vec<u16>);

/// The most ports that can be given: the server device has no sockets for more.
pub const MOST_PORTS: usize = 8;

impl FromStr for Ports {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        let mut ports = Vec::new();
        for text in list.split(',').map(str::trim) {
            if list.trim().is_empty() {
                break;
            }
            let port = text.parse().ok().filter(|port| *port != 0);
            let port: u16 = port.ok_or_else(|| format!("'{text}' is not a port: ports go from 1 to 65535"))?;
            if ports.contains(&port) {
                return Err(format!("port {port} is given twice"));
            }
            ports.push(port);
        }
        Ok(Ports(ports))
    }
}

/// Sockets that the publisher device has for its attempts.
pub const MOST_SOCKETS: usize = 4;

fn some_ports(list: &str) -> Result<Ports, String> {
    let ports: Ports = list.parse()?;
    match ports.0.len() {
        0 => Err("at least one port is needed".into()),
        count if count > MOST_PORTS => Err(format!("{count} ports are given; the most is {MOST_PORTS}")),
        _ => Ok(ports),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        Options::try_parse_from([&["demo"], arguments].concat()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_a_dropped_1935() {
        let options = parse(&[]).unwrap();
        assert_eq!((options.ports.0, options.drop.0), (vec![1935, 80, 443], vec![1935]));
        assert_eq!((options.loss, options.delay, options.clip), (0, 10, None));
        assert_eq!(options.output, PathBuf::from("target/demo/recording.flv"));
    }

    #[test]
    fn the_port_test_takes_the_options_of_the_wire() {
        let options = parse(&["ports", "--drop", "80", "--silence", "443", "--cut-off=1935", "--delay", "1"]).unwrap();
        assert_eq!((options.command, options.drop.0, options.delay), (Some(Command::Ports), vec![80], 1));
        assert_eq!((options.silence.0, options.cut_off.0), (vec![443], vec![1935]));
        assert_eq!(parse(&[]).unwrap().command, None);
    }

    #[test]
    fn lists_keep_their_order_and_drop_may_be_empty() {
        let options = parse(&["--ports", "443, 80", "--drop", ""]).unwrap();
        assert_eq!((options.ports.0, options.drop.0), (vec![443, 80], vec![]));
        assert_eq!(parse(&["--drop="]).unwrap().drop.0, []);
    }

    #[test]
    fn bad_values_are_refused_with_a_reason() {
        for (arguments, reason) in [
            (&["--ports", ""][..], "at least one port"),
            (&["--ports", "80,80"], "port 80 is given twice"),
            (&["--ports", "0"], "'0' is not a port"),
            (&["--ports", "65536"], "'65536' is not a port"),
            (&["--ports", "80,,443"], "'' is not a port"),
            (&["--ports", "http"], "'http' is not a port"),
            (&["--ports", "1,2,3,4,5,6,7,8,9"], "the most is 8"),
            (&["--drop", "80,80"], "given twice"),
            (&["--loss", "101"], "101"),
            (&["--sockets", "0"], "0"),
            (&["--sockets", "5"], "5"),
            (&["--delay", "-5"], "-5"),
            (&["--delay", "x"], "x"),
            (&["extra"], "extra"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(reason), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }
}
