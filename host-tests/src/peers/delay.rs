//! A TCP relay that delays every byte, in both directions.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// A relay from a port of 127.0.0.1 to another one. It ends when the value is dropped. Connections end with their peers.
#[derive(Debug)]
pub struct Delay {
    port: u16,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Delay {
    /// Begins to listen. Each byte reaches the other side `each_way` later.
    ///
    /// # Errors
    /// The system has no free port.
    pub fn start(server: u16, each_way: Duration) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let (connections, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, end) = (Arc::clone(&connections), Arc::clone(&stop));
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { continue };
                    let _ = to.set_nodelay(true);
                    thread::spawn(move || carry(from, to, each_way));
                }
            }
        });
        Ok(Self { port, connections, stop })
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The number of connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the listening thread.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// Copies one direction until it ends.
fn carry(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    delayed(
        delay,
        |buffer| from.read(buffer),
        |bytes| to.write_all(bytes).inspect_err(|_| drop(to.shutdown(Shutdown::Both))),
    );
    let _ = to.shutdown(Shutdown::Write);
}

/// Sends everything that `receive` gets, each piece `delay` later, until there is nothing else or one of the two fails. A piece has
/// at most 64 KiB.
pub fn delayed(
    delay: Duration,
    mut receive: impl FnMut(&mut [u8]) -> io::Result<usize>,
    mut send: impl FnMut(&[u8]) -> io::Result<()> + Send,
) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::scope(|scope| {
        scope.spawn(move || {
            receiver.into_iter().try_for_each(|(due, bytes)| {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                send(&bytes)
            })
        });
        // The thread ends when this is dropped.
        let sender = sender;
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = receive(&mut buffer) {
            if sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    });
}
