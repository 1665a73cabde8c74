//! Publishes five seconds of a 440 Hz tone over a socket of `std`:
//!
//!     cargo run -p embedded-rtmp --example publish -- rtmp://127.0.0.1:1935/live/test

use std::error::Error;
use std::f64::consts::TAU;
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use embedded_rtmp::command::ConnectOptions;
use embedded_rtmp::media::audio::{AudioTagHeader, HEADER_SIZE, Sound};
use embedded_rtmp::message::{MessageKind, StreamId, Timestamp};
use embedded_rtmp::session::{Client, ClientConfig, ClientEvent, SessionBuffers};
use embedded_rtmp::time::Instant;
use embedded_rtmp::url::Url;

/// Samples per second.
const RATE: u32 = 11_025;
/// Each message has the samples of this number of milliseconds.
const STEP: u32 = 40;
const MESSAGES: u32 = 5_000 / STEP;

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: publish rtmp://HOST[:PORT]/APP/KEY")?;
    let url = Url::parse(&url)?;
    let mut socket = TcpStream::connect((url.host(), url.port().unwrap_or(1935)))?;
    socket.set_nodelay(true)?;

    let (mut scratch, mut control) = ([0; 1536], [0; 512]);
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let mut client: Client = Client::new(buffers, ClientConfig::new(), &entropy())?;
    let parts = url.tc_url_parts();
    let options = ConnectOptions::new(url.app(), &parts);
    client.connect(&options)?;
    client.publish_parts(&url.key_parts())?;

    let started = std::time::Instant::now();
    let now = || Instant::from_micros(started.elapsed().as_micros() as u64);
    let (mut received, mut out) = ([0; 1460], [0; 1460]);
    // The message stream, and the time at which the server accepted it.
    let mut publishing: Option<(StreamId, Instant)> = None;
    let mut sent = 0;
    loop {
        // Send what the session has to send.
        while client.wants_transmit() {
            let length = client.poll_transmit(now(), &mut out);
            socket.write_all(&out[..length])?;
        }
        // Send the next message when it is due.
        let mut wait = Duration::from_secs(1);
        if let Some((stream, begin)) = publishing
            && sent < MESSAGES
        {
            let due = begin + Duration::from_millis((sent * STEP).into());
            wait = due.saturating_duration_since(now());
            if wait.is_zero() {
                let message = tone(sent);
                let timestamp = Timestamp(sent * STEP);
                let csid = client.begin_media(MessageKind::AUDIO, stream, timestamp, message.len() as u32)?;
                let mut rest = &message[..];
                while client.media_left(csid).is_some() {
                    let progress = client.poll_media(csid, rest, &mut out);
                    socket.write_all(&out[..progress.written])?;
                    rest = &rest[progress.taken..];
                }
                sent += 1;
                if sent == MESSAGES {
                    client.close()?;
                }
                continue;
            }
        }
        // Read until the next message or timer is due.
        if let Some(deadline) = client.poll_timeout() {
            wait = wait.min(deadline.saturating_duration_since(now()));
        }
        socket.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        let mut input = match socket.read(&mut received) {
            Ok(0) => return Err("the server closed the connection".into()),
            Ok(length) => &received[..length],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => &[],
            Err(error) => return Err(error.into()),
        };
        if client.poll_timeout().is_some_and(|deadline| deadline <= now()) {
            client.handle_timeout(now())?;
        }
        while !input.is_empty() {
            while let Some(event) = client.next_event(now(), &mut input)? {
                match event {
                    ClientEvent::Publishing(stream) => {
                        println!("publishing");
                        publishing = Some((stream, now()));
                    }
                    ClientEvent::Refused(_, status) => return Err(status.description.to_string().into()),
                    ClientEvent::Unpublished => {
                        println!("{sent} messages sent");
                        return Ok(());
                    }
                    ClientEvent::Closed => return Err("the server ended the session".into()),
                    _ => {}
                }
            }
            // The session may read no further until its answer is sent.
            let length = client.poll_transmit(now(), &mut out);
            socket.write_all(&out[..length])?;
        }
    }
}

/// The audio message of this number: a header, and samples of 16 bits.
fn tone(number: u32) -> Vec<u8> {
    let sound = Sound::pcm(RATE, true, false).expect("FLV has this rate");
    let mut message = AudioTagHeader::Other(sound).emit(&mut [0; HEADER_SIZE]).to_vec();
    let samples = RATE * STEP / 1_000;
    for sample in number * samples..(number + 1) * samples {
        let level = (f64::from(sample) * 440.0 * TAU / f64::from(RATE)).sin();
        message.extend(((level * 8_000.0) as i16).to_le_bytes());
    }
    message
}

/// Random bytes. On a device they come from the hardware.
fn entropy() -> [u8; 32] {
    let mut bytes = [0; 32];
    for part in bytes.chunks_exact_mut(8) {
        part.copy_from_slice(&RandomState::new().hash_one(0).to_le_bytes());
    }
    bytes
}
