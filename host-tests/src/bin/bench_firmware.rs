//! The cost of the firmware's RTMP compared with a bare TCP socket, in QEMU.
//!
//! The firmware sends the same bytes over TCP and as RTMP video messages of 30 KB, then receives both, with equal rings. The
//! other end is this program, or the tools `serve` and `publish`. It prints the median throughput of pairs, and the mean
//! instructions over all alignments.
//!
//! With `--secure`, the firmware's image `secure` publishes over RTMP, RTMPE, and RTMPS with each profile, to `serve`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use embedded_rtmp::message::MessageKind;
use host_tests::firmware::{Firmware, FirmwareKind};
use host_tests::flv::Writer;
use host_tests::peers::{Running, free_port, start};

/// The bytes of a message, as in the firmware.
const MESSAGE: usize = 30_000;
/// The allowed ratio of instructions per byte, RTMP to TCP. A server checks its time limits once per segment, which is
/// included.
const BUDGET: f64 = 1.073;
/// Ticks of the board's clock per second.
const CLOCK: f64 = 25e6;
/// Instructions per tick if virtual time counts instructions. One instruction takes 1 ns.
const INSTRUCTIONS: f64 = 40.0;
/// The number of alignments of a copy. Each round of the firmware has a different alignment, so the figure is the mean of
/// this number of rounds.
const SHIFTS: usize = 4;
/// The allowed stack of RTMPE and of RTMPS beyond that of a plain connection, in bytes.
const STACKS: [usize; 2] = [4_000, 12_000];
/// The time limit of a run.
const LIMIT: Duration = Duration::from_secs(300);

/// Measures the firmware's RTMP against a bare TCP socket of its network stack.
///
/// Ends with status 1 if RTMP takes more than its budget of instructions compared with TCP.
#[derive(Debug, Parser)]
struct Arguments {
    /// Messages of 30 KB in each measurement
    #[arg(long, default_value_t = 70)]
    messages: usize,
    /// Pairs of throughput measurements
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Count only instructions, which do not depend on the machine's load
    #[arg(long)]
    instructions: bool,
    /// Measure RTMPE and RTMPS beside RTMP
    #[arg(long)]
    secure: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.secure {
        return secure(&arguments);
    }
    if !arguments.instructions {
        println!("{:<28}{:>8}{:>14}{:>14}{:>10}", "Throughput, bytes/s", "rings", "TCP", "RTMP", "ratio");
        for row in run(&arguments, arguments.pairs, &[])? {
            let speed = |counts: f64| row.bytes / (counts / CLOCK);
            let ratio = row.median(|pair| pair.tcp.all / pair.rtmp.all);
            let (tcp, rtmp) = (row.median(|pair| speed(pair.tcp.all)), row.median(|pair| speed(pair.rtmp.all)));
            println!("{:<28}{:>8}{tcp:>14.0}{rtmp:>14.0}{ratio:>10.3}", row.direction, row.ring);
        }
        println!();
    }
    println!("{:<28}{:>8}{:>14}{:>14}{:>10}", "Instructions for each byte", "rings", "TCP", "RTMP", "ratio");
    let mut is_good = true;
    for row in run(&arguments, SHIFTS, &["--icount"])? {
        let cost =
            |of: fn(&Pair) -> f64| row.pairs.iter().map(of).sum::<f64>() * INSTRUCTIONS / row.bytes / SHIFTS as f64;
        let (tcp, rtmp) = (cost(|pair| pair.tcp.busy), cost(|pair| pair.rtmp.busy));
        let ratio = rtmp / tcp;
        println!("{:<28}{:>8}{tcp:>14.3}{rtmp:>14.3}{ratio:>10.3}   at most {BUDGET}", row.direction, row.ring);
        is_good &= ratio <= BUDGET;
    }
    if !is_good {
        eprintln!("bench_firmware: RTMP needs too many instructions compared with TCP; the table has the limit");
    }
    Ok(ExitCode::from(u8::from(!is_good)))
}

/// Ticks of the clock: all of them, and those in which the firmware did not sleep.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    all: f64,
    busy: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    tcp: Counts,
    rtmp: Counts,
}

/// All pairs of one direction, with rings of one size.
#[derive(Debug)]
struct Row {
    direction: &'static str,
    ring: usize,
    bytes: f64,
    pairs: Vec<Pair>,
}

impl Row {
    fn median(&self, of: impl Fn(&Pair) -> f64) -> f64 {
        let mut values: Vec<f64> = self.pairs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }
}

