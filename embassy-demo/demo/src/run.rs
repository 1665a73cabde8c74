//! A run: both devices, the wire between them, and the outcome.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use embassy_time::Instant;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{AttemptReport, Limits, Plan, Target};
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::transport::Pipe;
use embedded_rtmp_embassy::{Error, Memory, Publisher, Server, ServerOptions, SessionId, Streams, Traffic};

use super::clip::schedule;
use super::clock::block_on;
use super::compare::compare;
use super::device::Device;
use super::flv::{self, AUDIO, Tag, VIDEO};
use super::options::{MOST_PORTS, MOST_SOCKETS, Options};
use super::progress::Progress;
use super::publish::{publish, race};
use super::record::Recorder;
use super::tasks::{self, Task};
use super::tls;
use super::wire::{Counts, Wire};

/// The URL to which the publisher publishes. It has the address of the server device.
const URL: &str = "rtmp://10.0.0.2/live/clip";
/// The number of the server device's sockets.
const SOCKETS: usize = MOST_PORTS + 1;
/// How much longer than the clip a run may take. At 5 % loss smoltcp, whose shortest retransmission timeout is 1 s,
/// still carries 45 KiB/s.
const PATIENCE: Duration = Duration::from_secs(60);

/// The memory of a session on either side. The rings have room for a whole handshake of 3,073 bytes; smaller rings cost
/// more round trips.
type SessionMemory = Memory<4096, 4096>;

/// The outcome of a run.
pub struct Outcome {
    /// Each port of the publisher's list.
    pub attempts: Vec<AttemptReport>,
    /// From the first dial until the server accepted the stream.
    pub connected: Option<Duration>,
    /// From the winning attempt's dial to the first audio or video message.
    pub first_media: Option<Duration>,
    /// The number of messages that the publisher sent, and that were recorded.
    pub messages: [u32; 2],
    /// Bytes over TCP, as counted by the publisher and by the server.
    pub traffic: [Traffic; 2],
    /// The size of a session's state and of the memory lent to it: of the publisher, then of one server session.
    pub memory: [(usize, usize); 2],
    /// Frames on the wire.
    pub frames: Counts,
    /// Why the run failed, or how many audio and video messages the recording has.
    pub result: Result<(usize, usize)>,
}

/// Publishes the clip from one device to the other and compares the recording.
///
/// # Errors
/// The clip cannot be used, or the recording cannot be written. Later errors are part of the outcome.
pub fn run(options: &Options) -> Result<Outcome> {
    let file = match &options.clip {
        Some(path) => fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => crate::clip::BUNDLED.to_vec(),
    };
    let name = options.clip.as_deref().unwrap_or(Path::new("the bundled clip")).display().to_string();
    let clip = flv::read(&file).with_context(|| format!("cannot use {name}"))?;
    let out = create(options)?;
    let mut outcome = block_on(transfer(options, &clip, out))?;
    if outcome.result.is_ok() {
        outcome.result = check(&clip, &options.output);
    }
    Ok(outcome)
}

