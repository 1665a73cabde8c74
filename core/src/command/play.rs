//! `publish`, `play` and the later commands of a player (RTMP 1.0, section 7.2.2).
//!
//! Times are milliseconds here. In some places the specification has seconds, and -2 and -1 for the two live starts.
//! Flash Player, librtmp and FFmpeg send 1,000 times these values, and so do we. Both forms are accepted.

use core::fmt;

use super::{Arguments, Command};
use crate::amf0::{BufferFull, Decoder, Encoder, Text, Token, magnitude, parts_len, u32_to_number};
use crate::fmt::impl_format;
use crate::url::KEY_PARTS;

/// What a client asks for with `publish` (section 7.2.2.6).
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishRequest<'a> {
    /// The stream key, with the query if the client puts it there. The peer chooses it, so it may have any bytes.
    pub key: Text<'a>,
    /// `live`, `record` or `append`; empty if the client does not say.
    pub kind: Text<'a>,
    values: &'a [u8],
}

impl_format!(['a] PublishRequest<'a>, this => "PublishRequest {{ kind: {=[u8]:a} }}", this.kind.as_bytes());

impl<'a> PublishRequest<'a> {
    /// Reads the arguments of `publish`. A missing argument is empty.
    pub fn parse(command: &Command<'a>) -> PublishRequest<'a> {
        let mut arguments = command.arguments();
        let mut text = || arguments.next().and_then(|argument| argument.as_text()).unwrap_or_default();
        PublishRequest { key: text(), kind: text(), values: command.values.rest() }
    }

    /// Returns all received scalars, the stream key first.
    pub fn arguments(&self) -> Arguments<'a> {
        Arguments(Decoder::new(self.values))
    }
}

impl fmt::Debug for PublishRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishRequest").field("key", &self.key).field("kind", &self.kind).finish()
    }
}

/// Which kind of stream `play` asks for, and the position to start from (section 7.2.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Start {
    /// The live stream of that name, or the recorded one if there is no live one.
    #[default]
    LiveOrRecorded,
    /// Only the live stream.
    Live,
    /// Only the recorded stream, from this position in ms.
    Recorded(u32),
}

/// What a player asks for with `play`.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct PlayRequest<'a> {
    /// The name of the stream, with the query if the client puts it there. The peer chooses it, so it may have any
    /// bytes. [`Self::of_parts`] stores only the second part here.
    pub name: Text<'a>,
    /// Text to send before and after the name.
    around: [&'a str; 2],
    /// Live or recorded, and the position to start from.
    pub start: Start,
    /// The duration to play in ms; `None` to the end.
    pub duration: Option<u32>,
    /// Whether it replaces the current stream on this message stream. Otherwise it is played after that.
    pub reset: bool,
    values: &'a [u8],
}

impl_format!(
    ['a] PlayRequest<'a>,
    this => "PlayRequest {{ start: {}, duration: {}, reset: {} }}", this.start, this.duration, this.reset
);

/// The named fields are compared.
impl PartialEq for PlayRequest<'_> {
    fn eq(&self, other: &Self) -> bool {
        let fields = |request: &Self| (request.around, request.start, request.duration, request.reset);
        self.name == other.name && fields(self) == fields(other)
    }
}

impl Eq for PlayRequest<'_> {}

impl fmt::Debug for PlayRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, start, duration, reset, .. } = self;
        let mut fields = f.debug_struct("PlayRequest");
        fields.field("name", name).field("start", start).field("duration", duration).field("reset", reset).finish()
    }
}

