//! Accepts publishers, relays their streams to players, and records them.

mod access;
mod admin;
mod client;
mod connection;
mod event;
mod event_loop;
mod gateway;
mod handover;
mod proxy;
mod record;
mod shared;
mod streams;
mod web;

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use embedded_rtmp::relay::RelayConfig;
use embedded_rtmp::session::ServerConfig;
use embedded_rtmp::web::WebConfig;
use mio::net::TcpListener;
use mio::{Interest, Poll, Token};

use crate::net::TlsServer;
use access::Access;
pub use access::User;
pub use admin::AdminOptions;
pub use event::{Event, Load, Played, Recorded, Relayed};
use event_loop::EventLoop;
pub use proxy::Network;
use shared::{Outcome, Shared};
pub use web::WebOptions;

/// How to serve.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory for recordings. With `None`, nothing is recorded.
    pub directory: Option<PathBuf>,
    /// Whether timestamps and metadata are recorded unchanged. Otherwise recordings begin at 0, and jumps of the timestamps
    /// by more than 10 s are removed.
    pub keeps_timestamps: bool,
    /// How many bytes of each stream are stored for its players.
    pub ring: usize,
    /// The most TCP connections at a time. For a new one, the server closes one that neither publishes nor plays. If there
    /// is none, it closes the new one.
    pub max_connections: usize,
    /// The most TCP connections at a time from one address; for IPv6, from one network of 64 bits.
    pub max_per_address: usize,
    /// The approximate limit of memory in bytes: for the process itself, rings, queues, and incomplete messages.
    pub memory: usize,
    /// The networks of load balancers. A connection from there must begin with a PROXY header, and no other may.
    pub proxies: Vec<Network>,
    /// The user whose password every client must know. With `None`, every client may publish and play.
    pub user: Option<User>,
    /// The certificate and its key. With `None`, clients cannot use TLS.
    pub tls: Option<TlsServer>,
    /// The configuration of the sessions.
    pub config: ServerConfig,
    /// The shortest time between two key agreements with clients of RTMPE. Sessions that need keys wait.
    pub agreement_interval: Duration,
    /// What happens if publishers conflict or leave, and if players are slow.
    pub relay: RelayConfig,
    /// The URL of the application to which clients are sent when they are asked to connect again. With `None`, that is
    /// the same one.
    pub reconnect_to: Option<String>,
    /// How long a server that stops waits until the clients that were asked to connect again have left. If it is zero, the
    /// server stops at once and asks nobody.
    pub drain: Duration,
    /// Where administration is offered. With `None`, it is off.
    pub admin: Option<AdminOptions>,
    /// The addresses of the HTTP server that gets the requests which are neither for tunnels nor for the web here. With
    /// none, they are refused.
    pub handover: Vec<SocketAddr>,
    /// Which clients may use HTTP-FLV and the page.
    pub web: WebOptions,
}

/// What the user wants from a server that runs.
#[derive(Debug, Clone, Default)]
pub struct Controls {
    /// The server stops.
    pub stop: Arc<AtomicBool>,
    /// The server asks its clients to connect again, once for each time that this is set.
    pub ask: Arc<AtomicBool>,
}

impl Options {
    /// Whether an address is that of a load balancer.
    fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(address))
    }

    /// Bytes for rings and connections. The rest is for code, tables and what the allocator does not return.
    fn for_all(&self) -> usize {
        self.memory - self.memory / 8
    }

    /// Bytes for rings. The rest is for connections.
    fn for_streams(&self) -> usize {
        self.for_all() / 4 * 3
    }
}

/// The listening sockets.
#[derive(Debug)]
pub struct Listeners {
    poll: Poll,
    listeners: Vec<TcpListener>,
    admin: Option<TcpListener>,
}

impl Listeners {
    /// Listens on all `addresses` (host and port) on which that is possible. Also returns the others, each with the reason.
    ///
    /// # Errors
    /// The system has no way to wait for events.
    pub fn bind(addresses: &[String]) -> io::Result<(Self, Vec<(String, io::Error)>)> {
        let (mut this, mut failed) = (Self { poll: Poll::new()?, listeners: Vec::new(), admin: None }, Vec::new());
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

    /// Listens for administrators. Returns the address, with the port that the system chose instead of port 0.
    ///
    /// # Errors
    /// It is not possible to listen there.
    pub fn listen_for_admin(&mut self, address: &str) -> io::Result<SocketAddr> {
        let address = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let listener = admin::listen(address, self.poll.registry())?;
        self.admin.insert(listener).local_addr()
    }

    /// The addresses on which the server listens. Instead of port 0 they have the port that the system chose.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves until [`Controls::stop`] is set, in the caller's thread, and then completes all recordings. `tell` is called
    /// with each event. `tick` is called ten times a second.
    ///
    /// # Errors
    /// Waiting for events failed, or the system has no random bytes.
    pub fn serve(
        self,
        options: &Options,
        controls: &Controls,
        tell: &mut dyn FnMut(Event),
        tick: &mut dyn FnMut(Load),
    ) -> io::Result<()> {
        let access = options.user.as_ref().map(Access::new).transpose().map_err(io::Error::other)?;
        let names: Vec<_> = options.web.names.iter().map(String::as_str).chain(["localhost"]).collect();
        let origins: Vec<_> = options.web.origins.iter().map(String::as_str).collect();
        let web = WebConfig {
            names: &names,
            origins: &origins,
            idle_timeout: options.config.idle_timeout.unwrap_or(Duration::MAX),
            ..WebConfig::new()
        };
        EventLoop::new(self.poll, self.listeners, self.admin, options, web, access, tell)?.run(controls, tick)
    }
}

/// Ends a session with the reason, and reports the reason if it is an error.
fn conclude(outcome: Outcome, peer: SocketAddr, shared: &mut Shared<'_>, finish: impl FnOnce(&str, &mut Shared<'_>)) {
    match outcome {
        Ok(end) => finish(end.unwrap_or_default(), shared),
        Err(error) => {
            let text = format!("{error:#}");
            finish(&text, shared);
            shared.last_error = Some(text.clone());
            shared.tell_trouble(peer, text);
        }
    }
}
