//! Accepts publishers over sockets of `std`, one thread for each, and prints what they publish:
//!
//!     cargo run -p embedded-rtmp --example serve -- 127.0.0.1:1935

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use embedded_rtmp::command::code;
use embedded_rtmp::session::{Server, ServerConfig, ServerEvent, SessionBuffers};
use embedded_rtmp::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:1935".into());
    let listener = TcpListener::bind(&address)?;
    println!("listening on {}", listener.local_addr()?);
    for socket in listener.incoming() {
        let socket = socket?;
        thread::spawn(|| {
            if let Err(error) = serve(socket) {
                println!("session ended: {error}");
            }
        });
    }
    Ok(())
}

fn serve(mut socket: TcpStream) -> Result<(), Box<dyn Error>> {
    socket.set_nodelay(true)?;
    let (mut scratch, mut control) = ([0; 1536], [0; 512]);
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let mut server: Server = Server::new(buffers, ServerConfig::new(), &entropy())?;
    let started = std::time::Instant::now();
    let now = || Instant::from_micros(started.elapsed().as_micros() as u64);
    let (mut received, mut out) = ([0; 1460], [0; 1460]);
    let mut messages = 0;
    while !server.is_closed() {
        while server.wants_transmit() {
            let length = server.poll_transmit(now(), &mut out);
            socket.write_all(&out[..length])?;
        }
        let wait = server.poll_timeout().map(|deadline| deadline.saturating_duration_since(now()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        let mut input = match socket.read(&mut received) {
            Ok(0) => return Err("the client closed the connection".into()),
            Ok(length) => &received[..length],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => &[],
            Err(error) => return Err(error.into()),
        };
        if server.poll_timeout().is_some_and(|deadline| deadline <= now()) {
            server.handle_timeout(now())?;
        }
        while !input.is_empty() {
            while let Some(event) = server.next_event(now(), &mut input)? {
                match event {
                    ServerEvent::Connect(_) => server.accept_connect()?,
                    ServerEvent::Publish { stream, request } => {
                        println!("{}: published", request.key);
                        server.accept(stream)?;
                    }
                    ServerEvent::Media(fragment) => messages += u32::from(fragment.is_last()),
                    ServerEvent::Unpublished(_) => println!("{messages} messages received"),
                    ServerEvent::Play { stream, .. } => {
                        server.reject(stream, code::PLAY_STREAM_NOT_FOUND, "This server has no players.")?;
                    }
                    _ => {}
                }
            }
            // The session may read no further until its answer is sent.
            let length = server.poll_transmit(now(), &mut out);
            socket.write_all(&out[..length])?;
        }
    }
    Ok(())
}

/// Random bytes. On a device they come from the hardware.
fn entropy() -> [u8; 32] {
    let mut bytes = [0; 32];
    for part in bytes.chunks_exact_mut(8) {
        part.copy_from_slice(&RandomState::new().hash_one(0).to_le_bytes());
    }
    bytes
}
