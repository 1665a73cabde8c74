//! Tunnels: each leads to a connection within the process, which is served as one over TCP is.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use embedded_rtmp::tunnel::{TunnelConfig, TunnelId, Tunnels};
use mio::net::UnixStream;

use super::Shared;
use super::connection::Connection;
use crate::net::{Buffer, Clock, Pipe, Stream};

/// Tunnels at a time.
const MOST: usize = 32;

/// How long a tunnel may be without a request: clients poll at least every few seconds, and some go without a word.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);

/// The tunnels of all listeners.
pub(super) struct Gateway {
    clock: Clock,
    state: Mutex<State>,
    /// The connections within the process.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The table, and what each tunnel leads to.
pub(super) struct State {
    pub(super) tunnels: Tunnels<'static, MOST>,
    pub(super) ends: [Option<End>; MOST],
}

/// This end of a tunnel's connection within the process.
pub(super) struct End {
    pub(super) stream: Stream,
    /// What has come from the other end, and is to be answered with.
    pub(super) answer: Buffer,
    /// The other end is closed.
    pub(super) ended: bool,
}

impl Gateway {
    pub(super) fn new(idle_timeout: Duration) -> Self {
        let idle_timeout = idle_timeout.min(LONGEST_SILENCE);
        let config =
            TunnelConfig { idle_timeout, page: Some("RTMP and RTMPT are served here.\n"), ..TunnelConfig::new() };
        let state = State { tunnels: Tunnels::new(config), ends: [const { None }; MOST] };
        Self { clock: Clock::new(), state: Mutex::new(state), threads: Mutex::default() }
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the connections, which end with their tunnels, or when all is to end.
    pub(super) fn join(&self) {
        for thread in std::mem::take(&mut *self.threads()) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }

    /// Ends the tunnels that nobody asks for any more.
    pub(super) fn tick(&self) {
        self.threads().retain(|thread| !thread.is_finished());
        let mut state = self.lock();
        while let Some(tunnel) = state.tunnels.handle_timeout(self.clock.now()) {
            state.close(tunnel);
        }
    }
}

impl State {
    /// What a tunnel leads to.
    pub(super) fn end(&mut self, tunnel: TunnelId) -> Option<&mut End> {
        self.ends[tunnel.index()].as_mut()
    }

    /// Has a tunnel lead to a connection of its own.
    pub(super) fn open(&mut self, tunnel: TunnelId, peer: SocketAddr, shared: &Arc<Shared>) -> std::io::Result<()> {
        let (ours, theirs) = UnixStream::pair()?;
        let shared = Arc::clone(shared);
        let gateway = Arc::clone(&shared);
        let thread = thread::spawn(move || Connection::serve(Pipe::new(theirs), peer, &shared));
        gateway.gateway.threads().push(thread);
        self.ends[tunnel.index()] = Some(End { stream: ours.into(), answer: Buffer::new(), ended: false });
        Ok(())
    }

    /// A tunnel is over: so is its connection.
    pub(super) fn close(&mut self, tunnel: TunnelId) {
        self.ends[tunnel.index()] = None;
    }
}

impl End {
    /// Hands bytes on, as many as the other end takes now.
    pub(super) fn give(&mut self, bytes: &mut &[u8]) {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(length) => *bytes = &bytes[length..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // Nobody listens any more: what comes is lost, and the tunnel is over.
                Err(_) => (*bytes, self.ended) = (&[], true),
            }
        }
    }

    /// Takes what the other end says; answers whether anything has changed.
    pub(super) fn listen(&mut self) -> bool {
        let mut moved = false;
        while !self.ended {
            let free = self.answer.free();
            match if free.is_empty() { Ok(None) } else { crate::net::read(&mut self.stream, free) } {
                Ok(None) => break,
                Ok(Some(0)) | Err(_) => self.ended = true,
                Ok(Some(length)) => self.answer.fill(length),
            }
            moved = true;
        }
        moved
    }
}
