//! `connect` and its answer (RTMP 1.0, section 7.2.1.1).

use super::{Command, Status, code};
use crate::amf0::{BufferFull, Encoder, Text, Token, u32_to_number};
use crate::fmt::impl_format;

/// What a client says in `connect`.
#[derive(Debug, Clone, Copy)]
pub struct ConnectOptions<'a> {
    /// The application: the first part of a URL's path.
    pub app: &'a str,
    /// The URL of the application, in parts that follow one another. No stream key stands in it.
    pub tc_url: &'a [&'a str],
    /// The name and version of the client. Servers know those that begin with `FMLE/` as encoders.
    pub flash_ver: &'a str,
}

impl_format!(['a] ConnectOptions<'a>, this => "ConnectOptions {{ flash_ver: {} }}", this.flash_ver);

impl ConnectOptions<'_> {
    /// The client version where nothing else is wanted.
    pub const FLASH_VER: &'static str = "FMLE/3.0 (compatible; embedded-rtmp)";

    /// Writes the command, with transaction id `transaction`.
    ///
    /// # Errors
    /// The encoder's buffer is too small.
    pub fn emit(&self, encoder: &mut Encoder<'_>, transaction: u32) -> Result<(), BufferFull> {
        // What is the same in every command is AMF0 already: that takes half the flash.
        super::begin(encoder, "connect", u32_to_number(transaction))?;
        encoder.raw(b"\x03\0\x03app")?.short_string(&[self.app])?;
        encoder.raw(b"\0\x04type\x02\0\x0Anonprivate\0\x08flashVer")?.short_string(&[self.flash_ver])?;
        encoder.raw(b"\0\x05tcUrl")?.short_string(self.tc_url)?.raw(b"\0\0\x09")?;
        Ok(())
    }
}

/// What a client said in `connect`. Text that is missing is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConnectRequest<'a> {
    /// The application, with the query where the client puts it there.
    pub app: Text<'a>,
    /// The URL of the application.
    pub tc_url: Text<'a>,
    /// The name and version of the client.
    pub flash_ver: Text<'a>,
}

impl<'a> ConnectRequest<'a> {
    /// Reads the command object of `connect`, an object or an ECMA array; what is missing or broken is empty.
    pub fn parse(command: &Command<'a>) -> ConnectRequest<'a> {
        let (mut values, mut request) = (command.values, ConnectRequest::default());
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
}

/// Writes the `_result` that accepts `connect`.
pub(crate) fn accepted(encoder: &mut Encoder<'_>, transaction: f64) -> Result<(), BufferFull> {
    let properties = [
        Token::ObjectStart,
        Token::Key("fmsVer".into()),
        Token::String("FMS/3,0,1,123".into()),
        Token::Key("capabilities".into()),
        Token::Number(31.0),
        Token::End,
        Token::ObjectStart,
    ];
    super::put(encoder, "_result", transaction, &properties)?;
    Status::ok(code::CONNECT_SUCCESS, "Connection succeeded.").put_properties(encoder)?;
    encoder.property("objectEncoding", Token::Number(0.0))?.put(Token::End)?;
    Ok(())
}
