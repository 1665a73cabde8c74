//! Values as XML, JSON or AMF0.

use super::date::{Date, TEN, divide};
use crate::amf0::{marker, u64_to_bits};
use crate::bytes::{Window, low_u16, low_u32};
use crate::text::Decimal;

/// The encoding of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Xml,
    Json,
    Amf0,
}

/// What a value is: the answer itself, a property of an object, or an item of a list.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    Root,
    Name(&'static str),
    Item(u32),
}

/// Replaces what XML or JSON cannot express: U+FFFD.
const REPLACEMENT: &[u8] = "\u{FFFD}".as_bytes();

/// Writes a tree of values in one of three encodings. The caller writes all of it again for each window.
pub(super) struct Tree<'o> {
    to: Window<'o>,
    form: Form,
    /// The next value is the first one of its container.
    is_first: bool,
    /// A hash of all bytes (FNV-1a), by which the caller notices that another tree was written.
    hash: u32,
}

impl<'o> Tree<'o> {
    pub(super) const fn new(form: Form, offset: u32, out: &'o mut [u8]) -> Self {
        Self { to: Window::new(offset, out), form, is_first: true, hash: 0x811C_9DC5 }
    }

    /// The length and the hash of what was written.
    pub(super) const fn identity(&self) -> Identity {
        Identity { length: self.to.length, hash: self.hash }
    }

    /// The number of bytes that were stored.
    pub(super) const fn stored(&self) -> usize {
        self.to.stored
    }

