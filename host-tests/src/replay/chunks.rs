//! The messages of a chunk stream as JSON.

use std::collections::HashMap;

use embedded_rtmp::chunk::{ChunkStreamId, Fragment, ReadError, Reader};
use embedded_rtmp::control::Control;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::values::{hex, values};

/// The number of chunk streams that a capture may use at the same time.
const STREAMS: usize = 64;

/// Payloads of commands, data and control messages that are longer than this are not decoded.
const MAX_COLLECTED: u32 = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Chunks {
    reader: Reader<STREAMS>,
    /// The state of incomplete messages. The reader bounds their number.
    open: HashMap<ChunkStreamId, Open>,
}

#[derive(Debug, Default)]
struct Open {
    hash: Sha256,
    collected: Vec<u8>,
}

impl Chunks {
    pub(super) fn feed(&mut self, mut bytes: &[u8], show: &mut dyn FnMut(Value)) -> Result<(), ReadError> {
        while let Some(fragment) = self.reader.next_fragment(&mut bytes)? {
            match take(&mut self.open, &fragment, show) {
                Some(Control::SetChunkSize(size)) => self.reader.set_chunk_size(size)?,
                Some(Control::Abort(csid)) => {
                    ChunkStreamId::new(csid).into_iter().for_each(|csid| self.reader.abort(csid))
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn is_at_boundary(&self) -> bool {
        self.reader.is_at_boundary()
    }
}

/// Appends a fragment to its message. Shows the message when it is complete, and returns it if it is a control message.
fn take(
    open: &mut HashMap<ChunkStreamId, Open>,
    fragment: &Fragment<'_>,
    show: &mut dyn FnMut(Value),
) -> Option<Control> {
    let header = fragment.header;
    if fragment.is_first() {
        open.insert(fragment.csid, Open::default());
    }
    let message = open.entry(fragment.csid).or_default();
    message.hash.update(fragment.data);
    let is_small = header.kind.is_control() || header.kind.is_command() || header.kind.is_data();
    let is_collected = is_small && header.length <= MAX_COLLECTED;
    if is_collected {
        message.collected.extend_from_slice(fragment.data);
    }
    if !fragment.is_last() {
        return None;
    }
    let Open { hash, collected } = open.remove(&fragment.csid).unwrap_or_default();
    let mut shown = json!({
        "csid": fragment.csid.value(), "msid": header.stream.0, "type": header.kind.0, "timestamp": header.timestamp.0,
        "length": header.length, "sha256": hex(&hash.finalize()),
    });
    if is_collected && let Some(values) = values(header.kind, &collected) {
        shown["values"] = Value::Array(values.values);
        if let Some(error) = values.error {
            shown["values_error"] = Value::from(error.to_string());
        }
    }
    show(shown);
    Control::parse(header.kind, &collected)
}
