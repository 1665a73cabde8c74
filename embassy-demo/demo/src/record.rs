//! The server device: records what is published to it.

use embedded_rtmp_embassy::embedded_rtmp::command::SET_DATA_FRAME;
use std::collections::BTreeMap;
use std::io::{self, Write};

use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::message::StreamId;
use embedded_rtmp_embassy::embedded_rtmp::relay::StreamName;
use embedded_rtmp_embassy::{Error, Handler, Rejection, SessionId};

use super::flv::{self, SCRIPT, Tag};
use super::wire::Random;

/// Records every stream into a file of its own.
pub struct Recorder<Open> {
    /// Opens the file for a stream.
    open: Open,
    recordings: BTreeMap<SessionId, Recording>,
    random: Random,
    /// The last session that had something to record.
    pub recorded: Option<SessionId>,
    /// Messages that were recorded.
    pub messages: u32,
    /// The first error of a file.
    pub error: Option<io::Error>,
    /// How each session ended.
    pub ended: Vec<(SessionId, Error)>,
}

struct Recording {
    out: Box<dyn Write>,
    /// Incomplete messages, by chunk stream.
    open: BTreeMap<u32, Vec<u8>>,
}

impl<Open: FnMut(SessionId, &str) -> io::Result<Box<dyn Write>>> Recorder<Open> {
    /// A recorder that writes each stream to the file that `open` returns for its session and key.
    pub fn new(open: Open) -> Self {
        let random = Random(0x1234_5678_9ABC_DEF1);
        Self { open, recordings: BTreeMap::new(), random, recorded: None, messages: 0, error: None, ended: Vec::new() }
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }
}

impl Recording {
    /// Records a fragment of a message. Returns whether it was the last one.
    fn push(&mut self, fragment: &Fragment<'_>) -> io::Result<bool> {
        let message = self.open.entry(fragment.csid.value()).or_default();
        if fragment.offset == 0 {
            message.clear();
        }
        message.extend_from_slice(fragment.data);
        if !fragment.is_last() {
            return Ok(false);
        }
        let (header, mut data) = (fragment.header, &message[..]);
        if header.kind == SCRIPT {
            data = data.strip_prefix(SET_DATA_FRAME).unwrap_or(data);
        }
        flv::write_tag(&mut self.out, Tag { kind: header.kind, timestamp: header.timestamp, data })?;
        Ok(true)
    }
}

impl<Open: FnMut(SessionId, &str) -> io::Result<Box<dyn Write>>> Handler for Recorder<Open> {
    fn entropy(&mut self) -> [u8; 32] {
        self.random.bytes()
    }

    fn publish(
        &mut self,
        session: SessionId,
        _stream: StreamId,
        _: StreamName<'_>,
        key: Text<'_>,
    ) -> Result<(), Rejection<'_>> {
        if self.recordings.contains_key(&session) {
            return Err("One stream for each connection.".into());
        }
        let opened = (self.open)(session, key.to_str().unwrap_or("?")).and_then(|mut out| {
            flv::write_header(&mut out)?;
            Ok(out)
        });
        match opened {
            Ok(out) => {
                self.recorded = Some(session);
                self.recordings.insert(session, Recording { out, open: BTreeMap::new() });
                Ok(())
            }
            Err(error) => {
                self.note(Err(error));
                Err("The recording cannot be written.".into())
            }
        }
    }

    fn media(&mut self, session: SessionId, fragment: &Fragment<'_>) {
        let Some(recording) = self.recordings.get_mut(&session) else { return };
        match recording.push(fragment) {
            Ok(whole) => self.messages += u32::from(whole),
            Err(error) => self.note(Err(error)),
        }
    }

    fn unpublished(&mut self, session: SessionId, _stream: StreamId) {
        if let Some(mut recording) = self.recordings.remove(&session) {
            let flushed = recording.out.flush();
            self.note(flushed);
        }
    }

    fn closed(&mut self, session: SessionId, why: &Error) {
        self.unpublished(session, StreamId::CONNECTION);
        self.ended.push((session, *why));
    }
}
