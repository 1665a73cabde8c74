//! The status as JSON.

use crate::bytes::Output;
use crate::fmt::impl_format;
use crate::text::Decimal;

/// What `/status.json` says about the server:
///
/// ```json
/// {"version":1,"uptime":3600,"publishers":1,"players":3,"last_error":null,"streams":[…]}
/// ```
///
/// The names and meanings of the fields do not change. Later versions may add fields. Times are in seconds. The answer has
/// neither keys nor tokens nor addresses, unless the caller passes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WebStatus<'s> {
    /// The time in seconds since the server was started.
    pub uptime: u32,
    /// The number of streams that are published, listed or not.
    pub publishers: u32,
    /// The number of players of all streams, over all protocols.
    pub players: u32,
    /// The last error. It must not contain secrets. Only the part that fits in the memory of the connection is sent.
    pub last_error: Option<&'s str>,
}

/// What `/status.json` says about a stream:
///
/// ```json
/// {"name":"live/camera","uptime":60,"bit_rate":2500000,"players":3,"dropped":0,"skipped":0}
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamStatus<'s> {
    /// The public name: the path at which the stream is, without `.flv` or `.mp4`.
    pub name: &'s str,
    /// The time in seconds since it is published.
    pub uptime: u32,
    /// The bits of payload per second that the publisher sends.
    pub bit_rate: u32,
    /// The number of its players, over all protocols.
    pub players: u32,
    /// The messages of the publisher that no player received: they were too long for the ring, or incomplete.
    pub dropped: u32,
    /// The messages that the current players missed because they were too slow, in all.
    pub skipped: u32,
}

impl_format!(['s] StreamStatus<'s>, this => "StreamStatus {{ players: {} }}", this.players);

/// Writes JSON. What does not fit is not written, but counted.
pub(super) struct Json<'b>(pub(super) Output<'b>);

impl Json<'_> {
    pub(super) fn server(&mut self, status: &WebStatus<'_>) {
        self.0.put(b"{\"version\":1");
        self.number(b",\"uptime\":", status.uptime);
        self.number(b",\"publishers\":", status.publishers);
        self.number(b",\"players\":", status.players);
        self.0.put(b",\"last_error\":");
        match status.last_error {
            None => self.0.put(b"null"),
            Some(text) => self.text(text, END.len()),
        }
        self.0.put(END);
    }

    pub(super) fn stream(&mut self, status: &StreamStatus<'_>, is_first: bool) {
        self.0.put(if is_first { b"{\"name\":" } else { b",{\"name\":" });
        self.text(status.name, 0);
        self.number(b",\"uptime\":", status.uptime);
        self.number(b",\"bit_rate\":", status.bit_rate);
        self.number(b",\"players\":", status.players);
        self.number(b",\"dropped\":", status.dropped);
        self.number(b",\"skipped\":", status.skipped);
        self.0.put(b"}");
    }

    fn number(&mut self, name: &[u8], number: u32) {
        self.0.put(name);
        self.0.put(Decimal::new(number).as_bytes());
    }

    /// Writes a text in quotes (RFC 8259, section 7). If `after` is not 0, the text is cut so that this number of bytes has
    /// room after it.
    fn text(&mut self, text: &str, after: usize) {
        self.0.put(b"\"");
        let limit = if after > 0 { self.0.buffer.len().saturating_sub(after.wrapping_add(1)) } else { usize::MAX };
        for char in text.chars() {
            let mut bytes = [0; 4];
            let escaped = match char {
                '"' => "\\\"",
                '\\' => "\\\\",
                // The page shows the text, so no character needs to survive that is not shown.
                char if char.is_control() => " ",
                // Text may be inside of HTML.
                '<' => "\\u003c",
                char => char.encode_utf8(&mut bytes),
            };
            if self.0.needed.saturating_add(escaped.len()) > limit {
                break;
            }
            self.0.put(escaped.as_bytes());
        }
        self.0.put(b"\"");
    }
}

/// The end of the status of the server.
const END: &[u8] = b",\"streams\":[";

/// The end of the whole status.
pub(super) const LAST: &[u8] = b"]}\n";

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn written(room: usize, write: impl FnOnce(&mut Json<'_>)) -> (String, usize) {
        let mut buffer = std::vec![0; room];
        let mut json = Json(Output::new(&mut buffer));
        write(&mut json);
        let needed = json.0.needed;
        buffer.truncate(needed);
        (String::from_utf8(buffer).unwrap(), needed)
    }

    #[test]
    fn the_fields_have_the_documented_names() {
        let status = WebStatus { uptime: 3600, publishers: 1, players: 3, last_error: None };
        let (server, _) = written(256, |json| json.server(&status));
        assert_eq!(server, r#"{"version":1,"uptime":3600,"publishers":1,"players":3,"last_error":null,"streams":["#);
        let stream =
            StreamStatus { name: "live/camera", uptime: 60, bit_rate: 2_500_000, players: 3, dropped: 0, skipped: 1 };
        let (stream, _) = written(256, |json| json.stream(&stream, false));
        assert_eq!(
            stream,
            r#",{"name":"live/camera","uptime":60,"bit_rate":2500000,"players":3,"dropped":0,"skipped":1}"#
        );
    }

    #[test]
    fn text_is_escaped_and_an_error_that_is_too_long_is_cut() {
        let stream = StreamStatus { name: "a\"b\\c\n</script>é", ..StreamStatus::default() };
        let (stream, _) = written(256, |json| json.stream(&stream, true));
        assert!(stream.starts_with(r#"{"name":"a\"b\\c \u003c/script>é","uptime":0"#), "{stream}");
        let text = std::format!("{}é\"", "x".repeat(300));
        for room in 120..140 {
            let status = WebStatus { last_error: Some(&text), ..WebStatus::default() };
            let (server, needed) = written(room, |json| json.server(&status));
            assert!(needed <= room && server.ends_with("x\",\"streams\":["), "{server}");
        }
        // A name is never cut, because that would be another name.
        let name = "y".repeat(300);
        let stream = StreamStatus { name: &name, ..StreamStatus::default() };
        let mut buffer = [0; 256];
        let mut json = Json(Output::new(&mut buffer));
        json.stream(&stream, true);
        assert!(json.0.needed > 300);
    }
}
