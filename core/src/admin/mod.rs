//! Administration of a server over HTTP and RTMP, usually on port 1111; feature `admin`.
//!
//! The methods, their parameters and the form of the answers are those of the Administration API of Flash Media Server and
//! Adobe Media Server. Methods with `x/` are our own, because Adobe's have no equivalent.
//!
//! | Method | Parameters | `data` of the answer |
//! |---|---|---|
//! | `ping` | | empty |
//! | `getServerStats` | | `launchTime`, `uptime`, `io` with `bytes_in`, `bytes_out`, `connected`, `total_connects` and `total_disconnects`; ours: `streams`, `players` |
//! | `getActiveVHostStats` | | `bytes_in`, `bytes_out`, `total_connects`, `total_disconnects`, `connected`, `total_apps`, of the one virtual host |
//! | `getApps` | | a list of the applications that have a stream |
//! | `getLiveStreams` | `appInst`, which may be missing | a list of the names of streams; without `appInst`, of all applications, each with its application |
//! | `getLiveStreamStats` | `appInst`, `stream` | `publisher` with `name`, `type`, `client`, `stream_id`, `publish_time` and `time`; `subscribers`, a list of `client` and `subscribe_time` |
//! | `x/closeSession` | `id`, a `client` of `getLiveStreamStats` | empty |
//! | `x/restartListeners` | | empty |
//!
//! A property whose value the server does not know is missing ([`AdminStats`]). Times are in UTC. Bytes are those of TCP
//! connections, with all overhead. An application is the name of a stream without its last part. `appInst` may end in
//! `/_definst_`.
//!
//! # Over HTTP
//! An [`AdminConnection`] is one TCP connection. A request is `GET /admin/METHOD?auser=USER&apswd=PASSWORD&…`. `HEAD` and
//! `POST` are accepted as well, and the parameters may be in the body of a `POST`, as those of a form. The user and the
//! password may be in a field `Authorization: Basic` instead. Our own methods must be a `POST`, as in
//! `POST /admin/x/closeSession?id=7`. A request of a page of another site is refused (`Origin` must name the same host as
//! `Host`).
//!
//! The answer is XML. It is JSON if a parameter is `format=json`, or if `Accept` names `application/json` and no XML. The
//! answers of our own methods are always JSON.
//!
//! ```text
//! <?xml version="1.0" encoding="utf-8"?>
//! <result><level>status</level><code>NetConnection.Call.Success</code>
//! <timestamp>Sun 23 Sep 2007 06:16:40 PM UTC</timestamp><data><_0>live/camera</_0></data></result>
//!
//! {"level":"status","code":"NetConnection.Call.Success","timestamp":"2007-09-23T18:16:40Z","data":["live/camera"]}
//!
//! {"level":"error","code":"NetConnection.Connect.Rejected","description":"wrong user or password"}
//! ```
//!
//! (The XML is one line.) The status of HTTP of a failure is that of [`AdminFailure`].
//!
//! # Over RTMP
//! An [`AdminSession`] is one RTMP session. The client connects to the application `admin`, with the user and the password
//! as arguments of `connect`. It calls the methods of Adobe with their parameters as arguments, and gets an object with
//! `level`, `code`, `timestamp` and `data`, or `level`, `code`, `description` and `timestamp`. It cannot publish or play.
//! Several calls may wait. They are answered one after another.
//!
//! # The loop of a server
//! Both have the same events. [`AdminAccess`] decides about users and passwords.
//!
//! ```
//! use embedded_rtmp::admin::*;
//! use embedded_rtmp::time::Instant;
//!
//! struct Server;
//! impl AdminData for Server {
//!     fn stats(&self) -> AdminStats {
//!         AdminStats { uptime: Some(5), ..AdminStats::default() }
//!     }
//!     fn stream(&self, index: usize) -> Option<AdminStream<'_>> {
//!         (index == 0).then_some(AdminStream { name: b"live/camera", publisher: None })
//!     }
//!     fn subscriber(&self, _stream: usize, _index: usize) -> Option<AdminClient> {
//!         None
//!     }
//! }
//! # let now = Instant::from_millis(1);
//!
//! let mut access = AdminAccess::<16>::new("admin", "secret");
//! let mut connection = AdminConnection::<512>::new(now);
//! # let mut input = &b"GET /admin/getLiveStreams HTTP/1.0\r\nAuthorization: Basic YWRtaW46c2VjcmV0\r\n\r\n"[..];
//! # let address = [0; 16]; // of the client
//! while let Some(event) = connection.next_event(now, &mut input) {
//!     match event {
//!         AdminEvent::Login(credentials) => match access.check(now, address, credentials) {
//!             Ok(()) => connection.accept_login(),
//!             Err(failure) => connection.reject(now, failure),
//!         },
//!         AdminEvent::Call(AdminCall::Query(_)) => connection.answer(now, Ok(())),
//!         // This server has no other methods.
//!         _ => connection.answer(now, Err(AdminFailure::Failed)),
//!     }
//! }
//! let mut out = [0; 1024];
//! let length = connection.poll_transmit(now, &mut out, &Server);
//! assert!(out[..length].ends_with(b"<data><_0>live/camera</_0></data></result>"));
//! ```
//!
//! # Answers of any length
//! Nothing of an answer is stored. It is written again for each window of the output, so [`AdminData`] must have the same
//! content until the whole answer is written: take a snapshot when a call arrives. If the content changes, the connection
//! ends, because the rest would not fit to the part that was sent.
//!
//! # Security
//! The password is sent as it is. Use this on a network that you trust, or inside of TLS. Do not offer it in a tunnel
//! (RTMPT). Types that contain a user, a password or a URL omit them in `Debug` and in logs.

mod access;
mod answer;
mod connection;
mod date;
mod failure;
mod request;
mod session;
mod tree;

pub use access::{AdminAccess, AdminCredentials};
pub use answer::{AdminClient, AdminData, AdminPublisher, AdminStats, AdminStream};
pub use connection::AdminConnection;
pub use failure::AdminFailure;
pub use request::{AdminCall, AdminEvent, AdminMethod};
pub use session::AdminSession;

#[cfg(test)]
mod tests;
