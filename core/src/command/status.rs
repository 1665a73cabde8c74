//! Info objects: what `onStatus`, `_result` and `_error` say (RTMP 1.0, section 7.2.2).

use super::Code;
use crate::amf0::{BufferFull, Decoder, Encoder, Text, Token};

/// What an info object says. Text that is missing is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status<'a> {
    /// `status`, `warning` or `error`.
    pub level: Text<'a>,
    /// What happened, such as `NetStream.Publish.Start`.
    pub code: Text<'a>,
    /// The same for people.
    pub description: Text<'a>,
}

impl<'a> Status<'a> {
    /// Success, or news.
    pub fn ok(code: &'a str, description: &'a str) -> Self {
        Self { level: "status".into(), code: code.into(), description: description.into() }
    }

    /// A refusal.
    pub fn error(code: &'a str, description: &'a str) -> Self {
        Self { level: "error".into(), code: code.into(), description: description.into() }
    }

    /// What the code stands for.
    pub fn known(&self) -> Code<'a> {
        Code::of(self.code)
    }

    /// Whether the level is `error`.
    pub fn is_error(&self) -> bool {
        self.level == *"error"
    }

    /// Reads the last level, code and description among `values`, in whichever map they are: some senders put another
    /// one, or null, before the info object. A string that is in no map, as some send in place of the object, is the
    /// description. Empty where there is none, or where it is broken.
    pub fn parse(mut values: Decoder<'a>) -> Status<'a> {
        let mut status = Status::default();
        let mut key = Text::default();
        while let Ok(Some(token)) = values.next_token() {
            if let Token::Key(found) = token {
                key = found;
                continue;
            }
            if let Token::String(text) = token {
                if key == *"level" {
                    status.level = text;
                } else if key == *"code" {
                    status.code = text;
                } else if key == *"description" || (key.is_empty() && status.description.is_empty()) {
                    status.description = text;
                }
            }
            key = Text::default();
        }
        status
    }

    /// Writes what is in the info object.
    pub(super) fn put_properties(&self, encoder: &mut Encoder<'_>) -> Result<(), BufferFull> {
        for (key, value) in [("level", self.level), ("code", self.code), ("description", self.description)] {
            encoder.property(key, Token::String(value))?;
        }
        Ok(())
    }
}
