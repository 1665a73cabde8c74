//! The publisher device: goes through the port plan and publishes the clip.

use std::time::Duration;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_time::{Instant, Timer};
use embedded_rtmp_embassy::embedded_rtmp::handshake;
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Plan;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::transport::Transport;
use embedded_rtmp_embassy::{ClientOptions, Error, Memory, Parts, Publisher, Sender};

use super::clip::{Due, metadata, schedule};
use super::flv::{AUDIO, Tag, VIDEO};
use super::progress::Progress;
use super::wire::Random;

/// Publishes a clip. If `paced`, each message is sent when it is due, otherwise as fast as the server accepts them.
pub async fn publish<const RX: usize, const TX: usize, const GATHER: usize>(
    stack: Stack<'_>,
    url: &Url<'_>,
    plan: &mut Plan<'_>,
    memory: &mut Memory<RX, TX, { handshake::SCRATCH }, 512, GATHER>,
    clip: &[Tag<'_>],
    paced: bool,
    progress: &Progress,
) -> Result<(), Error> {
    let mut random = Random(0xFEDC_BA98_7654_3211);
    let options = ClientOptions::default();
    let mut publisher = Publisher::<8>::connect(stack, url, plan, &options, memory, || random.bytes()).await?;
    feed(&mut publisher, clip, paced, progress).await
}

/// Like [`publish`], with several sockets. The plan says how many may be used at once.
pub async fn race<const RX: usize, const TX: usize, const N: usize>(
    stack: Stack<'_>,
    url: &Url<'_>,
    plan: &mut Plan<'_>,
    memory: &mut [Memory<RX, TX>; N],
    clip: &[Tag<'_>],
    paced: bool,
    progress: &Progress,
) -> Result<(), Error> {
    let mut random = Random(0xFEDC_BA98_7654_3211);
    let options = ClientOptions::default();
    let mut publisher = Publisher::<8>::race(stack, url, plan, &options, memory, || random.bytes()).await?;
    feed(&mut publisher, clip, paced, progress).await
}

/// Sends a clip on a publishing connection, and ends the stream.
pub async fn feed<T: Transport>(
    publisher: &mut Publisher<'_, 8, T>,
    clip: &[Tag<'_>],
    paced: bool,
    progress: &Progress,
) -> Result<(), Error> {
    progress.publishing.set(Some(Instant::now()));
    let Parts { mut runner, mut audio, mut data, mut video } = publisher.split();
    let schedule = schedule(clip);
    let feed = async {
        let start = Instant::now();
        let feeder = Feeder { start, paced, progress };
        if let Some(metadata) = metadata(clip) {
            data.send(Timestamp(0), &metadata).await?;
            feeder.note(Duration::ZERO);
        }
        let (audio, video) =
            join(feeder.feed(&mut audio, &schedule, AUDIO), feeder.feed(&mut video, &schedule, VIDEO)).await;
        audio.and(video)
    };
    let result = match select(feed, runner.run()).await {
        Either::First(result) => result,
        Either::Second(error) => Err(error),
    };
    let closed = publisher.close().await;
    progress.traffic.set(publisher.traffic());
    result.and(closed)
}

struct Feeder<'f> {
    start: Instant,
    paced: bool,
    progress: &'f Progress,
}

impl Feeder<'_> {
    /// Sends the messages of one kind, each when it is due.
    async fn feed<T: Transport>(
        &self,
        sender: &mut Sender<'_, '_, 8, T>,
        schedule: &[Due<'_>],
        kind: MessageKind,
    ) -> Result<(), Error> {
        for (due, tag) in schedule.iter().filter(|(_, tag)| tag.kind == kind) {
            if self.paced {
                Timer::at(self.start + embassy_time::Duration::from_micros(due.as_micros() as u64)).await;
            }
            sender.send(tag.timestamp, tag.data).await?;
            self.note(*due);
            self.progress.first_media.set(self.progress.first_media.get().or(Some(Instant::now())));
        }
        Ok(())
    }

    fn note(&self, due: Duration) {
        let progress = self.progress;
        progress.messages.set(progress.messages.get() + 1);
        progress.position.set(progress.position.get().max(due));
    }
}
