//! One TCP connection that speaks HTTP: requests of tunnels, of any of them one after another, and others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};
use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::{TunnelConnection, TunnelEvent, TunnelId, TunnelRefusal};

use super::gateway::State;
use super::{Event as Told, Shared, TICK};
use crate::net::{Clock, Pipe, Waiter, entropy};

/// How long the session gets to say something to what came last, before its tunnel's request is answered.
const GRACE: Duration = Duration::from_millis(3);

/// A connection, and the tunnel that it works at.
struct Web<'s> {
    pipe: Pipe,
    peer: SocketAddr,
    shared: &'s Arc<Shared>,
    clock: Clock,
    connection: TunnelConnection,
    waiter: Waiter,
    /// The tunnel whose end the waiter knows.
    watched: Option<TunnelId>,
    /// Until when an answer without a word waits.
    grace: Option<Instant>,
}

/// Serves a client until it goes.
pub(super) fn serve(mut pipe: Pipe, peer: SocketAddr, shared: &Arc<Shared>) -> Result<()> {
    let waiter = Waiter::new()?;
    waiter.add(&mut pipe)?;
    let clock = shared.gateway.clock();
    let connection = TunnelConnection::new(clock.now());
    let mut web = Web { pipe, peer, shared, clock, connection, waiter, watched: None, grace: None };
    let result = web.drive();
    let mut state = shared.gateway.lock();
    web.watch(&mut state, None);
    if let Some(tunnel) = web.connection.ended(clock.now(), &mut state.tunnels) {
        state.close(tunnel);
    }
    result
}

impl Web<'_> {
    fn drive(&mut self) -> Result<()> {
        while !self.shared.stop.load(Ordering::Relaxed) {
            let mut moved = self.pipe.receive().context("the connection broke")?;
            moved |= self.step()?;
            let is_over = self.connection.is_over() && !self.pipe.has_output();
            if is_over || (self.pipe.is_ended() && !moved) {
                break;
            }
            if !moved {
                let now = self.clock.now();
                let mut state = self.shared.gateway.lock();
                let next = self.connection.poll_timeout(&state.tunnels).unwrap_or(now);
                if next <= now
                    && let Some(tunnel) = self.connection.handle_timeout(now, &mut state.tunnels)
                {
                    state.close(tunnel);
                }
                drop(state);
                let next = self.grace.map_or(next, |grace| grace.min(next));
                self.waiter.wait(self.clock.until(next).min(TICK))?;
            }
        }
        Ok(())
    }

    /// Takes what has come, and answers; says whether anything has moved.
    fn step(&mut self) -> Result<bool> {
        let now = self.clock.now();
        let gateway = &self.shared.gateway;
        let mut state = gateway.lock();
        let mut input = self.pipe.input();
        let mut moved = false;
        while let Some(event) = self.connection.next_event(now, &mut input, &mut state.tunnels) {
            let before = input.len();
            match event {
                TunnelEvent::Open => {
                    if let Some(tunnel) = self.connection.open(now, &entropy()?, &mut state.tunnels) {
                        state.open(tunnel, self.peer, self.shared)?;
                    }
                }
                TunnelEvent::Data(tunnel) => {
                    let end = state.end(tunnel);
                    self.connection.receive(now, &mut input, |bytes| match end {
                        Some(end) => end.give(bytes),
                        None => *bytes = &[],
                    });
                    self.grace = Some(now + GRACE);
                    if input.len() == before {
                        break;
                    }
                }
                TunnelEvent::Closed(tunnel) => {
                    if self.watched == Some(tunnel) {
                        self.watched = None;
                    }
                    state.close(tunnel);
                }
                TunnelEvent::Refused(TunnelRefusal::Page | TunnelRefusal::NotFound) => {}
                TunnelEvent::Refused(refusal) => {
                    (self.shared.tell)(Told::Trouble(self.peer, format!("a request is refused: {refusal}")));
                }
                _ => {}
            }
            moved = true;
        }
        let taken = self.pipe.input().len() - input.len();
        self.pipe.consume(taken);
        Ok(self.answer(&mut state, now)? || moved || taken > 0)
    }

    fn answer(&mut self, state: &mut State, now: Instant) -> Result<bool> {
        let tunnel = self.connection.tunnel(&state.tunnels);
        self.watch(state, tunnel);
        let mut moved = false;
        if let Some(tunnel) = tunnel
            && let Some(end) = state.end(tunnel)
        {
            moved = end.listen();
            let is_silent = end.answer.filled().is_empty();
            if is_silent && end.ended {
                state.tunnels.close(tunnel);
                self.watched = None;
                state.close(tunnel);
            } else if is_silent && self.grace.is_some_and(|grace| now < grace) {
                return Ok(moved);
            }
        }
        self.grace = None;
        let Self { pipe, connection, .. } = self;
        let sent = pipe.send(|out| {
            let waiting = tunnel.and_then(|tunnel| Some(state.end(tunnel)?.answer.filled().len()));
            let State { tunnels, ends } = state;
            connection.poll_transmit(now, out, tunnels, waiting.unwrap_or(0), |room| {
                let end = tunnel.and_then(|tunnel| ends[tunnel.index()].as_mut());
                end.map_or(0, |end| end.answer.move_to(room))
            })
        });
        Ok(sent.context("the connection broke")? || moved)
    }

    /// Has the waiter look at the end of this tunnel, and at no other's.
    fn watch(&mut self, state: &mut State, tunnel: Option<TunnelId>) {
        if self.watched == tunnel {
            return;
        }
        if let Some(end) = self.watched.and_then(|watched| state.end(watched)) {
            let _ = self.waiter.remove_stream(&mut end.stream);
        }
        if let Some(end) = tunnel.and_then(|tunnel| state.end(tunnel)) {
            let _ = self.waiter.add_stream(&mut end.stream);
        }
        self.watched = tunnel;
    }
}
