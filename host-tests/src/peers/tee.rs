//! A proxy that records all bytes.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

/// The side that sent bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The side that connected to the proxy.
    Client,
    /// The side that the proxy connected to.
    Server,
}

/// The bytes of one connection: each piece as it was received, in order.
#[derive(Debug, Clone, Default)]
pub struct Conversation(Vec<(Sender, Vec<u8>)>);

impl Conversation {
    /// All bytes that one side sent.
    pub fn sent_by(&self, sender: Sender) -> Vec<u8> {
        self.0.iter().filter(|(from, _)| *from == sender).flat_map(|(_, bytes)| bytes).copied().collect()
    }

    /// Each piece, in order.
    pub fn pieces(&self) -> impl Iterator<Item = (Sender, &[u8])> {
        self.0.iter().map(|(sender, bytes)| (*sender, bytes.as_slice()))
    }
}

/// A proxy for one connection to a port of 127.0.0.1.
#[derive(Debug)]
pub struct Tee {
    port: u16,
    thread: JoinHandle<io::Result<()>>,
    conversation: Arc<Mutex<Conversation>>,
}

/// Changes the first piece of bytes that the client sends.
pub type Change = fn(&mut [u8]);

impl Tee {
    /// Begins to listen for one connection, which is forwarded to `server`.
    ///
    /// # Errors
    /// There is no port to listen on.
    pub fn start(server: u16) -> Result<Self> {
        Self::start_changing(server, |_| {})
    }

    /// Like [`Self::start`], with a change of the client's C0 and C1.
    ///
    /// # Errors
    /// There is no port to listen on.
    pub fn start_changing(server: u16, change: Change) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let conversation = Arc::new(Mutex::new(Conversation::default()));
        let shared = Arc::clone(&conversation);
        let thread = thread::spawn(move || run(&listener, server, change, &shared));
        Ok(Self { port, thread, conversation })
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits until both sides have closed the connection, and returns the recorded bytes.
    ///
    /// # Errors
    /// No client connected, or the server could not be reached.
    pub fn finish(self) -> Result<Conversation> {
        // If no client has connected, this connection ends the thread.
        drop(TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)), Duration::from_secs(1)));
        self.thread.join().ok().context("the proxy panicked")??;
        Ok(self.conversation.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn run(listener: &TcpListener, server: u16, change: Change, shared: &Mutex<Conversation>) -> io::Result<()> {
    const C0_C1: usize = 1 + 1536;
    let (client, _) = listener.accept()?;
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    thread::scope(|scope| {
        let back = scope.spawn(|| copy(&server, &client, Sender::Server, shared));
        let mut first = Vec::new();
        (&client).take(C0_C1 as u64).read_to_end(&mut first)?;
        change(&mut first);
        note(shared, Sender::Client, &first);
        (&server).write_all(&first)?;
        copy(&client, &server, Sender::Client, shared);
        let _ = back.join();
        Ok(())
    })
}

/// Copies until one side ends, then ends the other.
fn copy(mut from: &TcpStream, mut to: &TcpStream, sender: Sender, shared: &Mutex<Conversation>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        note(shared, sender, &buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn note(shared: &Mutex<Conversation>, sender: Sender, bytes: &[u8]) {
    shared.lock().unwrap_or_else(PoisonError::into_inner).0.push((sender, bytes.to_vec()));
}
