//! One end of a wire with a delay, between two hosts of a test: a TUN device here, the other end of the wire there.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use tappers::{Interface, Tun};

/// The longest packet of a TUN device, and more.
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
    let delay = Duration::from_millis(delay);
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::scope(|scope| {
        scope.spawn(|| {
            for (due, packet) in receiver {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                // A packet that cannot be delivered is a lost packet.
                let _ = socket.send_to(&packet, &there);
            }
        });
        scope.spawn(|| {
            let mut packet = vec![0; MTU];
            while let Ok(length) = socket.recv(&mut packet) {
                let _ = tun.send(&packet[..length]);
            }
        });
        let mut packet = vec![0; MTU];
        loop {
            let length = tun.recv(&mut packet).context("the TUN device")?;
            sender.send((Instant::now() + delay, packet[..length].to_vec())).context("the wire is cut")?;
        }
    })
}
