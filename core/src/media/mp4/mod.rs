//! Fragmented MP4 for browsers, made from the messages of a stream as they arrive. Feature `mp4`.
//!
//! The output is an initialization segment (`ftyp` and `moov`), and then a `moof` and an `mdat` box for each frame
//! (ISO/IEC 14496-12:2022, 8.8). The boxes before a frame have its length, which the header of the RTMP message
//! contains. So a server writes them when the first bytes of a message have arrived, and passes the payload on as it
//! arrives. Nothing is stored: a [`Muxer`] has at most 160 bytes of state, and no buffer. The
//! sequence headers are those in the memory that the ring has for them
//! ([`StreamBuffers::headers`](crate::relay::StreamBuffers::headers)). If one has no room there, its track is missing.
//!
//! ```text
//!            messages            ┌───────── Step::Skip: nothing of the message is written
//!  a stream ─────────► Muxer::begin ─────── Step::Fragment: write its head, then a part of the payload
//!                                └───────── Step::Init: Muxer::configure, write Configuration, begin again
//! ```
//!
//! | Type | What it is |
//! |---|---|
//! | [`Configuration`] | the tracks of a stream, by its sequence headers: writes the initialization segment |
//! | [`Muxer`] | decides what is written of each message, and when it is shown |
//! | [`Fragment`] | the place of one frame in its message, and the boxes before it |
//!
//! # Tracks
//! There are at most two tracks: video has the track id 1, and audio 2. If a message has a track number (Enhanced RTMP),
//! only track 0 is used. AVC, HEVC, AV1, VP9, AAC, Opus and FLAC are supported, with the headers of Enhanced RTMP, and
//! those that have a number in FLV also with that. [`Configuration::video`] and [`Configuration::audio`] return why a
//! track is missing.
//!
//! | Codec | Boxes | Specification |
//! |---|---|---|
//! | AVC, HEVC | `avc1` and `avcC`, `hvc1` and `hvcC` | ISO/IEC 14496-15, 5.4.2 and 8.4.1 |
//! | AV1 | `av01` and `av1C` | AV1 Codec ISO Media File Format Binding, 2.2 and 2.3 |
//! | VP9 | `vp09` and `vpcC` | VP Codec ISO Media File Format Binding |
//! | AAC | `mp4a` and `esds` | ISO/IEC 14496-14, 5.6 |
//! | Opus | `Opus` and `dOps` | Encapsulation of Opus in ISO Base Media File Format, 4.3 |
//! | FLAC | `fLaC` and `dfLa` | Encapsulation of FLAC in ISO Base Media File Format, 3.3 |
//!
//! # A change of the configuration
//! A frame is only written if the initialization segment has the sequence header that precedes the frame in the stream.
//! If that has changed, [`Muxer::begin`] returns [`Step::Init`] again. A plain `<video>` does not continue with a second
//! initialization segment: end its response. The page then requests the stream again.
//!
//! # Time
//! All times in the output are in milliseconds ([`TIMESCALE`]). The first frame has the time 0, and later frames the
//! distance of their timestamps to that, in 64 bits. Both tracks have the same offset. The timestamps of RTMP wrap after
//! 49 days, which has no effect. In each track, every frame is at least 1 ms after the one before it.
//!
//! | Timestamp of a frame | Its time |
//! |---|---|
//! | up to 500 ms before the last frame of its track | 1 ms after that frame |
//! | up to 10 s after the last frame of its track | by the timestamp |
//! | any other, if it follows the other track, which has jumped before | by the timestamp, with the other track's offset |
//! | any other | one duration after the last frame of its track: the jump is removed |
//! | the first of a track, up to 5 s before or 10 s after the other track | by the timestamp; before 0 it is skipped |
//! | the first of a track, any other | that of the latest frame of the other track |
//!
//! The duration of a frame is unknown while it is written. It is the distance of the last two frames of the track, or up
//! to one eighth less than the duration before it, whichever is more. The first frame has that of the metadata or 33 ms,
//! or that of an audio frame of its codec.
//!
//! Media Source Extensions ("Coded Frame Processing") treat a frame as the start of another sequence if it is decoded later
//! than two durations after the last one, and then drop all video until a keyframe. So a frame after a gap has an earlier
//! time of decoding, and a composition time that is longer by as much.
//!
//! # The loop of a server
//! ```
//! use embedded_rtmp::media::mp4::{Configuration, Fragment, Muxer, Step};
//! use embedded_rtmp::relay::{Cursor, Overtaken, Ring};
//! # use embedded_rtmp::time::Instant;
//!
//! /// Sends what there is of a stream.
//! fn pump(
//!     ring: &Ring<'_>,
//!     cursor: &mut Cursor,
//!     muxer: &mut Muxer,
//!     now: Instant,
//!     send: &mut impl FnMut(&[u8]),
//! ) -> Result<(), Overtaken> {
//!     while let Some(piece) = ring.peek(cursor, now)? {
//!         // A message whose fragment is not complete yet needs the same as below, from the place at which it stopped.
//!         let header = piece.begin.expect("this example sends whole messages");
//!         let mut buffer = [0; 2048];
//!         match muxer.begin(&header, piece.parts) {
//!             None => break, // too little of the message has arrived
//!             Some(Step::Init) => {
//!                 let configuration = Configuration::new(ring.cached());
//!                 if muxer.configure(&configuration) {
//!                     let length = configuration.write(0, &mut buffer);
//!                     send(&buffer[..length]);
//!                 }
//!                 continue; // the same message again
//!             }
//!             Some(Step::Fragment(fragment)) => {
//!                 let length = fragment.write_head(0, &mut buffer);
//!                 send(&buffer[..length]);
//!                 let payload = piece.parts.concat();
//!                 let (start, length) = (fragment.start as usize, fragment.length as usize);
//!                 send(&payload[start..start + length]);
//!             }
//!             Some(_) => {}
//!         }
//!         ring.begin_message(cursor);
//!         ring.advance(cursor, header.length as usize);
//!         ring.finish_message(cursor);
//!     }
//!     Ok(())
//! }
//! ```

mod boxes;
mod codecs;
mod configuration;
mod content;
mod fragment;
mod muxer;
mod sample;
mod timeline;
mod window;

pub use codecs::Codecs;
pub use configuration::{Configuration, NoTrack};
pub use fragment::Fragment;
pub use muxer::{Muxer, Skip, Step};

/// The units of time in one second, in all boxes.
pub const TIMESCALE: u32 = 1_000;

/// The index of a track in arrays. The track id in the boxes is one more.
const VIDEO: usize = 0;
const AUDIO: usize = 1;

#[cfg(test)]
mod tests;
