//! `connect` and its answer (RTMP 1.0, section 7.2.1.1).

use super::{Arguments, Command, Status, code};
use crate::amf0::{BufferFull, Decoder, Encoder, Text, Token, marker, u32_to_bits};
use crate::bytes::Output;
use crate::fmt::impl_format;

/// The content of a `connect` command to send.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ConnectOptions<'a> {
    /// The application: the first part of a URL's path.
    pub app: &'a str,
    /// The URL of the application, in parts that follow one another. It contains no stream key.
    pub tc_url: &'a [&'a str],
    /// The name and version of the client. Servers treat a client whose name begins with `FMLE/` as an encoder.
    pub flash_ver: &'a str,
    /// More properties of the command object, in AMF0: a key and its value, one pair after another.
    pub properties: &'a [u8],
    /// Values after the command object, in AMF0, such as credentials.
    pub arguments: &'a [u8],
}

impl_format!(['a] ConnectOptions<'a>, this => "ConnectOptions {{ flash_ver: {} }}", this.flash_ver);

impl<'a> ConnectOptions<'a> {
    /// The default name and version of the client.
    pub const FLASH_VER: &'static str = "FMLE/3.0 (compatible; embedded-rtmp)";

    /// Connects to the application `app` at the URL `tc_url`, which is given in parts, as [`Self::FLASH_VER`].
    ///
    /// ```
    /// use embedded_rtmp::amf0::{Encoder, Token};
    /// use embedded_rtmp::command::ConnectOptions;
    ///
    /// let mut buffer = [0; 64];
    /// let mut encoder = Encoder::new(&mut buffer);
    /// encoder.property("swfUrl", "http://host/player".into())?;
    /// encoder.property("fourCcList", Token::StrictArrayStart { len: 1 })?.put_all(&["hvc1".into(), Token::End])?;
    ///
    /// let mut options = ConnectOptions::new("live", &["rtmp://host/", "live"]);
    /// options.flash_ver = "FMLE/3.0 (compatible; my-camera/1.0)";
    /// options.properties = encoder.finish();
    /// # Ok::<(), embedded_rtmp::amf0::BufferFull>(())
    /// ```
    pub const fn new(app: &'a str, tc_url: &'a [&'a str]) -> Self {
        Self { app, tc_url, flash_ver: Self::FLASH_VER, properties: &[], arguments: &[] }
    }

    /// Writes the command of a client that publishes, with transaction id `transaction`. It has the property `type`.
    ///
    /// # Errors
    /// The encoder's buffer is too small.
    pub fn emit(&self, encoder: &mut Encoder<'_>, transaction: u32) -> Result<(), BufferFull> {
        encoder.write(|out| self.put(out, transaction, true))
    }

    /// Writes the command of a client that publishes or plays. FFmpeg and librtmp send `type` only to publish, and rtmpsuck
    /// 2.4 aborts when it receives a text property that it does not know.
    #[inline]
    pub(crate) fn put(&self, out: &mut Output<'_>, transaction: u32, publishes: bool) {
        // The constant part is stored as encoded AMF0, which takes half the flash.
        super::start(out, "connect", u32_to_bits(transaction));
        out.put(b"\x03\0\x03app");
        out.string(&[self.app]);
        out.put(if publishes { b"\0\x04type\x02\0\x0Anonprivate\0\x08flashVer" } else { b"\0\x08flashVer" });
        out.string(&[self.flash_ver]);
        out.put(b"\0\x05tcUrl");
        out.string(self.tc_url);
        out.put(self.properties);
        out.put(b"\0\0\x09");
        out.put(self.arguments);
    }
}

/// The content of a received `connect` command. Text that is missing is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectRequest<'a> {
    /// The application, with the query if the client puts it there.
    pub app: Text<'a>,
    /// The URL of the application.
    pub tc_url: Text<'a>,
    /// The name and version of the client.
    pub flash_ver: Text<'a>,
    values: &'a [u8],
}

impl_format!(
    ['a] ConnectRequest<'a>,
    this => "ConnectRequest {{ app: {}, flash_ver: {} }}", this.app, this.flash_ver
);

impl<'a> ConnectRequest<'a> {
    /// A request for an application without any other property, to decide about a client of another protocol by the same
    /// rules.
    pub const fn new(app: Text<'a>) -> Self {
        Self { app, tc_url: Text::new(&[]), flash_ver: Text::new(&[]), values: &[] }
    }

    /// Reads the command object of `connect`, an object or an ECMA array. A property that is missing or malformed is
    /// empty.
    pub fn parse(command: &Command<'a>) -> ConnectRequest<'a> {
        let none = Text::default();
        let mut request = ConnectRequest { app: none, tc_url: none, flash_ver: none, values: command.values.rest() };
        let mut values = command.values;
        if !matches!(values.next_token(), Ok(Some(token)) if token.opens_map()) {
            return request;
        }
        while let Ok(Some((key, value))) = values.next_property() {
            let Some(text) = value.as_text() else { continue };
            match key.as_bytes() {
                b"app" => request.app = text,
                b"tcUrl" => request.tc_url = text,
                b"flashVer" => request.flash_ver = text,
                _ => {}
            }
        }
        request
    }

    /// Returns all received values: the command object, then the arguments.
    pub fn values(&self) -> Decoder<'a> {
        Decoder::new(self.values)
    }

    /// Returns a property of the command object: a scalar, or the start of a container. [`Self::values`] has the content
    /// of a container.
    pub fn property(&self, name: &str) -> Option<Token<'a>> {
        let mut values = self.values();
        values.next_token().ok()?.filter(Token::opens_map)?;
        while let Some((key, value)) = values.next_property().ok()? {
            if key == *name {
                return Some(value);
            }
        }
        None
    }

    /// Returns the scalars after the command object, such as credentials.
    pub fn arguments(&self) -> Arguments<'a> {
        Arguments(self.values())
    }
}

/// Writes the `_result` that accepts `connect`. `more` writes more properties.
pub(crate) fn accepted(out: &mut Output<'_>, transaction: u64, more: &dyn Fn(&mut Output<'_>)) {
    super::start(out, "_result", transaction);
    out.put(b"\x03\0\x06fmsVer\x02\0\x0DFMS/3,0,1,123\0\x0Ccapabilities");
    out.integer(31);
    out.put(super::END);
    out.put(&[marker::OBJECT]);
    Status::ok(code::CONNECT_SUCCESS, "Connection succeeded.").write_properties(out);
    out.put(b"\0\x0EobjectEncoding");
    out.integer(0);
    more(out);
    out.put(super::END);
}
