//! Where frames come from.

use crate::fmt::impl_format;
use embedded_rtmp::message::{MessageKind, Timestamp};
use heapless::Vec;

/// Slices that a [`Frame`] can consist of.
pub const MAX_PARTS: usize = 8;

/// Bytes at the beginning of a message that tell what it is good for.
pub(super) const START: usize = 10;

/// An RTMP message that is lent: a frame of audio or video as FLV has it, or data.
///
/// It may lie in several places, which are sent one after the other without being put together: the header of FLV, then
/// for each NAL unit its length and the unit itself, where the encoder left it.
///
/// ```
/// use embedded_rtmp_embassy::Frame;
/// use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, Timestamp};
///
/// let (header, length, unit) = ([0x27, 1, 0, 0, 0], 3_u32.to_be_bytes(), [0x41, 0x9A, 0x00]);
/// let frame = Frame::new(MessageKind::VIDEO, Timestamp(40), &[&header, &length, &unit]);
/// assert_eq!(frame.len(), 12);
/// ```
#[derive(Debug, Clone)]
pub struct Frame<'f> {
    /// Audio, video or data.
    pub kind: MessageKind,
    /// When it is to be shown, in milliseconds on the source's own clock (the decoding time, where the two differ).
    pub timestamp: Timestamp,
    /// The payload of the message.
    pub parts: Vec<&'f [u8], MAX_PARTS, u8>,
}

impl_format!(['f] Frame<'f>, this => "Frame {{ kind: {}, timestamp: {}, {} bytes }}", this.kind, this.timestamp, this.len());

impl<'f> Frame<'f> {
    /// A frame of so many parts. More than [`MAX_PARTS`] do not compile; where their number is not known before, push them
    /// onto [`Self::parts`], which says when it is full.
    pub fn new<const N: usize>(kind: MessageKind, timestamp: Timestamp, parts: &[&'f [u8]; N]) -> Self {
        const { assert!(N <= MAX_PARTS, "a frame has no room for so many parts") }
        Self { kind, timestamp, parts: parts.iter().copied().collect() }
    }

    /// Bytes of its payload.
    pub fn len(&self) -> usize {
        self.parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.len()))
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its first bytes, and how many they are.
    pub(super) fn start(&self) -> Vec<u8, START, u8> {
        let mut start = Vec::new();
        for byte in self.parts.iter().copied().flatten() {
            if start.push(*byte).is_err() {
                break;
            }
        }
        start
    }
}

/// A camera and a microphone, or whatever else makes frames.
///
/// Both methods lend what they answer: the buffer of an encoder may be used again when they are called next.
///
/// ```
/// use embedded_rtmp_embassy::embedded_rtmp::media::avc::{annex_b::to_length_prefixed, sequence_header};
/// use embedded_rtmp_embassy::embedded_rtmp::media::{metadata::Metadata, video};
/// use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, Timestamp};
/// use embedded_rtmp_embassy::{Frame, Source};
///
/// /// An encoder for H.264, and room for what stands before the pictures.
/// struct Camera {
///     encoder: Encoder,
///     header: [u8; 256],
///     start: [u8; video::HEADER_SIZE],
/// }
///
/// impl Source for Camera {
///     fn header(&mut self, number: usize) -> Option<Frame<'_>> {
///         let Self { encoder, header, .. } = self;
///         let metadata = Metadata { width: Some(1280), height: Some(720), ..Metadata::new() };
///         let (kind, payload) = match number {
///             0 => (MessageKind::DATA, metadata.emit(header).ok()?),
///             1 => (MessageKind::VIDEO, sequence_header(&[encoder.sps()], &[encoder.pps()], header).ok()?),
///             _ => return None, // behind these: the sequence header of the sound, where its codec has one
///         };
///         Some(Frame::new(kind, Timestamp(0), &[payload]))
///     }
///
///     async fn next(&mut self) -> Option<Frame<'_>> {
///         // One picture with start codes (Annex B) in the encoder's buffer; they become lengths, in place. Where the
///         // buffer has no room for those, `None` ends the stream.
///         let (millis, is_key, buffer, length) = self.encoder.picture().await;
///         let length = to_length_prefixed(buffer, length).ok()?;
///         let frame = if is_key { video::FrameType::KEY } else { video::FrameType::INTER };
///         let packet = video::AvcPacket::NAL_UNITS;
///         let start = video::VideoTagHeader::Avc { frame, packet, composition_time: 0 }.emit(&mut self.start);
///         Some(Frame::new(MessageKind::VIDEO, Timestamp(millis), &[start, &buffer[..length]]))
///     }
/// }
/// # struct Encoder([u8; 64]);
/// # impl Encoder {
/// #     fn sps(&self) -> &[u8] { b"\x67\x42\xC0\x1E\xDA\x02\x80\xBF\xE5\x84" }
/// #     fn pps(&self) -> &[u8] { b"\x68\xCE\x3C\x80" }
/// #     async fn picture(&mut self) -> (u32, bool, &mut [u8], usize) {
/// #         self.0[..7].copy_from_slice(b"\0\0\0\x01\x65\x88\x84");
/// #         (40, true, &mut self.0, 7)
/// #     }
/// # }
/// # let mut camera = Camera { encoder: Encoder([0; 64]), header: [0; 256], start: [0; 5] };
/// # let mut header = |number| camera.header(number).map(|frame| frame.parts.concat());
/// # assert!(header(0).is_some_and(|payload| payload.starts_with(b"\x02\0\x0D@setDataFrame")));
/// # assert!(header(1).is_some_and(|payload| payload.starts_with(b"\x17\0\0\0\0\x01\x42\xC0\x1E")));
/// # assert_eq!(header(2), None);
/// # let frame = embassy_futures::block_on(camera.next()).map(|frame| (frame.timestamp.0, frame.parts.concat()));
/// # assert_eq!(frame, Some((40, b"\x17\x01\0\0\0\0\0\0\x03\x65\x88\x84".to_vec())));
/// ```
///
/// A picture in several pieces goes out without being put together: `media::avc::Message` lists them.
#[expect(async_fn_in_trait, reason = "it is used with one executor, and need not be Send")]
pub trait Source {
    /// What a server has to know before the first frame, and is told after every connection: number 0 is the metadata
    /// (a data message that begins with `@setDataFrame`), then the sequence headers of audio and video; `None` behind
    /// the last. They are sent with the timestamp of the last frame that was taken, at first with 0, whatever is written
    /// here: so a source's clock should begin near 0.
    fn header(&mut self, number: usize) -> Option<Frame<'_>>;

    /// The next frame, in the order of decoding; `None` when there are no more. The future may be dropped, and must not
    /// lose a frame then. A live source skips what fell due while nobody asked, as encoders do that overwrite their buffers.
    async fn next(&mut self) -> Option<Frame<'_>>;
}
