//! Publishes an FLV file over a stream of `embedded-io-async`, without embassy-net's TCP:
//!
//! ```sh
//! cargo run -p embedded-rtmp-embassy --example stream -- rtmp://127.0.0.1/live/key FILE.flv
//! ```
//!
//! The stream is a TCP socket of the host (`host.rs`). On a device it is what the modem's or the Wi-Fi module's driver
//! gives, or TLS over either.

mod host;

use std::error::Error;

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_rtmp_embassy::embedded_rtmp::command::SET_DATA_FRAME;
use embedded_rtmp_embassy::embedded_rtmp::media::flv::Tags;
use embedded_rtmp_embassy::embedded_rtmp::message::MessageKind;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::transport::{Connect, Pipe, Stream};
use embedded_rtmp_embassy::{ClientOptions, Memory, Parts, Publisher};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, file] = &arguments[..] else { return Err("usage: stream URL FILE.flv".into()) };
    host::block_on(publish(&Url::parse(url)?, &std::fs::read(file)?))
}

async fn publish(url: &Url<'_>, file: &[u8]) -> Result<(), Box<dyn Error>> {
    // A device has this memory in statics.
    let (mut memory, mut input, mut output) = (Memory::<1, 1>::new(), [0; 256], [0; 2 * 1_460]);
    let pipe = Pipe::new(&mut input, &mut output);
    let mut stream = host::Network.connect(url.host(), url.port().unwrap_or(1935)).await?;
    let (mut reader, mut writer) = stream.split();
    let session = async {
        let entropy = [0x5A; 32]; // from the random number generator
        let options = ClientOptions::DEFAULT;
        let mut publisher = Publisher::<8, _>::open(&pipe, url, &options, memory.session(), &entropy).await?;
        let Parts { mut runner, mut audio, mut data, mut video } = publisher.split();
        let start = Instant::now();
        let feed = async {
            for tag in Tags::file(file).map_err(|_| "this is no FLV file")? {
                Timer::at(start + Duration::from_millis(tag.timestamp.0.into())).await;
                match tag.kind {
                    MessageKind::AUDIO => audio.send(tag.timestamp, tag.data).await?,
                    MessageKind::VIDEO => video.send(tag.timestamp, tag.data).await?,
                    _ => data.send_parts(tag.timestamp, &[SET_DATA_FRAME, tag.data]).await?,
                }
            }
            Ok::<(), Box<dyn Error>>(())
        };
        match select(runner.run(), feed).await {
            Either::First(error) => return Err(error.into()),
            Either::Second(result) => result?,
        }
        publisher.close().await?;
        println!("published, {:?}", publisher.traffic());
        Ok(())
    };
    let (result, end) = pipe.run(&mut reader, &mut writer, session).await;
    println!("the stream: {end}");
    // All bytes were passed to the stream. Closing it in good order lets the server receive them.
    let _ = with_timeout(Duration::from_secs(2), stream.close()).await;
    result
}
