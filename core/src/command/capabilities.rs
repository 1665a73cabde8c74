//! The capabilities of a peer in Enhanced RTMP, which `connect` and its answer announce (E-RTMP v2, "Enhancing
//! NetConnection connect Command").

use crate::amf0::{BufferFull, Decoder, Encoder, Text, Token, marker, number_to_u32, u32_to_number};
use crate::bytes::{low_u16, low_u32};
use crate::fmt::impl_format;
use crate::message::FourCc;

/// What a peer can do with a codec: a combination of these flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CodecSupport(pub u32);

impl CodecSupport {
    /// It decodes the codec.
    pub const DECODE: Self = Self(1);
    /// It encodes the codec.
    pub const ENCODE: Self = Self(2);
    /// It forwards the codec.
    pub const FORWARD: Self = Self(4);

    /// Returns whether any flag is set.
    pub const fn is_any(self) -> bool {
        self.0 != 0
    }

    /// Whether all flags of `other` are among these.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a peer can do apart from codecs: a combination of these flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Extensions(pub u32);

impl Extensions {
    /// It handles a request to reconnect ([`ReconnectRequest`](super::ReconnectRequest)). A server that announces it sends
    /// such requests.
    pub const RECONNECT: Self = Self(1);
    /// It handles several tracks.
    pub const MULTITRACK: Self = Self(2);
    /// It reads or skips modifiers.
    pub const MODIFIERS: Self = Self(4);
    /// It uses timestamps with nanoseconds.
    pub const NANOSECONDS: Self = Self(8);

    /// Whether all flags of `other` are among these.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What our side can do. Only these capabilities are announced.
///
/// ```
/// use embedded_rtmp::amf0::Encoder;
/// use embedded_rtmp::command::{Capabilities, CodecSupport, ConnectOptions, Extensions};
/// use embedded_rtmp::message::FourCc;
///
/// let capabilities = Capabilities {
///     video: &[(FourCc::HEVC, CodecSupport::ENCODE)],
///     audio: &[(FourCc::OPUS, CodecSupport::ENCODE)],
///     extensions: Extensions::MULTITRACK,
///     has_list: true,
/// };
/// let mut buffer = [0; 160];
/// let mut encoder = Encoder::new(&mut buffer);
/// capabilities.emit(&mut encoder)?;
///
/// let mut options = ConnectOptions::new("live", &["rtmp://host/", "live"]);
/// options.properties = encoder.finish();
/// # Ok::<(), embedded_rtmp::amf0::BufferFull>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Capabilities<'a> {
    /// The video codecs (`videoFourCcInfoMap`). [`FourCc::ANY`] stands for all codecs. If the list is empty, the
    /// property is omitted.
    pub video: &'a [(FourCc, CodecSupport)],
    /// The audio codecs (`audioFourCcInfoMap`).
    pub audio: &'a [(FourCc, CodecSupport)],
    /// The extensions (`capsEx`). If there are none, the property is omitted.
    pub extensions: Extensions,
    /// Whether the codecs are also in `fourCcList`, the property of E-RTMP v1. Some old servers refuse a `connect` that
    /// has it.
    pub has_list: bool,
}

impl Capabilities<'_> {
    /// The capabilities of a server or a client that forwards everything unchanged.
    pub const PASSES_ON: Capabilities<'static> = Capabilities {
        video: &[(FourCc::ANY, CodecSupport::FORWARD)],
        audio: &[(FourCc::ANY, CodecSupport::FORWARD)],
        extensions: Extensions(Extensions::MULTITRACK.0 | Extensions::MODIFIERS.0 | Extensions::NANOSECONDS.0),
        has_list: false,
    };

    /// Writes the properties, for [`ConnectOptions::properties`](super::ConnectOptions::properties). They take at most
    /// 90 bytes plus 22 bytes for each codec.
    ///
    /// # Errors
    /// The encoder's buffer is too small.
    pub fn emit(&self, encoder: &mut Encoder<'_>) -> Result<(), BufferFull> {
        encoder.fill(|room| self.write(room))
    }

    /// Returns the properties in `N` bytes, or `None` if they are longer. In a `const` or a `static`, they are encoded at
    /// compile time.
    ///
    /// ```
    /// use embedded_rtmp::command::{Capabilities, CodecSupport, EncodedCapabilities, Extensions};
    /// use embedded_rtmp::message::FourCc;
    ///
    /// static OFFER: EncodedCapabilities<128> = Capabilities {
    ///     video: &[(FourCc::HEVC, CodecSupport::ENCODE)],
    ///     audio: &[],
    ///     extensions: Extensions::MULTITRACK,
    ///     has_list: true,
    /// }
    /// .encode()
    /// .unwrap();
    /// assert_eq!(OFFER.as_bytes().len(), 80);
    /// ```
    pub const fn encode<const N: usize>(&self) -> Option<EncodedCapabilities<N>> {
        let mut bytes = [0; N];
        let length = self.write(&mut bytes);
        if length <= N { Some(EncodedCapabilities { bytes, length }) } else { None }
    }

    /// Writes the properties to the start of `buffer`. Returns their length, which may be more than `buffer` has.
    pub(crate) const fn write(&self, buffer: &mut [u8]) -> usize {
        let mut to = Output { buffer, length: 0 };
        let codecs = self.video.len().saturating_add(self.audio.len());
        if self.has_list && codecs > 0 {
            to.put(b"\0\x0AfourCcList\x0A");
            to.put(&low_u32(codecs).to_be_bytes());
            to.names(self.video);
            to.names(self.audio);
        }
        to.map(b"\0\x12videoFourCcInfoMap\x03", self.video);
        to.map(b"\0\x12audioFourCcInfoMap\x03", self.audio);
        if self.extensions.0 != 0 {
            to.put(b"\0\x06capsEx");
            to.number(self.extensions.0);
        }
        to.length
    }
}

