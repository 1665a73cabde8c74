//! The answers, as trees of values.
use super::failure::AdminFailure;
use super::request::{AdminMethod, Request};
use super::tree::{Form, Identity, Key, Tree};
use crate::bytes::low_u32;
use crate::relay::StreamName;

/// The code of an answer that is no failure.
const SUCCESS: &str = "NetConnection.Call.Success";

/// Statistics of a server. A value that is `None` is not known, and the answers do not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AdminStats {
    /// The current time, in milliseconds since 1970.
    pub timestamp: Option<u64>,
    /// When the server was started, in milliseconds since 1970.
    pub launch_time: Option<u64>,
    /// The time since the server was started, in seconds.
    pub uptime: Option<u32>,
    /// Bytes that were received on all TCP connections since the server was started.
    pub bytes_in: Option<u64>,
    /// Bytes that were sent.
    pub bytes_out: Option<u64>,
    /// TCP connections that are open.
    pub connected: Option<u32>,
    /// TCP connections that were opened since the server was started.
    pub total_connects: Option<u32>,
    /// TCP connections that were closed since then.
    pub total_disconnects: Option<u32>,
    /// Players of all streams.
    pub players: Option<u32>,
}

/// A stream that is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AdminStream<'d> {
    /// The name that administrators see: the application, a slash, and the name within the application. It need not be UTF-8.
    pub name: &'d [u8],
    /// The publisher, if there is one now.
    pub publisher: Option<AdminPublisher>,
}

/// A publisher of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AdminPublisher {
    /// The client, and since when it publishes.
    pub client: AdminClient,
    /// The id of its message stream.
    pub stream_id: Option<u32>,
}

/// A client that publishes or plays a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AdminClient {
    /// An id that no other client has or had. [`AdminCall::CloseSession`](super::AdminCall::CloseSession) names it.
    pub id: u32,
    /// When the client began, in milliseconds since 1970.
    pub since: Option<u64>,
}

/// What the answers tell. The content must stay the same until an answer is written: see the [module](super).
pub trait AdminData {
    /// The statistics of the server.
    fn stats(&self) -> AdminStats;

    /// A stream that is published, by a number from 0 on. `None` after the last one.
    fn stream(&self, index: usize) -> Option<AdminStream<'_>>;

    /// A player of the stream with the number `stream`, by a number from 0 on. `None` after the last one.
    fn subscriber(&self, stream: usize, index: usize) -> Option<AdminClient>;
}

/// An answer that is being written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) result: Result<(), AdminFailure>,
    /// The time of the answer.
    timestamp: Option<u64>,
    /// What must be written again for each window.
    pub(super) identity: Identity,
    /// Of a call over RTMP: the transaction id.
    transaction: [u8; 8],
}

/// What one window has.
pub(super) struct Written {
    pub(super) stored: usize,
    /// The whole answer is the same as before.
    pub(super) is_same: bool,
}

impl Answer {
    pub(super) const NONE: Self =
        Self { result: Ok(()), timestamp: None, identity: Identity { length: 0, hash: 0 }, transaction: [0; 8] };

    /// Prepares an answer, whose length is known then.
    pub(super) fn new<const SIZE: usize>(
        result: Result<(), AdminFailure>,
        request: &Request<SIZE>,
        transaction: [u8; 8],
        data: &dyn AdminData,
    ) -> Self {
        let has_stream = request.method() != Some(AdminMethod::LiveStreamStats) || find_stream(request, data).is_some();
        let result = result.and(if has_stream { Ok(()) } else { Err(AdminFailure::Stream) });
        let mut answer = Self { result, timestamp: data.stats().timestamp, identity: Identity::default(), transaction };
        answer.identity = answer.tree(request, data, 0, &mut []).identity();
        answer
    }

    /// Writes the answer from byte `offset` on to `out`, as much as there is room for.
    pub(super) fn write<const SIZE: usize>(
        &self,
        request: &Request<SIZE>,
        data: &dyn AdminData,
        offset: u32,
        out: &mut [u8],
    ) -> Written {
        let tree = self.tree(request, data, offset, out);
        Written { stored: tree.stored(), is_same: tree.identity() == self.identity }
    }

    fn tree<'o, const SIZE: usize>(
        &self,
        request: &Request<SIZE>,
        data: &dyn AdminData,
        offset: u32,
        out: &'o mut [u8],
    ) -> Tree<'o> {
        let mut tree = Tree::new(request.form, offset, out);
        match request.form {
            Form::Xml => tree.put(b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"),
            Form::Json => {}
            Form::Amf0 => {
                tree.put(if self.result.is_ok() { b"\x02\0\x07_result\0" } else { b"\x02\0\x06_error\0" });
                tree.put(&self.transaction);
                tree.put(b"\x05");
            }
        }
        let stats = data.stats();
        tree.map(Key::Root, |tree| match self.result {
            Ok(()) => {
                tree.text(Key::Name("level"), b"status");
                tree.text(Key::Name("code"), SUCCESS.as_bytes());
                self.put_timestamp(tree);
                put_data(tree, request, data, &stats);
            }
            Err(failure) => {
                tree.text(Key::Name("level"), b"error");
                tree.text(Key::Name("code"), failure.code().as_bytes());
                tree.text_parts(Key::Name("description"), failure.description());
                self.put_timestamp(tree);
            }
        });
        if request.form == Form::Json {
            tree.put(b"\n");
        }
        tree
    }

    fn put_timestamp(&self, tree: &mut Tree<'_>) {
        date(tree, "timestamp", self.timestamp);
    }
}

