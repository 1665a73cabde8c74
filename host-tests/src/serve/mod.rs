//! Takes publishers, gives what they send to players, and records it.

mod connection;
mod first;
mod gateway;
mod names;
mod player;
mod record;
mod stream;
mod web;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use embedded_rtmp::session::ServerConfig;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use serde_json::{Value, json};

use crate::counts::Counts;
use gateway::Gateway;
use stream::Streams;

/// Connections at a time; more are closed at once.
const MOST_CONNECTIONS: usize = 64;

/// How often it is looked whether all is to end.
const TICK: Duration = Duration::from_millis(100);

/// What is told while it goes on. It is for people: the text of clients in it may be anything.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A publisher is accepted; its stream, and the file where there is one.
    Published(SocketAddr, String, Option<PathBuf>),
    /// A recording is complete.
    Recorded(Recorded),
    /// A player is accepted; its stream.
    Playing(SocketAddr, String),
    /// A player has left.
    Played(Played),
    /// A client was turned away, or its connection broke off.
    Trouble(SocketAddr, String),
}

/// A recording.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The application that the publisher connected to.
    pub app: String,
    /// Its stream key.
    pub key: String,
    /// The file.
    pub file: PathBuf,
    /// What is in it.
    pub counts: Counts,
    /// The timestamps of the first and the last message in it, in ms.
    pub timestamps: Option<(u32, u32)>,
    /// How it came to its end.
    pub end: String,
}

impl Recorded {
    /// For a summary.
    pub fn to_json(&self) -> Value {
        json!({
            "app": self.app, "key": self.key, "file": self.file.to_string_lossy(), "recorded": self.counts.to_json(),
            "first_timestamp": self.timestamps.map(|(first, _)| first),
            "last_timestamp": self.timestamps.map(|(_, last)| last), "end": self.end,
        })
    }
}

/// What came of a player.
#[derive(Debug, Clone)]
pub struct Played {
    /// The player.
    pub peer: SocketAddr,
    /// Its stream.
    pub stream: String,
    /// Messages that it was sent.
    pub sent: u32,
    /// Messages that were left out since it was too slow.
    pub skipped: u32,
    /// How it came to its end.
    pub end: String,
}

impl Played {
    /// For a summary.
    pub fn to_json(&self) -> Value {
        let Self { stream, sent, skipped, end, .. } = self;
        json!({"stream": stream, "sent": sent, "skipped": skipped, "end": end})
    }
}

/// What the connections share.
pub struct Shared {
    directory: Option<PathBuf>,
    config: ServerConfig,
    streams: Streams,
    stop: AtomicBool,
    recorded_bytes: AtomicU64,
    gateway: Gateway,
    tell: Box<dyn Fn(Event) + Send + Sync>,
}

impl Shared {
    /// What all connections have in common: where recordings go, if anywhere; how many bytes of each stream players may be
    /// behind, and a little more; how sessions are configured, and who is told.
    pub fn new(
        directory: Option<PathBuf>,
        room: usize,
        config: ServerConfig,
        tell: impl Fn(Event) + Send + Sync + 'static,
    ) -> Self {
        Self {
            directory,
            config,
            streams: Streams::new(room),
            stop: AtomicBool::new(false),
            recorded_bytes: AtomicU64::new(0),
            gateway: Gateway::new(config.idle_timeout),
            tell: Box::new(tell),
        }
    }

    /// How many streams are published now, and how many bytes of payload have come in all.
    pub fn state(&self) -> (usize, u64) {
        (self.streams.published(), self.recorded_bytes.load(Ordering::Relaxed))
    }
}

/// The listening sockets.
#[derive(Debug)]
pub struct Listeners {
    poll: Poll,
    listeners: Vec<TcpListener>,
}

impl Listeners {
    /// Listens on all of `addresses` that it can: host and port each. The other result is those it cannot, with the
    /// reason.
    ///
    /// # Errors
    /// Those of the system that concern no single address.
    pub fn bind(addresses: &[String]) -> io::Result<(Self, Vec<(String, io::Error)>)> {
        let (mut this, mut failed) = (Self { poll: Poll::new()?, listeners: Vec::new() }, Vec::new());
        for address in addresses {
            if let Err(error) = this.add(address) {
                failed.push((address.clone(), error));
            }
        }
        Ok((this, failed))
    }

    fn add(&mut self, address: &str) -> io::Result<()> {
        let address = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let mut listener = TcpListener::bind(address)?;
        self.poll.registry().register(&mut listener, Token(self.listeners.len()), Interest::READABLE)?;
        self.listeners.push(listener);
        Ok(())
    }

    /// The addresses that are listened on, with the ports that the system chose where it was asked to.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves until `stop` is set, and then completes all recordings. `tick` is called every now and then.
    ///
    /// # Errors
    /// Those of the system that concern no single connection.
    pub fn serve(mut self, shared: &Arc<Shared>, stop: &AtomicBool, mut tick: impl FnMut()) -> io::Result<()> {
        let mut events = Events::with_capacity(64);
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        let mut result = Ok(());
        while !stop.load(Ordering::Relaxed) && result.is_ok() {
            result = match self.poll.poll(&mut events, Some(TICK)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
                _ => Ok(()),
            };
            threads.retain(|thread| !thread.is_finished());
            // Each of them, whatever the events say: one that had to be left last time is not announced again.
            for listener in &self.listeners {
                accept(listener, shared, &mut threads);
            }
            shared.gateway.tick();
            tick();
        }
        shared.stop.store(true, Ordering::Relaxed);
        for thread in threads {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
        shared.gateway.join();
        result
    }
}

/// Takes all that wait at a listener.
fn accept(listener: &TcpListener, shared: &Arc<Shared>, threads: &mut Vec<JoinHandle<()>>) {
    loop {
        match listener.accept() {
            Ok((_, peer)) if threads.len() >= MOST_CONNECTIONS => {
                (shared.tell)(Event::Trouble(peer, "turned away: too many connections".into()));
            }
            Ok((stream, peer)) => {
                let shared = Arc::clone(shared);
                threads.push(thread::spawn(move || first::serve(stream, peer, &shared)));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Nobody waits; or the system has too little of something, and may have more at the next tick.
            Err(_) => return,
        }
    }
}
