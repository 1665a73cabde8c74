//! Info objects, which are in `onStatus`, `_result` and `_error` (RTMP 1.0, section 7.2.2).

use core::fmt;

use super::Code;
use crate::amf0::{Decoder, Text, Token};
use crate::bytes::Output;
use crate::fmt::impl_format;

/// How many [redirects](Status::redirect) a client should follow one after another.
pub const MAX_REDIRECTS: u8 = 3;

/// The ends of the [codes](super::code) which say that a request was refused or has failed.
const FAILURES: [&str; 6] = ["BadName", "Denied", "Failed", "InvalidApp", "Rejected", "StreamNotFound"];

/// The content of an info object. Text that is missing is empty.
#[derive(Clone, Copy, Default)]
pub struct Status<'a> {
    /// `status`, `warning` or `error`.
    pub level: Text<'a>,
    /// The code, such as `NetStream.Publish.Start`.
    pub code: Text<'a>,
    /// A description for people.
    pub description: Text<'a>,
    /// All values, as they were received.
    pub(crate) values: &'a [u8],
}

// The description is omitted, because servers quote stream keys in it.
impl_format!(
    ['a] Status<'a>,
    this => "Status {{ level: {=[u8]:a}, code: {=[u8]:a} }}", this.level.as_bytes(), this.code.as_bytes()
);

/// Only the three texts are compared.
impl PartialEq for Status<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.level, self.code, self.description) == (other.level, other.code, other.description)
    }
}

impl Eq for Status<'_> {}

impl fmt::Debug for Status<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { level, code, description, .. } = self;
        f.debug_struct("Status").field("level", level).field("code", code).field("description", description).finish()
    }
}

impl<'a> Status<'a> {
    /// Creates a status of level `status`: success, or information.
    pub fn ok(code: &'a str, description: &'a str) -> Self {
        Self { level: "status".into(), code: code.into(), description: description.into(), values: &[] }
    }

    /// Creates a status of level `error`.
    pub fn error(code: &'a str, description: &'a str) -> Self {
        Self { level: "error".into(), code: code.into(), description: description.into(), values: &[] }
    }

    /// Returns the code as a value.
    pub fn known(&self) -> Code<'a> {
        Code::of(self.code)
    }

    /// The URL of another application, to which the client is redirected. A refusal of `connect` may have it, in the `ex` of
    /// its info object, beside the code 302.
    ///
    /// Follow it with a new connection, at most [`MAX_REDIRECTS`] times one after another: two servers may send a
    /// client to each other.
    pub fn redirect(&self) -> Option<Text<'a>> {
        self.text("redirect")
    }

    /// Returns the last text with this key in any map, unless it is empty.
    pub(super) fn text(&self, key: &str) -> Option<Text<'a>> {
        let (mut values, mut last_key, mut found) = (Decoder::new(self.values), Text::default(), None);
        while let Ok(Some(token)) = values.next_token() {
            match token {
                Token::Key(name) => last_key = name,
                Token::String(text) if last_key == *key => found = Some(text),
                _ => {}
            }
        }
        found.filter(|text| !text.is_empty())
    }

    /// Returns whether the status says that something failed or was refused: by its code at every level, or otherwise by the
    /// level `error`. Some senders send a wrong level.
    // Not inlined, because it has two callers in a publisher.
    #[inline(never)]
    pub fn is_error(&self) -> bool {
        let code = self.code.as_bytes();
        // The comparison of texts is in an image already. With the functions of slices, the client takes 108 bytes more.
        let ends_with = |failure: &&str| {
            let end = code.len().checked_sub(failure.len()).and_then(|start| code.get(start..));
            end.is_some_and(|end| Text::new(end) == **failure)
        };
        FAILURES.iter().any(ends_with) || self.level.as_bytes().eq_ignore_ascii_case(b"error")
    }

    /// What follows `family` in the code, or `None` if the code does not begin with it.
    pub(crate) fn code_in(&self, family: &str) -> Option<Text<'a>> {
        let (about, what) = self.code.as_bytes().split_at_checked(family.len())?;
        (Text::new(about) == *family).then_some(Text::new(what))
    }

    /// Reads the last level, code and description among `values`, in whichever map they are: some senders put another
    /// one, or null, before the info object. A string that is not in a map, as some send instead of the object, is the
    /// description. Empty if there is none, or if it is malformed.
    pub fn parse(mut values: Decoder<'a>) -> Status<'a> {
        let mut status = Status::of(values.rest());
        let mut key = Text::default();
        while let Ok(Some(token)) = values.next_token() {
            if let Token::Key(found) = token {
                key = found;
                continue;
            }
            if let Token::String(text) = token
                && let Some(field) = status.field(key)
            {
                *field = text;
            }
            key = Text::default();
        }
        status
    }

    /// A status without text. `values` has all values, in AMF0.
    pub(super) fn of(values: &'a [u8]) -> Status<'a> {
        Status { values, ..Status::default() }
    }

    /// The field that a string with this key sets.
    pub(super) fn field(&mut self, key: Text<'_>) -> Option<&mut Text<'a>> {
        if key == *"level" {
            Some(&mut self.level)
        } else if key == *"code" {
            Some(&mut self.code)
        } else if key == *"description" || (key.is_empty() && self.description.is_empty()) {
            Some(&mut self.description)
        } else {
            None
        }
    }

    /// Writes the properties of the info object.
    pub(super) fn write_properties(&self, out: &mut Output<'_>) {
        out.put(b"\0\x05level");
        out.text(self.level);
        out.put(b"\0\x04code");
        out.text(self.code);
        out.put(b"\0\x0Bdescription");
        out.text(self.description);
    }
}
