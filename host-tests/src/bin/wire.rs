//! One end of a wire with a delay between two hosts of a test: a TUN device. The other end is another process of this
//! program.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use host_tests::peers::delayed;
use tappers::{Interface, Tun};

/// More than the longest packet of a TUN device.
const MTU: usize = 65_536;

/// Makes a TUN device, carries its packets to another such program after a fixed delay, and writes the packets of the other
/// program to the device. Needs root.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The name of the TUN device
    name: String,
    /// The socket to receive packets on, which this program makes
    here: PathBuf,
    /// The other end's socket
    there: PathBuf,
    /// The delay of a packet from here, in milliseconds
    #[arg(long, default_value_t = 0)]
    delay: u64,
}

fn main() -> Result<()> {
    let Arguments { name, here, there, delay } = Arguments::parse();
    let tun = Tun::new_named(Interface::new(&name)?).context("no TUN device")?;
    let _ = fs::remove_file(&here);
    let socket = UnixDatagram::bind(&here).with_context(|| here.display().to_string())?;
    println!("ready");
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut packet = vec![0; MTU];
            while let Ok(length) = socket.recv(&mut packet) {
                let _ = tun.send(&packet[..length]);
            }
        });
        let send = |packet: &[u8]| {
            // A packet that cannot be delivered is a lost packet.
            let _ = socket.send_to(packet, &there);
            Ok(())
        };
        delayed(Duration::from_millis(delay), |packet| tun.recv(packet), send);
    });
    bail!("the TUN device has failed")
}
