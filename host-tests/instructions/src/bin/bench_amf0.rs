//! Encodes or decodes one AMF0 message repeatedly under an instruction counter.
//!
//! `bench_amf0 encode|decode connect|metadata COUNT`. The instructions for one message are the difference of two counts:
//!
//! ```text
//! cargo build --release -p instructions
//! for n in 1000 2000; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/bench_amf0 decode connect $n
//! done 2>&1 | awk '/Collected/ { print ($4 - last) / 1000; last = $4 }' | tail -1
//! ```

use std::hint::black_box;
use std::process::ExitCode;

use embedded_rtmp::amf0::{BufferFull, Decoder, Encoder, Token};

type Write = fn(&mut Encoder<'_>) -> Result<(), BufferFull>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [verb, message, count] = &arguments[..] else { return usage() };
    let Ok(count) = count.parse::<u32>() else { return usage() };
    let write: Write = match message.as_str() {
        "connect" => connect,
        "metadata" => metadata,
        _ => return usage(),
    };
    let mut buffer = [0; 512];
    match verb.as_str() {
        "encode" => (0..count).for_each(|_| {
            black_box(encode(write, black_box(&mut buffer)));
        }),
        "decode" => {
            let message = encode(write, &mut buffer);
            (0..count).for_each(|_| {
                let mut decoder = Decoder::new(black_box(message));
                while let Ok(Some(token)) = decoder.next_token() {
                    black_box(&token);
                }
            });
        }
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: bench_amf0 encode|decode connect|metadata COUNT");
    ExitCode::from(2)
}

fn encode(write: Write, buffer: &mut [u8]) -> &[u8] {
    let mut encoder = Encoder::new(buffer);
    write(&mut encoder).expect("a message of less than 512 bytes");
    encoder.finish()
}

/// A connect command of 8 properties, 20 tokens.
fn connect(to: &mut Encoder<'_>) -> Result<(), BufferFull> {
    to.put("connect".into())?.put(1.into())?.put(Token::ObjectStart)?;
    to.property("app", "live".into())?.property("flashVer", "FMLE/3.0 (compatible)".into())?;
    to.property("tcUrl", "rtmp://192.168.100.100:1935/live".into())?.property("fpad", false.into())?;
    to.property("capabilities", 15.into())?.property("audioCodecs", 4071.into())?;
    to.property("videoCodecs", 252.into())?.property("videoFunction", 1.into())?.put(Token::End)?;
    Ok(())
}

/// The metadata of FFmpeg: 13 properties, 30 tokens.
fn metadata(to: &mut Encoder<'_>) -> Result<(), BufferFull> {
    to.put("@setDataFrame".into())?.put("onMetaData".into())?.put(Token::EcmaArrayStart { len: 13 })?;
    to.property("duration", 0.into())?.property("width", 1280.into())?.property("height", 720.into())?;
    to.property("videodatarate", 2500.into())?.property("framerate", 25.into())?.property("videocodecid", 7.into())?;
    to.property("audiodatarate", 125.into())?.property("audiosamplerate", 44_100.into())?;
    to.property("audiosamplesize", 16.into())?.property("stereo", true.into())?.property("audiocodecid", 10.into())?;
    to.property("encoder", "Lavf61.7.100".into())?.property("filesize", 0.into())?.put(Token::End)?;
    Ok(())
}