/// Creates an empty file for the recording, which replaces the recording of an earlier run.
fn create(options: &Options) -> Result<File> {
    let path = &options.output;
    let same = |clip| Some(fs::canonicalize(clip).ok()? == fs::canonicalize(path).ok()?);
    if options.clip.as_ref().and_then(same).unwrap_or(false) {
        bail!("the recording would overwrite the clip {}", path.display());
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

async fn transfer(options: &Options, clip: &[Tag<'_>], out: File) -> Result<Outcome> {
    let wire = Wire::between(options);
    let (mut first, mut second) = (Device::new(), Device::new());
    let (first, mut first_runner, first_port) = first.start(1);
    let (second, mut second_runner, second_port) = second.start(2);

    let out = RefCell::new(Some(out));
    let mut recorder = Recorder::new(|_, _| match out.take() {
        Some(file) => Ok(Box::new(BufWriter::new(file)) as Box<dyn Write>),
        None => Err(io::Error::other("only one stream is recorded")),
    });
    let mut memory: Box<[SessionMemory; SOCKETS]> = Box::new([const { SessionMemory::new() }; SOCKETS]);
    let server_options = ServerOptions { max_per_address: Some(SOCKETS), ..Default::default() };
    // With TLS, port 443 accepts only TLS.
    let listed: Vec<u16> =
        options.ports.0.iter().copied().filter(|port| !(options.tls && *port == tls::PORT)).collect();
    let (mut input, mut output, mut inside) = ([0; 1024], [0; 2048], SessionMemory::new());
    let pipe = Pipe::new(&mut input, &mut output);
    let mut streams = Streams::<1>::new([(&pipe, inside.session())])?;
    let server = Server::<SOCKETS>::new(second, &listed, &mut memory, &server_options)?;
    let mut server = server.with_streams(&mut streams);
    let identity = options.tls.then(tls::Identity::new).transpose()?;

    let targets: Vec<Target> = listed.iter().map(|port| Target::rtmp(*port)).collect();
    let mut plan = Plan::new(&targets, limits(options))?;
    let last = [Target::rtmps(tls::PORT)];
    let (mut last_plan, last_began) = (Plan::new(&last, limits(options))?, Cell::new(Duration::ZERO));
    let mut memory: Box<[SessionMemory; MOST_SOCKETS]> = Box::new([const { SessionMemory::new() }; MOST_SOCKETS]);
    let (url, progress) = (Url::parse(URL)?, Progress::default());
    let length = schedule(clip).last().map_or(Duration::ZERO, |(due, _)| *due);

    let start = Instant::now();
    let publishing = async {
        let published = match options.sockets {
            1 => publish(first, &url, &mut plan, &mut memory[0], clip, true, &progress).await,
            _ => race(first, &url, &mut plan, &mut memory, clip, true, &progress).await,
        };
        match (published, &identity) {
            (Err(Error::Exhausted), Some(identity)) => {
                last_began.set(Duration::from_micros(start.elapsed().as_micros()));
                tls::publish(first, &url, &mut last_plan, identity, clip, &progress).await
            }
            (published, _) => published,
        }
    };
    let accepting = async {
        match &identity {
            Some(identity) => tls::serve(second, identity, &pipe).await,
            None => std::future::pending().await,
        }
    };
    let limit = embassy_time::Duration::from_millis((limits(options).total + length + PATIENCE).as_millis() as u64);
    let work = embassy_time::with_timeout(limit, publishing);
    let others: [Task<'_>; 6] = [
        Box::pin(accepting),
        Box::pin(async { first_runner.run().await }),
        Box::pin(async { second_runner.run().await }),
        Box::pin(wire.run(first_port, second_port)),
        Box::pin(server.run(&mut recorder)),
        Box::pin(progress.show(length)),
    ];
    let result = match tasks::run(work, others).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error @ Error::Exhausted)) => Err(anyhow!("{error}: {}", failures([&plan, &last_plan]))),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(anyhow!("the transfer took longer than {} s", limit.as_secs())),
    };
    let result = match recorder.error.take() {
        Some(error) => Err(error).with_context(|| format!("cannot write {}", options.output.display())),
        None => result,
    };
    let since_start = |instant: Instant| Duration::from_micros((instant - start).as_micros());
    let last_winner = last_plan.winner().map(|winner| winner.started + last_began.get());
    let dialled = plan.winner().map(|winner| winner.started).or(last_winner).unwrap_or_default();
    let session =
        recorder.recorded.map_or(Traffic::default(), |session: SessionId| server.traffic(session).unwrap_or_default());
    Ok(Outcome {
        attempts: plan.reports().chain(last_plan.reports().filter(|_| options.tls)).collect(),
        connected: progress.publishing.get().map(since_start),
        first_media: progress.first_media.get().map(|instant| since_start(instant) - dialled),
        messages: [progress.messages.get(), recorder.messages],
        traffic: [progress.traffic.get(), session],
        memory: [
            (size_of::<Publisher<'_>>(), usize::from(options.sockets) * size_of::<SessionMemory>()),
            (Server::<'_, SOCKETS>::SESSION_SIZE, size_of::<SessionMemory>()),
        ],
        frames: wire.counts.get(),
        result: result.map(|()| (0, 0)),
    })
}

/// The reason of each port's failure.
fn failures(plans: [&Plan<'_>; 2]) -> String {
    let failed: Vec<String> =
        plans.into_iter().flat_map(Plan::failures).map(|(target, why)| format!("{target}: {why}")).collect();
    failed.join("; ")
}

/// The plan's deadlines: the usual ones on a fast wire, longer ones on a wire with a delay.
pub fn limits(options: &Options) -> Limits {
    let round_trip = Duration::from_millis(2 * options.delay);
    let tcp = Duration::from_millis(2_500) + 2 * round_trip;
    let handshake = Limits::SEQUENTIAL.handshake + 4 * round_trip;
    let total = (tcp + handshake) * options.ports.0.len() as u32;
    let overlap = if options.sockets == 1 { Limits::SEQUENTIAL } else { Limits::smart(options.sockets) };
    Limits { attempt: tcp + handshake, tcp, handshake, total, ..overlap }
}

/// Reads the recording again and compares it with the clip.
fn check(clip: &[Tag<'_>], output: &Path) -> Result<(usize, usize)> {
    let file = fs::read(output).with_context(|| format!("cannot read {}", output.display()))?;
    let recording = flv::read(&file).with_context(|| format!("cannot read {}", output.display()))?;
    compare(clip, &recording)?;
    let count = |kind| recording.iter().filter(|tag| tag.kind == kind).count();
    ensure!(count(AUDIO) + count(VIDEO) > 0, "the recording is empty");
    Ok((count(VIDEO), count(AUDIO)))
}
