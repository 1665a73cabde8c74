//! Begins connections between a client and a server repeatedly under an instruction counter.
//!
//! `bench_start ROW COUNT`. Both rows count the instructions of both sides. The client begins without a digest, and the
//! server has the feature `digest`:
//!
//! - `handshake`: the handshake alone.
//! - `publish`: from the first byte of the handshake until the client may publish.

use std::hint::black_box;
use std::process::ExitCode;

use embedded_rtmp::command::ConnectOptions;
use embedded_rtmp::handshake::{Handshake, HandshakeConfig, SCRATCH};
use embedded_rtmp::session::{Client, ClientConfig, Server, ServerConfig, ServerEvent, SessionBuffers};
use embedded_rtmp::time::Instant;

/// The payload of a TCP segment in bytes.
const SEGMENT: usize = 1_460;

const NOW: Instant = Instant::from_micros(0);

fn handshake() {
    let (mut client, mut client_scratch) = (Handshake::new(HandshakeConfig::CLIENT, 1), [0; SCRATCH]);
    let (mut server, mut server_scratch) = (Handshake::new(HandshakeConfig::SERVER, 2), [0; SCRATCH]);
    let mut wire = [0; SEGMENT];
    while !(client.is_done() && server.is_done()) {
        let written = client.poll_transmit(NOW, &mut wire, &mut client_scratch);
        server.next_event(NOW, &mut &black_box(&wire)[..written], &mut server_scratch).expect("goes on");
        let written = server.poll_transmit(NOW, &mut wire, &mut server_scratch);
        client.next_event(NOW, &mut &black_box(&wire)[..written], &mut client_scratch).expect("goes on");
    }
}

fn publish() {
    let (mut scratch, mut control) = ([0; SCRATCH], [0; 512]);
    let (mut their_scratch, mut their_control) = ([0; SCRATCH], [0; 512]);
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let mut client = Client::<8>::new(buffers, ClientConfig::new(), &[1; 32]).expect("a client");
    let buffers = SessionBuffers { scratch: &mut their_scratch, control: &mut their_control };
    let mut server = Server::<8>::new(buffers, ServerConfig::new(), &[2; 32]).expect("a server");
    let options = ConnectOptions::new("live", &["rtmp://host/live"]);
    client.connect(&options).expect("connects");
    client.publish("key").expect("publishes");
    let (mut wire, mut answer) = ([0; SEGMENT], [0; SEGMENT]);
    while client.publishing().is_none() {
        let written = client.poll_transmit(NOW, &mut wire);
        let mut input = &black_box(&wire)[..written];
        loop {
            while let Some(event) = server.next_event(NOW, &mut input).expect("goes on") {
                match event {
                    ServerEvent::Connect(_) => server.accept_connect().expect("asked"),
                    ServerEvent::Publish { stream, .. } => server.accept(stream).expect("asked"),
                    _ => {}
                }
            }
            // Input that is not consumed yet waits for this output.
            let answered = server.poll_transmit(NOW, &mut answer);
            let mut answers = &black_box(&answer)[..answered];
            while client.next_event(NOW, &mut answers).expect("goes on").is_some() {}
            if input.is_empty() && answered == 0 {
                break;
            }
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [row, count] = &arguments[..] else { return usage() };
    let begin = match row.as_str() {
        "handshake" => handshake,
        "publish" => publish,
        _ => return usage(),
    };
    let Ok(count) = count.parse::<u32>() else { return usage() };
    (0..count).for_each(|_| begin());
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: bench_start handshake|publish COUNT");
    ExitCode::from(2)
}