/// A buffer that is filled at compile time or at run time. Bytes without room are only counted.
struct Output<'b> {
    buffer: &'b mut [u8],
    length: usize,
}

impl Output<'_> {
    const fn put(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if let Some((_, [place, ..])) = self.buffer.split_at_mut_checked(self.length) {
                *place = *first;
            }
            self.length = self.length.wrapping_add(1);
            bytes = rest;
        }
    }

    const fn number(&mut self, number: u32) {
        self.put(&[marker::NUMBER]);
        self.put(&u32_to_number(number).to_be_bytes());
    }

    /// A length and text, as for a key.
    const fn text(&mut self, text: &[u8]) {
        self.put(&low_u16(text.len()).to_be_bytes());
        self.put(text);
    }

    const fn names(&mut self, mut codecs: &[(FourCc, CodecSupport)]) {
        while let [(codec, _), rest @ ..] = codecs {
            self.put(&[marker::STRING]);
            self.text(codec.name());
            codecs = rest;
        }
    }

    const fn map(&mut self, start: &[u8], mut codecs: &[(FourCc, CodecSupport)]) {
        if codecs.is_empty() {
            return;
        }
        self.put(start);
        while let [(codec, support), rest @ ..] = codecs {
            self.text(codec.name());
            self.number(support.0);
            codecs = rest;
        }
        self.put(b"\0\0\x09");
    }
}

/// The encoded properties of [`Capabilities`]: see [`Capabilities::encode`].
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EncodedCapabilities<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> EncodedCapabilities<N> {
    /// Returns the properties in AMF0, for [`ConnectOptions::properties`](super::ConnectOptions::properties).
    pub const fn as_bytes(&self) -> &[u8] {
        match self.bytes.split_at_checked(self.length) {
            Some((bytes, _)) => bytes,
            None => &[],
        }
    }
}

/// What the peer can do. A server reads the values of `connect`
/// ([`ConnectRequest::values`](super::ConnectRequest::values)). A client reads the values of the answer
/// ([`Client::connect_answer`](crate::session::Client::connect_answer)).
///
/// Each codec in `fourCcList` counts as [`CodecSupport::DECODE`]. The flags of the wildcard `*` apply to every codec.
#[derive(Debug, Clone, Copy)]
pub struct PeerCapabilities<'a>(Decoder<'a>);

