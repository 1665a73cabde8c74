//! The port test between two devices.

use anyhow::Result;
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{AttemptReport, Target};
use embedded_rtmp_embassy::{ClientOptions, Memory, Server, ServerOptions, test_ports};

use super::clock::block_on;
use super::device::Device;
use super::options::{MOST_PORTS, Options};
use super::record::Recorder;
use super::run::limits;
use super::tasks::{self, Task};
use super::wire::{Random, Wire};

/// The port of a web server.
const WEB: u16 = 8080;
/// A port on which nothing listens.
const NOTHING: u16 = 7070;

/// Tests the ports on which the other device serves, and two others. `show` gets each result.
///
/// # Errors
/// The server cannot be created, or the test cannot begin.
pub fn ports(options: &Options, show: &mut dyn FnMut(AttemptReport)) -> Result<()> {
    let wire = Wire::between(options);
    let (mut first, mut second) = (Device::new(), Device::new());
    let (first, mut first_runner, first_port) = first.start(1);
    let (second, mut second_runner, second_port) = second.start(2);
    let mut memory: Box<[Memory<4096, 4096>; MOST_PORTS + 1]> = Box::new([const { Memory::new() }; MOST_PORTS + 1]);
    let served = Server::<{ MOST_PORTS + 1 }>::new(second, &options.ports.0, &mut memory, &ServerOptions::default());
    let mut server = served?;
    let mut recorder = Recorder::new(|_, _| Err(std::io::Error::other("nothing is recorded")));
    let targets: Vec<_> = options.ports.0.iter().chain([&WEB, &NOTHING]).map(|port| Target::rtmp(*port)).collect();
    let (mut memory, mut random) = (Memory::<4096, 4096>::new(), Random(0x0123_4567_89AB_CDEF));
    let test = test_ports(
        first,
        "10.0.0.2",
        &targets,
        limits(options),
        &ClientOptions::DEFAULT,
        &mut memory,
        || random.bytes(),
        show,
    );
    let others: [Task<'_>; 5] = [
        Box::pin(async { first_runner.run().await }),
        Box::pin(async { second_runner.run().await }),
        Box::pin(wire.run(first_port, second_port)),
        Box::pin(server.run(&mut recorder)),
        Box::pin(web_server(second)),
    ];
    Ok(block_on(tasks::run(test, others))?)
}

/// Answers any bytes as a web server answers bytes that are not HTTP.
async fn web_server(stack: Stack<'_>) {
    let (mut rx, mut tx) = ([0; 2048], [0; 512]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
        if socket.accept(WEB).await.is_err() {
            continue;
        }
        let mut bytes = [0; 256];
        if socket.read(&mut bytes).await.is_ok() && socket.write(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.is_ok() {
            while socket.read(&mut bytes).await.is_ok_and(|length| length > 0) {}
        }
    }
}