/// One run of the firmware.
fn run(arguments: &Arguments, pairs: usize, options: &[&str]) -> Result<Vec<Row>> {
    let directory = tempfile::tempdir()?;
    let stream = directory.path().join("stream.flv");
    write_stream(&stream, arguments.messages)?;

    let sink = serve_bytes(|mut socket, _| io::copy(&mut socket, &mut io::sink()).map(|_| ()))?;
    let bytes = arguments.messages * MESSAGE;
    // Rounds restart with each ring size.
    let shift = move |index: usize| index % pairs % SHIFTS;
    let source = serve_bytes(move |mut socket, index| {
        // The rest follows in separate segments after the firmware has received these.
        socket.write_all(&[0x5A; SHIFTS][..1 + shift(index)])?;
        socket.read_exact(&mut [0])?;
        socket.write_all(&vec![0x5A; bytes])?;
        io::copy(&mut socket, &mut io::sink()).map(|_| ())
    })?;
    let (board, tools) = (free_port()?, tools()?);
    let publish = tools.join("publish");
    let trigger = serve_bytes(move |_, index| {
        let url = format!("rtmp://127.0.0.1:{board}/live/bench{}", &"+++"[..shift(index)]);
        let published = Command::new(&publish).args(["--fast", "--quiet"]).arg(&stream).arg(url).status()?;
        if published.success() { Ok(()) } else { Err(io::Error::other("publish failed")) }
    })?;
    let (_serve, taker) = serve(&[])?;

    let forward = format!("{board}:1935");
    let options = [&["--hostfwd", &forward], options].concat();
    let numbers = [sink.into(), taker.into(), source.into(), trigger.into(), arguments.messages, pairs];
    let words = numbers.map(|number: usize| number.to_string());
    let words: Vec<&str> = ["bench", "10.0.2.2"].into_iter().chain(words.iter().map(|word| &**word)).collect();
    let (status, log) = Firmware::start(None, &options, &words)?.finish_within(LIMIT)?;
    ensure!(status == Some(0), "the firmware ended with {status:?}: {log}");
    rows(&log, pairs)
}

/// The figures in the log.
fn rows(log: &str, pairs: usize) -> Result<Vec<Row>> {
    let mut found = BTreeMap::<_, Vec<(f64, Counts)>>::new();
    for line in log.lines().filter_map(|line| line.split_once("bench ")) {
        let words: Vec<&str> = line.1.split_whitespace().collect();
        let &[direction, transport, "ring", ring, "bytes", bytes, "counts", all, "busy", busy] = &words[..] else {
            continue;
        };
        let counts = Counts { all: all.parse()?, busy: busy.parse()? };
        found.entry((ring.parse::<usize>()?, direction, transport)).or_default().push((bytes.parse()?, counts));
    }
    let mut rows = Vec::new();
    for direction in ["send", "receive"] {
        for ring in [2_048, 4_096, 8_192] {
            let of = |transport| {
                let all = found.get(&(ring, direction, transport)).filter(|all| all.len() == pairs);
                all.with_context(|| format!("{direction} {transport} with rings of {ring} was not measured: {log}"))
            };
            let (tcp, rtmp) = (of("tcp")?, of("rtmp")?);
            let bytes = tcp.first().context("no pairs")?.0;
            let pairs = tcp.iter().zip(rtmp).map(|(tcp, rtmp)| Pair { tcp: tcp.1, rtmp: rtmp.1 }).collect();
            rows.push(Row { direction, ring, bytes, pairs });
        }
    }
    Ok(rows)
}

/// Starts `serve` on a port, which it returns.
fn serve(options: &[&Path]) -> Result<(Running, u16)> {
    let mut command = Command::new(tools()?.join("serve"));
    let mut serve = start(command.args(["--listen", "127.0.0.1:0"]).args(options))?;
    let mut port = None;
    serve.wait_until("serve listens", LIMIT, |serve| {
        let errors = serve.errors();
        port = errors.split_once("listening on 127.0.0.1:").and_then(|(_, rest)| rest.split_once('\n')?.0.parse().ok());
        port.is_some()
    })?;
    Ok((serve, port.context("serve has no port")?))
}

/// A section of the image `secure`, in ticks of the clock.
#[derive(Debug)]
struct Section {
    name: String,
    handshake: f64,
    longest: f64,
    stack: usize,
    bytes: f64,
    counts: Counts,
}