impl_format!(['a] PeerCapabilities<'a>, this => "PeerCapabilities {{ extensions: {} }}", this.extensions());

impl<'a> PeerCapabilities<'a> {
    /// Wraps the values. They are read by each call of the other functions.
    pub const fn new(values: Decoder<'a>) -> Self {
        Self(values)
    }

    /// Returns whether the peer announces anything about Enhanced RTMP. A peer that announces nothing may know only the
    /// codecs of FLV, but many servers forward every codec and announce nothing.
    pub fn is_enhanced(&self) -> bool {
        let mut is_enhanced = false;
        self.each(&mut |_, _, _| is_enhanced = true);
        is_enhanced
    }

    /// Returns what the peer can do with a video codec.
    pub fn video(&self, codec: FourCc) -> CodecSupport {
        self.support(Property::Video, codec)
    }

    /// Returns what the peer can do with an audio codec.
    pub fn audio(&self, codec: FourCc) -> CodecSupport {
        self.support(Property::Audio, codec)
    }

    /// Returns what the peer can do apart from codecs.
    pub fn extensions(&self) -> Extensions {
        let mut extensions = Extensions(0);
        self.each(&mut |property, _, value| {
            if property == Property::Extensions {
                extensions = Extensions(number(value));
            }
        });
        extensions
    }

    fn support(&self, map: Property, codec: FourCc) -> CodecSupport {
        let is_it = |name: Text<'_>| name.as_bytes() == codec.name() || name.as_bytes() == FourCc::ANY.name();
        let mut support = CodecSupport(0);
        self.each(&mut |property, key, value| match value {
            Token::String(name) if property == Property::List && is_it(*name) => {
                support = support.with(CodecSupport::DECODE);
            }
            Token::Number(_) if property == map && is_it(key) => support = support.with(CodecSupport(number(value))),
            _ => {}
        });
        support
    }

    /// Calls `f` with each scalar in the properties of Enhanced RTMP, and with the key of the scalar in its property.
    /// Stops at the end of the message or at the first fault.
    fn each(&self, f: &mut dyn FnMut(Property, Text<'a>, &Token<'a>)) {
        let mut values = self.0;
        let (mut depth, mut property, mut key) = (0_u8, None, Text::default());
        while let Ok(Some(token)) = values.next_token() {
            match token {
                Token::End => depth = depth.saturating_sub(1),
                Token::Key(name) if depth == 1 => (property, key) = (Property::of(name), Text::default()),
                Token::Key(name) => key = name,
                Token::StrictArrayStart { .. } => depth = depth.saturating_add(1),
                token if token.opens_map() => depth = depth.saturating_add(1),
                token => {
                    if let Some(property) = property.filter(|_| depth == 1 || depth == 2) {
                        f(property, key, &token);
                    }
                }
            }
        }
    }
}

/// The properties of Enhanced RTMP.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Property {
    List,
    Video,
    Audio,
    Extensions,
}

impl Property {
    fn of(name: Text<'_>) -> Option<Self> {
        Some(match name.as_bytes() {
            b"fourCcList" => Self::List,
            b"videoFourCcInfoMap" => Self::Video,
            b"audioFourCcInfoMap" => Self::Audio,
            b"capsEx" => Self::Extensions,
            _ => return None,
        })
    }
}