    // Not inlined, because it has many callers.
    #[inline(never)]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let add = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        self.hash = bytes.iter().fold(self.hash, add);
        self.to.put(bytes);
    }

    /// Writes an object.
    pub(super) fn map(&mut self, key: Key, content: impl FnOnce(&mut Self)) {
        self.begin(key);
        self.open(b"{", &[marker::OBJECT]);
        content(self);
        self.close(b"}", &[0, 0, marker::OBJECT_END]);
        self.end(key);
    }

    /// Writes a list of `count` items.
    pub(super) fn list(&mut self, key: Key, count: u32, content: impl FnOnce(&mut Self)) {
        self.begin(key);
        let [a, b, c, d] = count.to_be_bytes();
        self.open(b"[", &[marker::STRICT_ARRAY, a, b, c, d]);
        content(self);
        self.close(b"]", &[]);
        self.end(key);
    }

    /// Writes text, which need not be UTF-8.
    #[inline(never)]
    pub(super) fn text(&mut self, key: Key, text: &[u8]) {
        self.begin(key);
        match self.form {
            Form::Amf0 => {
                let [a, b, c, d] = low_u32(text.len()).to_be_bytes();
                match u16::try_from(text.len()) {
                    Ok(_) => self.put(&[marker::STRING, c, d]),
                    Err(_) => self.put(&[marker::LONG_STRING, a, b, c, d]),
                }
                self.put(text);
            }
            Form::Json => {
                self.put(b"\"");
                self.escaped(text);
                self.put(b"\"");
            }
            Form::Xml => self.escaped(text),
        }
        self.end(key);
    }

    /// Writes text that consists of two parts, which need no escapes and have at most 65,535 bytes together.
    pub(super) fn text_parts(&mut self, key: Key, [one, other]: [&'static str; 2]) {
        self.begin(key);
        match self.form {
            Form::Amf0 => {
                let [a, b] = low_u16(one.len().wrapping_add(other.len())).to_be_bytes();
                self.put(&[marker::STRING, a, b]);
            }
            Form::Json => self.put(b"\""),
            Form::Xml => {}
        }
        self.put(one.as_bytes());
        self.put(other.as_bytes());
        if self.form == Form::Json {
            self.put(b"\"");
        }
        self.end(key);
    }

    /// Writes a number. In AMF0 it is exact up to 2⁵³.
    #[inline(never)]
    pub(super) fn number(&mut self, key: Key, number: u64) {
        self.begin(key);
        if self.form == Form::Amf0 {
            self.put(&[marker::NUMBER]);
            self.put(&u64_to_bits(number).to_be_bytes());
        } else {
            self.digits(number);
        }
        self.end(key);
    }

    /// Writes a time, in milliseconds since 1970.
    #[inline(never)]
    pub(super) fn date(&mut self, key: Key, millis: u64) {
        self.begin(key);
        match self.form {
            Form::Amf0 => {
                self.put(&[marker::DATE]);
                self.put(&u64_to_bits(millis).to_be_bytes());
                self.put(&[0, 0]);
            }
            Form::Json => Date::of(millis).put_iso(&mut |text| self.put(text)),
            Form::Xml => Date::of(millis).put_long(&mut |text| self.put(text)),
        }
        self.end(key);
    }

    fn open(&mut self, json: &[u8], amf0: &[u8]) {
        self.bracket(json, amf0);
        self.is_first = true;
    }

    fn close(&mut self, json: &[u8], amf0: &[u8]) {
        self.bracket(json, amf0);
        self.is_first = false;
    }

    fn bracket(&mut self, json: &[u8], amf0: &[u8]) {
        match self.form {
            Form::Json => self.put(json),
            Form::Amf0 => self.put(amf0),
            Form::Xml => {}
        }
    }

    /// Before a value.
    #[inline(never)]
    fn begin(&mut self, key: Key) {
        let is_first = core::mem::replace(&mut self.is_first, false);
        match (self.form, key) {
            (Form::Xml, key) => {
                self.put(b"<");
                self.element(key);
            }
            (Form::Json, key) => {
                if !is_first {
                    self.put(b",");
                }
                if let Key::Name(name) = key {
                    self.put(b"\"");
                    self.put(name.as_bytes());
                    self.put(b"\":");
                }
            }
            (Form::Amf0, Key::Name(name)) => {
                self.put(&low_u16(name.len()).to_be_bytes());
                self.put(name.as_bytes());
            }
            (Form::Amf0, Key::Root | Key::Item(_)) => {}
        }
    }

    /// After a value.
    #[inline(never)]
    fn end(&mut self, key: Key) {
        if self.form == Form::Xml {
            self.put(b"</");
            self.element(key);
        }
    }

    /// The name of an element of XML.
    fn element(&mut self, key: Key) {
        match key {
            Key::Root => self.put(b"result"),
            Key::Name(name) => self.put(name.as_bytes()),
            Key::Item(index) => {
                self.put(b"_");
                self.put(Decimal::new(index).as_bytes());
            }
        }
        self.put(b">");
    }

    fn digits(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut places = digits.iter_mut().rev();
        let mut count: usize = 0;
        for place in places.by_ref() {
            let (quotient, digit) = divide(number, TEN);
            *place = b'0'.wrapping_add(digit.to_be_bytes()[3]);
            (number, count) = (quotient, count.wrapping_add(1));
            if number == 0 {
                break;
            }
        }
        self.put(digits.get(20_usize.wrapping_sub(count)..).unwrap_or_default());
    }

    /// Text inside an element of XML, or inside the quotation marks of JSON.
    fn escaped(&mut self, text: &[u8]) {
        for chunk in text.utf8_chunks() {
            let mut rest = chunk.valid().as_bytes();
            while let Some((place, escape)) = self.next_escape(rest) {
                self.put(rest.get(..place).unwrap_or_default());
                let length = match escape {
                    Escape::Text(text) => {
                        self.put(text);
                        1
                    }
                    Escape::Code(byte) => {
                        let digit = |nibble: u8| b"0123456789abcdef".get(usize::from(nibble)).copied().unwrap_or(b'0');
                        self.put(b"\\u00");
                        self.put(&[digit(byte >> 4), digit(byte & 0xF)]);
                        1
                    }
                    Escape::NonCharacter => {
                        self.put(REPLACEMENT);
                        3
                    }
                };
                rest = rest.get(place.saturating_add(length)..).unwrap_or_default();
            }
            self.put(rest);
            if !chunk.invalid().is_empty() {
                self.put(REPLACEMENT);
            }
        }
    }

    /// The place of the first character that cannot be written as it is.
    fn next_escape(&self, text: &[u8]) -> Option<(usize, Escape)> {
        let is_xml = self.form == Form::Xml;
        text.iter().enumerate().find_map(|(place, byte)| {
            let escape = match (*byte, is_xml) {
                (b'&', true) => Escape::Text(b"&amp;"),
                (b'<', true) => Escape::Text(b"&lt;"),
                (b'>', true) => Escape::Text(b"&gt;"),
                (b'"', true) => Escape::Text(b"&quot;"),
                (b'\'', true) => Escape::Text(b"&apos;"),
                // A parser turns a plain CR into an LF.
                (b'\r', true) => Escape::Text(b"&#13;"),
                (b'\t' | b'\n', true) => return None,
                (..b' ', true) => Escape::Text(REPLACEMENT),
                // U+FFFE and U+FFFF.
                (0xEF, true) if matches!(text.get(place..)?, [0xEF, 0xBF, 0xBE | 0xBF, ..]) => Escape::NonCharacter,
                (b'"', false) => Escape::Text(b"\\\""),
                (b'\\', false) => Escape::Text(b"\\\\"),
                (byte @ ..b' ', false) => Escape::Code(byte),
                _ => return None,
            };
            Some((place, escape))
        })
    }
}

/// What is written for a character.
enum Escape {
    Text(&'static [u8]),
    /// A control character of JSON.
    Code(u8),
    /// A character that XML does not have, of three bytes.
    NonCharacter,
}

/// The length and the hash of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Identity {
    pub(super) length: u32,
    pub(super) hash: u32,
}