/// Measures RTMPE and RTMPS beside RTMP.
fn secure(arguments: &Arguments) -> Result<ExitCode> {
    let counted = sections(arguments, &["--icount"])?;
    let timed = sections(arguments, &[])?;
    println!(
        "{:<12}{:>14}{:>16}{:>12}{:>14}{:>14}{:>14}",
        "", "handshake,", "longest without", "stack,", "more than a", "instructions", "bytes/s"
    );
    println!(
        "{:<12}{:>14}{:>16}{:>12}{:>14}{:>14}",
        "", "instructions", "a yield", "bytes", "plain one", "for each byte"
    );
    let mut is_good = true;
    for (section, timed) in counted.iter().zip(&timed) {
        let plain = if section.name.starts_with("rtmps") { "stream" } else { "rtmp" };
        let plain = counted.iter().find(|it| it.name == plain).context("a plain section")?.stack;
        let more = section.stack.saturating_sub(plain);
        let most = match &section.name[..] {
            "rtmpe" => Some(STACKS[0]),
            name if name.starts_with("rtmps") => Some(STACKS[1]),
            _ => None,
        };
        println!(
            "{:<12}{:>14.0}{:>16.0}{:>12}{more:>14}{:>14.1}{:>14.0}{}",
            section.name,
            section.handshake * INSTRUCTIONS,
            section.longest * INSTRUCTIONS,
            section.stack,
            section.counts.busy * INSTRUCTIONS / section.bytes,
            timed.bytes / (timed.counts.all / CLOCK),
            most.map(|most| format!("   stack: at most {most} more")).unwrap_or_default()
        );
        is_good &= most.is_none_or(|most| more <= most);
    }
    if !is_good {
        eprintln!("bench_firmware: a handshake needs too much stack; the table has the limit");
    }
    Ok(ExitCode::from(u8::from(!is_good)))
}

/// One run of the image `secure`.
fn sections(arguments: &Arguments, options: &[&str]) -> Result<Vec<Section>> {
    let chains = Path::new(env!("CARGO_MANIFEST_DIR")).join("chains");
    let (_plain, port) = serve(&[])?;
    let (mut servers, mut words) = (Vec::new(), vec!["10.0.2.2".to_owned(), port.to_string()]);
    for chain in ["p256", "rsa", "p384"] {
        let (certificates, key) = (chains.join(chain).join("chain.pem"), chains.join(chain).join("key.pem"));
        let (server, port) = serve(&[
            "--tls-cert".as_ref(),
            &certificates,
            "--tls-key".as_ref(),
            &key,
            // The emulated board is slow with P-384.
            "--handshake-timeout".as_ref(),
            "0".as_ref(),
        ])?;
        servers.push(server);
        words.push(port.to_string());
    }
    words.push(arguments.messages.to_string());
    let words = words.join(",");
    let (status, log) = Firmware::start_kind(FirmwareKind::Secure, None, options, &[&words])?.finish_within(LIMIT)?;
    ensure!(status == Some(0), "the firmware ended with {status:?}: {log}");
    let mut sections = Vec::new();
    for line in log.lines().filter_map(|line| line.split_once("secure ")) {
        let words: Vec<&str> = line.1.split_whitespace().collect();
        let &[
            name,
            "handshake",
            handshake,
            "longest",
            longest,
            "stack",
            stack,
            "bytes",
            bytes,
            "counts",
            all,
            "busy",
            busy,
        ] = &words[..]
        else {
            continue;
        };
        sections.push(Section {
            name: name.to_owned(),
            handshake: handshake.parse()?,
            longest: longest.parse()?,
            stack: stack.parse()?,
            bytes: bytes.parse()?,
            counts: Counts { all: all.parse()?, busy: busy.parse()? },
        });
    }
    ensure!(sections.len() == 7, "a section is missing: {log}");
    Ok(sections)
}

/// Serves one connection after another on a port of 127.0.0.1 in a thread, and counts them.
fn serve_bytes(mut serve: impl FnMut(TcpStream, usize) -> io::Result<()> + Send + 'static) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for (index, socket) in listener.incoming().enumerate() {
            if let Err(error) = socket.and_then(|socket| serve(socket, index)) {
                eprintln!("bench_firmware: {error}");
            }
        }
    });
    Ok(port)
}

/// A file of `count` video messages.
fn write_stream(path: &Path, messages: usize) -> Result<()> {
    let mut payload = vec![0x5A; MESSAGE];
    payload[..5].copy_from_slice(&[0x17, 1, 0, 0, 0]);
    let mut writer = Writer::new(BufWriter::new(File::create(path)?))?;
    for number in 0..messages {
        writer.write(MessageKind::VIDEO, number as u32 * 40, &payload)?;
    }
    writer.finish()?.flush()?;
    Ok(())
}

/// The folder of the other tools, which is also the folder of this one.
fn tools() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().context("this program has no directory")?.to_owned())
}
