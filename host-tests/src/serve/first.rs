//! Looks at a connection's first byte: one listener takes RTMP and HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail};
use embedded_rtmp::tunnel::Protocol;
use mio::net::TcpStream;

use super::connection::Connection;
use super::{Event, Shared, TICK, web};
use crate::net::{Clock, Pipe, Waiter};

/// Serves whatever the client speaks, until it goes.
pub(super) fn serve(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>) {
    let served = protocol(stream, shared).and_then(|found| match found {
        None => Ok(()),
        Some((Protocol::Http, pipe)) => web::serve(pipe, peer, shared),
        // The handshake knows which versions of RTMP are answered; RTMPE is not.
        Some((Protocol::Rtmp | Protocol::Rtmpe, pipe)) => {
            Connection::serve(pipe, peer, shared);
            Ok(())
        }
        Some((_, pipe)) => bail!("neither RTMP nor HTTP: it begins with {:#04x}", pipe.input()[0]),
    });
    if let Err(error) = served {
        (shared.tell)(Event::Trouble(peer, format!("{error:#}")));
    }
}

/// What the first byte says; nothing where none comes before the end.
fn protocol(stream: TcpStream, shared: &Shared) -> Result<Option<(Protocol, Pipe)>> {
    let (mut pipe, mut waiter, clock) = (Pipe::new(stream), Waiter::new()?, Clock::new());
    pipe.is_connected()?;
    waiter.add(&mut pipe)?;
    let deadline = clock.now() + shared.config.connect_timeout;
    loop {
        let moved = pipe.receive().context("the connection broke")?;
        if let Some(first) = pipe.input().first() {
            let protocol = Protocol::of(*first);
            waiter.remove(&mut pipe)?;
            return Ok(Some((protocol, pipe)));
        }
        if pipe.is_ended() || shared.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if clock.now() >= deadline {
            bail!("the peer did not answer in time: handshake");
        }
        if !moved {
            waiter.wait(clock.until(deadline).min(TICK))?;
        }
    }
}