impl<'a> PlayRequest<'a> {
    /// Asks for the stream `name`, live or recorded, from its start to its end.
    pub fn new(name: &'a str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The same as [`Self::new`], for a name that consists of parts: [`Url::key_parts`](crate::url::Url::key_parts).
    pub fn of_parts([before, name, after]: [&'a str; KEY_PARTS]) -> Self {
        Self { around: [before, after], ..Self::new(name) }
    }

    /// Reads the arguments of `play`; `None` if there is no name. What is missing is as in [`Self::new`].
    pub fn parse(command: &Command<'a>) -> Option<PlayRequest<'a>> {
        let mut arguments = command.arguments();
        let name = arguments.next()?.as_text()?;
        let mut request = PlayRequest { name, values: command.values.rest(), ..Self::default() };
        if let Some(Token::Number(start)) = arguments.next() {
            request.start = Start::of(start);
        }
        if let Some(Token::Number(duration)) = arguments.next() {
            request.duration = (!is_negative(duration)).then(|| magnitude(duration));
        }
        request.reset = match arguments.next() {
            Some(Token::Boolean(reset)) => reset,
            // Flash sends a number: 0 and 2 keep the current stream.
            Some(Token::Number(reset)) => magnitude(reset) & 1 == 1,
            _ => true,
        };
        Some(request)
    }

    /// Returns all received scalars, the name first. Empty for a request that is not parsed.
    pub fn arguments(&self) -> Arguments<'a> {
        Arguments(Decoder::new(self.values))
    }

    /// Writes the command, with transaction id `transaction`.
    ///
    /// # Errors
    /// The encoder's buffer is too small.
    pub fn emit(&self, encoder: &mut Encoder<'_>, transaction: f64) -> Result<(), BufferFull> {
        super::begin(encoder, "play", transaction)?.put(Token::Null)?;
        self.emit_arguments(encoder)
    }

    /// The length of what [`Self::emit_arguments`] writes, in bytes.
    pub(crate) fn arguments_len(&self) -> usize {
        const NUMBER: usize = 9;
        const BOOLEAN: usize = 2;
        let head = if self.name_len() > usize::from(u16::MAX) { 5 } else { 3 };
        let more = match (self.duration, self.reset) {
            (_, false) => NUMBER + BOOLEAN,
            (Some(_), true) => NUMBER,
            (None, true) => 0,
        };
        self.name_len().saturating_add(head).saturating_add(NUMBER).saturating_add(more)
    }

    /// The length of the whole name.
    pub(crate) fn name_len(&self) -> usize {
        self.name.len().saturating_add(parts_len(&self.around))
    }

    /// Writes what is behind the command object.
    pub(crate) fn emit_arguments(&self, encoder: &mut Encoder<'_>) -> Result<(), BufferFull> {
        let [before, after] = self.around.map(str::as_bytes);
        encoder.string_parts([before, self.name.as_bytes(), after].into_iter())?;
        encoder.put(Token::Number(self.start.number()))?;
        // Some servers do not expect more arguments, so only a request that needs them sends them.
        if self.duration.is_some() || !self.reset {
            encoder.put(Token::Number(self.duration.map_or(-1_000.0, u32_to_number)))?;
        }
        if !self.reset {
            encoder.put(Token::Boolean(false))?;
        }
        Ok(())
    }
}

impl Default for PlayRequest<'_> {
    fn default() -> Self {
        let name = Text::default();
        Self { name, around: [""; 2], start: Start::LiveOrRecorded, duration: None, reset: true, values: &[] }
    }
}

impl Start {
    fn of(number: f64) -> Start {
        match magnitude(number) {
            millis if !is_negative(number) => Self::Recorded(millis),
            1 | 1_000 => Self::Live,
            _ => Self::LiveOrRecorded,
        }
    }

    fn number(self) -> f64 {
        match self {
            Self::LiveOrRecorded => -2_000.0,
            Self::Live => -1_000.0,
            Self::Recorded(millis) => u32_to_number(millis),
        }
    }
}

/// Whether a number is less than 0. A comparison of numbers would add a routine to the image.
fn is_negative(number: f64) -> bool {
    number.is_sign_negative() && number.to_bits() << 1 != 0
}

/// How `play2` switches from one stream to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct SwitchRequest<'a> {
    /// The stream that is played.
    pub old: Text<'a>,
    /// The stream to play next.
    pub new: Text<'a>,
    /// How to switch. Players send `switch` to change the bit rate.
    pub transition: Text<'a>,
}

impl<'a> SwitchRequest<'a> {
    /// Switches from the stream `old` to `new`, which has the same content at another bit rate.
    pub fn bit_rate(old: &'a str, new: &'a str) -> Self {
        Self { old: old.into(), new: new.into(), transition: "switch".into() }
    }

