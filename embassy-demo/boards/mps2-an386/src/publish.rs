//! Publishes the clip.

use embassy_net::Stack;
use embedded_rtmp_embassy::{Clip, Memory, Station, StationOptions};
use mps2_an386::CLIP;
use mps2_an386::arguments::Publish;
use mps2_an386::board::host;
use static_cell::ConstStaticCell;

/// What waits for a tunnel's next request.
const GATHER: usize = if cfg!(feature = "rtmpt") { 4096 } else { 0 };

/// The rings of the socket, and what the session works in.
static MEMORY: ConstStaticCell<Memory<4096, 4096, 1536, 512, GATHER>> = ConstStaticCell::new(Memory::new());

pub(crate) async fn publish(stack: Stack<'static>, arguments: Publish<'static>) -> bool {
    let mut clip = match Clip::new(CLIP, arguments.loops) {
        Ok(clip) => clip,
        Err(why) => {
            defmt::error!("the clip: {}", why);
            return false;
        }
    };
    let mut options = StationOptions::default();
    if arguments.fast {
        clip = clip.unpaced();
        options.drop_limits = None;
    }
    let mut entropy = host::random;
    let mut station = Station::new(stack, MEMORY.take(), &mut entropy, &options);
    let result = station.publish(arguments.url, &mut clip).await;
    let counters = station.counters();
    defmt::info!(
        "audio: {} sent, {} dropped; video: {} sent, {} dropped; {} bytes; {} connections",
        counters.audio.sent,
        counters.audio.dropped(),
        counters.video.sent,
        counters.video.dropped(),
        counters.bytes,
        counters.connections
    );
    match result {
        Ok(()) => defmt::info!("published"),
        Err(ref why) => defmt::error!("not published: {}", why),
    }
    result.is_ok()
}
