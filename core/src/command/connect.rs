//! `connect` and its answer (RTMP 1.0, section 7.2.1.1).

use super::{Command, Status, code, texts};
use crate::amf0::{BufferFull, Encoder, Text, Token, u32_to_number};

/// What a client says in `connect`.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConnectOptions<'a> {
    /// The application: the first part of a URL's path.
    pub app: &'a str,
    /// The URL of the application, in parts that follow one another. No stream key stands in it.
    pub tc_url: &'a [&'a str],
    /// The name and version of the client. Servers know those that begin with `FMLE/` as encoders.
    pub flash_ver: &'a str,
}

impl ConnectOptions<'_> {
    /// The client version where nothing else is wanted.
    pub const FLASH_VER: &'static str = "FMLE/3.0 (compatible; embedded-rtmp)";

    /// Writes the command, with transaction id `transaction`.
    ///
    /// # Errors
    /// The encoder's buffer is too small.
    pub fn emit(&self, encoder: &mut Encoder<'_>, transaction: u32) -> Result<(), BufferFull> {
        encoder.put(Token::String("connect".into()))?.put(Token::Number(u32_to_number(transaction)))?;
        encoder.put(Token::ObjectStart)?;
        for (key, value) in [("app", self.app), ("type", "nonprivate"), ("flashVer", self.flash_ver)] {
            encoder.property(key, Token::String(value.into()))?;
        }
        encoder.put(Token::Key("tcUrl".into()))?;
        encoder.put_string_parts(self.tc_url)?;
        encoder.put(Token::End)?;
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
        let mut values = command.values;
        if !matches!(values.next_token(), Ok(Some(token)) if token.opens_map()) {
            return ConnectRequest::default();
        }
        let [app, tc_url, flash_ver] = texts(&mut values, ["app", "tcUrl", "flashVer"]);
        ConnectRequest { app, tc_url, flash_ver }
    }
}

/// Writes the `_result` that accepts `connect`.
pub(crate) fn accepted(encoder: &mut Encoder<'_>, transaction: f64) -> Result<(), BufferFull> {
    super::answer(encoder, "_result", transaction)?.put(Token::ObjectStart)?;
    encoder.property("fmsVer", Token::String("FMS/3,0,1,123".into()))?;
    encoder.property("capabilities", Token::Number(31.0))?.put(Token::End)?.put(Token::ObjectStart)?;
    Status::ok(code::CONNECT_SUCCESS, "Connection succeeded.").put_properties(encoder)?;
    encoder.property("objectEncoding", Token::Number(0.0))?.put(Token::End)?;
    Ok(())
}