    /// Reads the parameters of `play2`. Text that is missing is empty.
    pub fn parse(command: &Command<'a>) -> SwitchRequest<'a> {
        let mut request = SwitchRequest::default();
        let mut values = command.values;
        // The parameters are the first map, or come after an empty command object.
        while let Ok(Some(token)) = values.next_token() {
            if !token.opens_map() {
                continue;
            }
            while let Ok(Some((key, value))) = values.next_property() {
                let Some(text) = value.as_text() else { continue };
                match key.as_bytes() {
                    b"oldStreamName" => request.old = text,
                    b"streamName" => request.new = text,
                    b"transition" => request.transition = text,
                    _ => {}
                }
            }
        }
        request
    }

    /// Writes the command, with transaction id `transaction`.
    ///
    /// # Errors
    /// The encoder's buffer is too small.
    pub fn emit(&self, encoder: &mut Encoder<'_>, transaction: f64) -> Result<(), BufferFull> {
        super::begin(encoder, "play2", transaction)?.put_all(&[Token::Null, Token::ObjectStart])?;
        for (key, text) in [("oldStreamName", self.old), ("streamName", self.new), ("transition", self.transition)] {
            encoder.property(key, Token::String(text))?;
        }
        for (key, number) in [("start", -2_000.0), ("len", -1_000.0)] {
            encoder.property(key, Token::Number(number))?;
        }
        encoder.put(Token::End)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(request: &PlayRequest<'_>) -> std::vec::Vec<u8> {
        let mut buffer = [0; 128];
        let mut encoder = Encoder::new(&mut buffer);
        request.emit(&mut encoder, 4.0).unwrap();
        encoder.finish().to_vec()
    }

    fn read(values: &[Token<'_>]) -> Option<PlayRequest<'static>> {
        let mut buffer = [0; 256];
        let mut encoder = Encoder::new(&mut buffer);
        super::super::put(&mut encoder, "play", 4.0, values).unwrap();
        let request = PlayRequest::parse(&Command::parse(encoder.finish()).unwrap())?;
        Some(PlayRequest { name: "cam".into(), around: [""; 2], values: &[], ..request })
    }

    #[test]
    fn item_086_play_as_ffmpeg_sends_it() {
        // From a captured session, except the name.
        let bytes = b"\x02\0\x04play\0\x40\x10\0\0\0\0\0\0\x05\x02\0\x03cam\0\xC0\x9F\x40\0\0\0\0\0";
        assert_eq!(written(&PlayRequest::new("cam")), bytes);
        let live = PlayRequest { start: Start::Live, ..PlayRequest::new("cam") };
        assert_eq!(written(&live)[23..], [0, 0xC0, 0x8F, 0x40, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn item_161_a_name_in_parts_is_sent_as_one() {
        for parts in [["mp4:", "cam.mp4", "?x"], ["", "cam", ""], ["", "cam", "?x"], ["", "", ""]] {
            let name = parts.concat();
            assert_eq!(written(&PlayRequest::of_parts(parts)), written(&PlayRequest::new(&name)));
            assert_eq!(PlayRequest::of_parts(parts).arguments_len(), PlayRequest::new(&name).arguments_len());
        }
    }

    #[test]
    fn item_086_what_is_written_is_read() {
        for start in
            [Start::LiveOrRecorded, Start::Live, Start::Recorded(0), Start::Recorded(1), Start::Recorded(u32::MAX)]
        {
            for (duration, reset) in [(None, true), (Some(0), true), (Some(90_000), false), (None, false)] {
                let request = PlayRequest { start, duration, reset, ..PlayRequest::new("cam") };
                let bytes = written(&request);
                // Behind the name of the command, the transaction id and null.
                assert_eq!(bytes.len() - (7 + 9 + 1), request.arguments_len());
                assert_eq!(PlayRequest::parse(&Command::parse(&bytes).unwrap()), Some(request));
            }
        }
    }

    #[test]
    fn item_086_what_players_say_is_understood() {
        let plain = PlayRequest::new("cam");
        let name = Token::String("cam".into());
        let starts =
            [(-2.0, Start::LiveOrRecorded), (-1.0, Start::Live), (-1_000.0, Start::Live), (-0.0, Start::Recorded(0))];
        let odd = [(1.9, Start::Recorded(1)), (1e300, Start::Recorded(u32::MAX)), (f64::NAN, Start::Recorded(0))];
        for (number, start) in starts.into_iter().chain(odd) {
            let expected = Some(PlayRequest { start, ..plain });
            assert_eq!(read(&[Token::Null, name, number.into()]), expected, "{number}");
            // Without a command object, or with more than one.
            assert_eq!(read(&[name, number.into()]), expected);
            let more = [Token::ObjectStart, Token::Key("x".into()), 1.0.into(), Token::End, Token::Undefined];
            assert_eq!(read(&[&more[..], &[name, number.into()]].concat()), expected);
        }
        let reset = |value| read(&[Token::Null, name, 0.0.into(), 5.0.into(), value]).unwrap();
        for (value, expected) in [(true.into(), true), (false.into(), false), (0.0.into(), false), (1.0.into(), true)] {
            assert_eq!((reset(value).reset, reset(value).duration), (expected, Some(5)));
        }
        assert_eq!(read(&[Token::Null]), None);
        assert_eq!(read(&[Token::Null, 1.0.into()]), None, "a name that is a number");
    }

    #[test]
    fn play2_names_both_streams() {
        let mut buffer = [0; 256];
        let mut encoder = Encoder::new(&mut buffer);
        let request = SwitchRequest::bit_rate("low", "high");
        request.emit(&mut encoder, 0.0).unwrap();
        let command = Command::parse(encoder.finish()).unwrap();
        assert_eq!((command.name, SwitchRequest::parse(&command)), ("play2".into(), request));
        let none = Command::parse(b"\x02\0\x05play2").unwrap();
        assert_eq!(SwitchRequest::parse(&none), SwitchRequest::default());
    }
}
