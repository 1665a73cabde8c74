//! The request of a server that a client connect again (E-RTMP v2, "Reconnect Request").

use super::{Status, code, put};
use crate::amf0::{BufferFull, Encoder, Text, Token};
#[cfg(doc)]
use crate::session::{ClientEvent, Server};
#[cfg(doc)]
use crate::url::Url;

/// A server asks a client to connect again, to the same server or to another one, because the server is going to stop or
/// has too much load. The server sends it with [`Server::request_reconnect`]. A client receives it as a
/// [`ClientEvent::Status`].
///
/// The old connection stays usable until either side closes it. A publisher that has memory for two connections prepares
/// the new one, sends on the old one up to its next keyframe, and then continues on the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReconnectRequest<'a> {
    /// The URL of the application to connect to, which may be relative to that of the connection: see
    /// [`Url::redirected`]. `None` means the same one.
    pub tc_url: Option<Text<'a>>,
    /// A description for people. It may be empty.
    pub description: Text<'a>,
}

impl<'a> ReconnectRequest<'a> {
    /// Reads a status. Returns `None` if it is another one.
    pub fn of(status: &Status<'a>) -> Option<Self> {
        if status.code != *code::CONNECT_RECONNECT_REQUEST {
            return None;
        }
        Some(Self { tc_url: status.text("tcUrl"), description: status.description })
    }

    /// Writes the `onStatus` command.
    pub(crate) fn emit(&self, encoder: &mut Encoder<'_>) -> Result<(), BufferFull> {
        put(encoder, "onStatus", 0.0, &[Token::Null, Token::ObjectStart])?;
        encoder.property("level", Token::String("status".into()))?;
        encoder.property("code", Token::String(code::CONNECT_RECONNECT_REQUEST.into()))?;
        let texts = [("tcUrl", self.tc_url), ("description", Some(self.description).filter(|text| !text.is_empty()))];
        for (key, text) in texts {
            if let Some(text) = text {
                encoder.property(key, Token::String(text))?;
            }
        }
        encoder.put(Token::End)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use std::vec::Vec;

    fn emitted(request: &ReconnectRequest<'_>) -> Vec<u8> {
        let mut buffer = [0; 300];
        let mut encoder = Encoder::new(&mut buffer);
        request.emit(&mut encoder).unwrap();
        encoder.finish().to_vec()
    }

    fn parsed(payload: &[u8]) -> Option<ReconnectRequest<'_>> {
        ReconnectRequest::of(&Status::parse(Command::parse(payload)?.values))
    }

    #[test]
    fn item_107_a_reconnect_request_is_a_status_with_a_url_and_a_description() {
        let request = ReconnectRequest { tc_url: Some("rtmp://h/app".into()), description: "Bye.".into() };
        let expected = b"\x02\0\x08onStatus\0\0\0\0\0\0\0\0\0\x05\x03\0\x05level\x02\0\x06status\0\x04code\x02\0\x26\
            NetConnection.Connect.ReconnectRequest\0\x05tcUrl\x02\0\x0crtmp://h/app\0\x0bdescription\x02\0\x04Bye.\0\0\x09";
        assert_eq!(emitted(&request), expected);
        assert_eq!(parsed(expected), Some(request));
    }

    #[test]
    fn item_107_the_url_and_the_description_may_be_missing() {
        let none = ReconnectRequest::default();
        assert_eq!(parsed(&emitted(&none)), Some(none));
        let relative = ReconnectRequest { tc_url: Some("//other/app".into()), ..none };
        assert_eq!(parsed(&emitted(&relative)), Some(relative));
        // An empty URL, or one of another type, is no URL.
        let head =
            b"\x02\0\x08onStatus\0\0\0\0\0\0\0\0\0\x05\x03\0\x04code\x02\0\x26NetConnection.Connect.ReconnectRequest";
        for url in [&b"\0\x05tcUrl\x02\0\0"[..], b"\0\x05tcUrl\x05", b"\0\x05tcUrl\0\0\0\0\0\0\0\0\0", b""] {
            assert_eq!(parsed(&[head, url, b"\0\0\x09"].concat()), Some(none), "{url:02x?}");
        }
        let mut buffer = [0; 300];
        let length = emitted(&relative).len();
        for room in 0..length {
            assert!(relative.emit(&mut Encoder::new(&mut buffer[..room])).is_err());
        }
    }

    #[test]
    fn item_107_another_status_is_no_request() {
        assert_eq!(ReconnectRequest::of(&Status::ok(code::CONNECT_CLOSED, "")), None);
        assert_eq!(ReconnectRequest::of(&Status::ok("", "")), None);
    }
}