/// Returns the number in a token, or 0 if it cannot be a set of flags.
fn number(value: &Token<'_>) -> u32 {
    match value {
        Token::Number(number) => number_to_u32(*number).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, ConnectOptions, ConnectRequest};
    use std::string::String;
    use std::vec::Vec;

    const ALL: Capabilities<'_> = Capabilities {
        video: &[(FourCc::HEVC, CodecSupport::ENCODE), (FourCc::AV1, CodecSupport(3))],
        audio: &[(FourCc::OPUS, CodecSupport::ENCODE)],
        extensions: Extensions(2 | 8),
        has_list: true,
    };

    fn properties(capabilities: &Capabilities<'_>) -> Vec<u8> {
        let mut buffer = [0; 300];
        let mut encoder = Encoder::new(&mut buffer);
        capabilities.emit(&mut encoder).unwrap();
        encoder.finish().to_vec()
    }

    /// Encodes a `connect` with these properties.
    fn connect(properties: &[u8]) -> Vec<u8> {
        let mut buffer = [0; 500];
        let mut encoder = Encoder::new(&mut buffer);
        let mut options = ConnectOptions::new("live", &["rtmp://host/live"]);
        options.properties = properties;
        options.emit(&mut encoder, 1).unwrap();
        encoder.finish().to_vec()
    }

    #[test]
    fn item_099_connect_has_exactly_what_our_side_can_do() {
        let list = b"\0\x0AfourCcList\x0A\0\0\0\x03\x02\0\x04hvc1\x02\0\x04av01\x02\0\x04Opus";
        let video =
            b"\0\x12videoFourCcInfoMap\x03\0\x04hvc1\0\x40\0\0\0\0\0\0\0\0\x04av01\0\x40\x08\0\0\0\0\0\0\0\0\x09";
        let audio = b"\0\x12audioFourCcInfoMap\x03\0\x04Opus\0\x40\0\0\0\0\0\0\0\0\0\x09";
        let extensions = b"\0\x06capsEx\0\x40\x24\0\0\0\0\0\0";
        assert_eq!(properties(&ALL), [&list[..], video, audio, extensions].concat());
        // Each of them can be left out.
        assert_eq!(properties(&Capabilities { has_list: false, ..ALL }), [&video[..], audio, extensions].concat());
        let none = Capabilities { extensions: Extensions(0), has_list: false, ..ALL };
        assert_eq!(properties(&none), [&video[..], audio].concat());
        assert_eq!(properties(&Capabilities { video: &[], ..none }), audio);
        assert_eq!(properties(&Capabilities { audio: &[], ..none }), video);
        assert_eq!(properties(&Capabilities::default()), b"");
        assert!(list.len() + video.len() + audio.len() + extensions.len() <= 90 + 3 * 22 + 3);
        let needed = properties(&ALL).len();
        for room in 0..needed {
            let full = ALL.emit(&mut Encoder::new(&mut [0; 300][..room])).unwrap_err();
            assert_eq!(full, BufferFull { needed });
        }
    }

    #[test]
    fn item_099_the_properties_can_be_encoded_at_compile_time() {
        static ENCODED: EncodedCapabilities<200> = ALL.encode().unwrap();
        assert_eq!(ENCODED.as_bytes(), properties(&ALL));
        const LENGTH: usize = ENCODED.as_bytes().len();
        assert_eq!(ALL.encode::<LENGTH>().unwrap().as_bytes(), properties(&ALL));
        assert!(ALL.encode::<{ LENGTH - 1 }>().is_none() && ALL.encode::<0>().is_none());
        assert_eq!(Capabilities::default().encode::<0>().unwrap().as_bytes(), b"");
    }

    #[test]
    fn item_100_the_peer_can_do_what_it_says() {
        let message = connect(&properties(&ALL));
        let request = ConnectRequest::parse(&Command::parse(&message).unwrap());
        let peer = PeerCapabilities::new(request.values());
        assert!(peer.is_enhanced());
        assert_eq!(peer.video(FourCc::HEVC), CodecSupport(3), "in the map and in the list");
        assert_eq!((peer.video(FourCc::VP9), peer.audio(FourCc::FLAC)), (CodecSupport(0), CodecSupport(0)));
        assert_eq!(peer.audio(FourCc::OPUS), CodecSupport::ENCODE.with(CodecSupport::DECODE));
        assert_eq!(peer.extensions(), Extensions::MULTITRACK.with(Extensions::NANOSECONDS));
        assert!(peer.extensions().has(Extensions::MULTITRACK) && !peer.extensions().has(Extensions::MODIFIERS));
    }

    #[test]
    fn item_100_a_wildcard_stands_for_every_codec() {
        let wild = Capabilities {
            video: &[(FourCc::ANY, CodecSupport::FORWARD), (FourCc::VP9, CodecSupport::DECODE)],
            audio: &[],
            ..Capabilities::default()
        };
        let message = connect(&properties(&wild));
        let peer = PeerCapabilities::new(Command::parse(&message).unwrap().values);
        assert_eq!((peer.video(FourCc::AV1), peer.video(FourCc::VP9)), (CodecSupport::FORWARD, CodecSupport(5)));
        assert_eq!(peer.audio(FourCc::OPUS), CodecSupport(0));
        let list = connect(b"\0\x0AfourCcList\x0A\0\0\0\x01\x02\0\x01*");
        let peer = PeerCapabilities::new(Command::parse(&list).unwrap().values);
        assert_eq!((peer.video(FourCc::AV1), peer.audio(FourCc::OPUS)), (CodecSupport::DECODE, CodecSupport::DECODE));
    }

    #[test]
    fn item_100_without_the_properties_the_peer_is_a_legacy_one() {
        // The names at another level, and values of other types.
        let nested: &[u8] =
            b"\0\x01x\x03\0\x0AfourCcList\x02\0\x04hvc1\0\x01y\x03\0\x06capsEx\0\x40\0\0\0\0\0\0\0\0\0\x09\0\0\x09";
        for properties in [&b""[..], nested] {
            let message = connect(properties);
            let peer = PeerCapabilities::new(Command::parse(&message).unwrap().values);
            assert!(!peer.is_enhanced());
            assert_eq!((peer.video(FourCc::HEVC), peer.extensions()), (CodecSupport(0), Extensions(0)));
        }
        for capabilities in
            [&b"\0\x06capsEx\x02\0\x012"[..], b"\0\x06capsEx\0\xBF\xF0\0\0\0\0\0\0", b"\0\x06capsEx\x05"]
        {
            let message = connect(capabilities);
            let peer = PeerCapabilities::new(Command::parse(&message).unwrap().values);
            assert_eq!(peer.extensions(), Extensions(0));
        }
    }

    #[test]
    fn names_of_codecs_are_text_without_the_zeros_of_the_wildcard() {
        let name = |codec: FourCc| String::from_utf8(codec.name().to_vec()).unwrap();
        assert_eq!((name(FourCc::MP3), name(FourCc::ANY)), (".mp3".into(), "*".into()));
    }
}
