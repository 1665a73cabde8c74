//! Publishes the clip.

use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_time::{Duration, Instant, Timer};
use embedded_rtmp_embassy::embedded_rtmp::connect::{Limits, Order, Plan};
use embedded_rtmp_embassy::embedded_rtmp::media::flv::Tags;
use embedded_rtmp_embassy::embedded_rtmp::message::Kind;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{Error, Memory, Parts, PublishOptions, Publisher};
use mps2_an386::CLIP;
use mps2_an386::arguments::Publish;
use mps2_an386::board::host;
use static_cell::ConstStaticCell;

pub(crate) async fn publish(stack: Stack<'static>, options: Publish<'static>) -> Result<(), ()> {
    static MEMORY: ConstStaticCell<Memory<4096, 4096>> = ConstStaticCell::new(Memory::new());
    let url = Url::parse(options.url).map_err(|why| defmt::error!("{}", why))?;
    let order = Order::for_url(&url).map_err(|why| defmt::error!("{}", why))?;
    let mut plan = Plan::new(order.targets(), Limits::SEQUENTIAL).map_err(|why| defmt::error!("{}", why))?;
    let tags = Tags::file(CLIP).map_err(|why| defmt::error!("{}", why))?;
    stack.wait_config_up().await;
    let how = PublishOptions::default();
    let connecting = Publisher::<8>::connect(stack, &url, &mut plan, &how, MEMORY.take(), host::random);
    let mut publisher = connecting.await.map_err(|why| defmt::error!("{}", why))?;
    let Parts { mut runner, mut audio, mut data, mut video } = publisher.split();
    let start = Instant::now();
    let feed = async {
        for tag in tags {
            if !options.fast {
                Timer::at(start + Duration::from_millis(tag.timestamp.0.into())).await;
            }
            match tag.kind {
                Kind::AUDIO => audio.send(tag.timestamp, tag.data).await?,
                Kind::VIDEO => video.send(tag.timestamp, tag.data).await?,
                _ => data.send(tag.timestamp, tag.data).await?,
            }
        }
        Ok::<(), Error>(())
    };
    let result = match select(feed, runner.run()).await {
        Either::First(result) => result,
        Either::Second(error) => Err(error),
    };
    let closed = publisher.close().await;
    result.and(closed).map_err(|why| defmt::error!("{}", why))?;
    defmt::info!("published");
    Ok(())
}