fn number(tree: &mut Tree<'_>, name: &'static str, number: Option<u64>) {
    if let Some(number) = number {
        tree.number(Key::Name(name), number);
    }
}

fn date(tree: &mut Tree<'_>, name: &'static str, millis: Option<u64>) {
    if let Some(millis) = millis {
        tree.date(Key::Name(name), millis);
    }
}

/// The most streams, and the most players of a stream, that an answer has.
const MOST: usize = 0xFFFF;

fn streams(data: &dyn AdminData) -> impl Iterator<Item = (usize, AdminStream<'_>)> {
    (0..MOST).map_while(|index| Some((index, data.stream(index)?)))
}

fn put_data<const SIZE: usize>(tree: &mut Tree<'_>, request: &Request<SIZE>, data: &dyn AdminData, stats: &AdminStats) {
    let key = Key::Name("data");
    let connections = |tree: &mut Tree<'_>| {
        number(tree, "bytes_in", stats.bytes_in);
        number(tree, "bytes_out", stats.bytes_out);
        number(tree, "connected", stats.connected.map(u64::from));
        number(tree, "total_connects", stats.total_connects.map(u64::from));
        number(tree, "total_disconnects", stats.total_disconnects.map(u64::from));
    };
    match request.method() {
        Some(AdminMethod::ServerStats) => tree.map(key, |tree| {
            date(tree, "launchTime", stats.launch_time);
            number(tree, "uptime", stats.uptime.map(u64::from));
            tree.map(Key::Name("io"), connections);
            number(tree, "streams", u64::try_from(streams(data).count()).ok());
            number(tree, "players", stats.players.map(u64::from));
        }),
        Some(AdminMethod::ActiveVHostStats) => tree.map(key, |tree| {
            connections(tree);
            number(tree, "total_apps", u64::try_from(applications(data).count()).ok());
        }),
        Some(AdminMethod::Apps) => put_names(tree, key, || applications(data)),
        Some(AdminMethod::LiveStreams) => match request.app_inst() {
            None => put_names(tree, key, || streams(data).map(|(_, stream)| stream.name)),
            Some(app_inst) => put_names(tree, key, || {
                let names = streams(data).map(|(_, stream)| split(stream.name));
                names.filter(|(application, _)| is_application(app_inst, application)).map(|(_, name)| name)
            }),
        },
        Some(AdminMethod::LiveStreamStats) => {
            let Some((index, stream)) = find_stream(request, data) else { return };
            tree.map(key, |tree| put_stream(tree, index, &stream, data));
        }
        _ => tree.map(key, |_| {}),
    }
}

/// Writes a list of texts.
fn put_names<'d, I: Iterator<Item = &'d [u8]>>(tree: &mut Tree<'_>, key: Key, names: impl Fn() -> I) {
    tree.list(key, low_u32(names().count()), |tree| {
        for (name, index) in names().zip(0..u32::MAX) {
            tree.text(Key::Item(index), name);
        }
    });
}

fn put_stream(tree: &mut Tree<'_>, index: usize, stream: &AdminStream<'_>, data: &dyn AdminData) {
    if let Some(AdminPublisher { client, stream_id }) = stream.publisher {
        tree.map(Key::Name("publisher"), |tree| {
            let (_, name) = split(stream.name);
            tree.text(Key::Name("name"), name);
            date(tree, "time", client.since);
            tree.text(Key::Name("type"), b"publishing");
            tree.number(Key::Name("client"), client.id.into());
            number(tree, "stream_id", stream_id.map(u64::from));
            date(tree, "publish_time", client.since);
        });
    }
    let subscribers = || (0..MOST).map_while(|place| data.subscriber(index, place));
    tree.list(Key::Name("subscribers"), low_u32(subscribers().count()), |tree| {
        for (client, place) in subscribers().zip(0..u32::MAX) {
            tree.map(Key::Item(place), |tree| {
                tree.number(Key::Name("client"), client.id.into());
                date(tree, "subscribe_time", client.since);
            });
        }
    });
}

/// The applications of all streams, each once.
fn applications(data: &dyn AdminData) -> impl Iterator<Item = &[u8]> {
    streams(data).map(|(index, stream)| (index, split(stream.name).0)).filter_map(move |(index, application)| {
        let mut earlier = streams(data).take(index);
        let is_first = !earlier.any(|(_, stream)| split(stream.name).0 == application);
        (is_first && !application.is_empty()).then_some(application)
    })
}

/// The application and the name of a stream within it.
fn split(name: &[u8]) -> (&[u8], &[u8]) {
    let slash = name.iter().rposition(|byte| *byte == b'/');
    match slash.and_then(|slash| name.split_at_checked(slash)) {
        Some((application, rest)) => (application, rest.get(1..).unwrap_or_default()),
        None => (&[], name),
    }
}

/// Whether a parameter `appInst` names the application.
fn is_application(app_inst: &[u8], application: &[u8]) -> bool {
    let segments =
        app_inst.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty() && *segment != b"_definst_");
    segments.eq(application.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty()))
}

/// The stream that the parameters `appInst` and `stream` name.
fn find_stream<'d, const SIZE: usize>(
    request: &Request<SIZE>,
    data: &'d dyn AdminData,
) -> Option<(usize, AdminStream<'d>)> {
    let (app_inst, key) = (request.app_inst()?, request.stream()?);
    let is_exact = |name: &[u8]| {
        let (application, name) = split(name);
        is_application(app_inst, application) && name == key
    };
    let mut found = streams(data);
    found.find(|(_, stream)| is_exact(stream.name) || StreamName::new(app_inst, key).is(stream.name))
}
