//! Other programs that tests run against. Each is started and ended here, on 127.0.0.1 or in a network namespace.

mod delay;
mod ffmpeg;
mod http_proxy;
pub mod network;
pub(crate) mod nginx;
mod pcap;
mod process;
mod programs;
mod tee;
mod tls;
mod tshark;

pub use delay::{Delay, delayed};
pub use ffmpeg::{FrameHashes, Media, TimedFrame, frame_hashes, packet_count, timed_frames};
pub use http_proxy::{HttpProxy, Request};
pub use nginx::{Application, Nginx, NginxOptions};
pub use process::{Finished, Running, finish_within, start};
pub use programs::{NodeMediaServer, Program};
pub use tee::{Change, Conversation, Sender, Tee};
pub use tls::TlsProxy;
pub use tshark::{Dissection, dissect};

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A TCP port of 127.0.0.1 that was free a moment ago, for programs that cannot choose a port themselves.
///
/// # Errors
/// No port is free.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// Waits until a program accepts connections on a port of 127.0.0.1.
///
/// # Errors
/// The program ended, or does not listen within ten seconds.
pub fn wait_for_listener(port: u16, program: &mut Running) -> Result<()> {
    let (address, limit) = (SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Duration::from_secs(1));
    program.wait_until(&format!("port {port} is open"), Duration::from_secs(10), |_| {
        TcpStream::connect_timeout(&address, limit).is_ok()
    })
}

/// Waits until a condition holds.
///
/// # Errors
/// The condition does not hold within `limit`. `what` names it in the error.
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() > deadline {
            bail!("{what}: not within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
