//! Accepts publishers over RTMP, relays their streams to players, and records them.

use std::cell::Cell;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use embedded_rtmp::auth::MAX_USER;
use embedded_rtmp::handshake::Versions;
use embedded_rtmp::relay::{RelayConfig, TakeOver};
use embedded_rtmp::session::ServerConfig;
use embedded_rtmp::url::Url;
use host_tests::arguments::{self, ask_flag, status_line, stop_flag};
use host_tests::browser;
use host_tests::net::{TlsServer, read_password};
use host_tests::serve::{AdminOptions, Controls, Event, Listeners, Network, Options, User, WebOptions};
use indicatif::ProgressBar;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

/// Shown after the options.
const EXAMPLES: &str = "Examples:
  serve --listen 127.0.0.1:1935 --open
      Only for this machine: publish to rtmp://127.0.0.1/live/x, and see the stream in the browser
  serve --listen 0.0.0.0:1935,0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem
      Accepts RTMP, RTMPT and, inside TLS, RTMPS and RTMPTS on both ports
  serve --user cam --password-file password.txt --record recordings --json --quiet
      Records what clients with the password publish, and prints what happens as JSON, one object on each line";

/// Accepts publishers over RTMP, relays their streams to players, and records each to DIR/APP-KEY.flv, until Ctrl-C.
///
/// A player gets the stream from the last keyframe on. If that is not stored any longer, it gets audio at once, and video
/// from the next keyframe on, or after 3 s. A player that is too slow loses frames until a keyframe. A player that stops
/// reading within a frame is disconnected. Neither the publisher nor other players wait for a slow player.
///
/// If a publisher leaves, its recording ends, and its players wait for the next publisher (--grace).
///
/// A client is disconnected if its handshake, or after that its connect command, takes more than 10 s (--handshake-timeout). It is also
/// disconnected if it is silent inside a message for 10 s, if it neither publishes nor plays for 30 s, if it does not answer
/// pings (--idle), or if it publishes and sends no media (--media-timeout).
///
/// Browsers and other programs play a stream over HTTP at the same ports: http://HOST:PORT/ is a page with the streams and
/// their status, http://HOST:PORT/APP/KEY.flv and .mp4 are a stream, over HTTP or WebSocket, and http://HOST:PORT/status.json is
/// the status as JSON. Connections between loopback addresses can use this. Others can with --web, and the page lists no
/// streams for them: the URL is http://HOST:PORT/#APP/KEY.
///
/// A file's name has only the letters, digits, '.', '_' and '-' of the stream's name, without queries. An existing file is
/// never overwritten: the next one is APP-KEY-2.flv. A recording without audio and video is removed. Ends with status 0
/// after Ctrl-C, when all recordings are complete. Ends with status 2 if the server can listen on none of the addresses, or
/// the directory cannot be made.
#[derive(Parser)]
#[command(
    version,
    after_help = EXAMPLES
)]
struct Arguments {
    /// The addresses to listen on: HOST:PORT, separated by commas
    #[arg(long, value_name = "ADDR", value_delimiter = ',', default_value = "0.0.0.0:1935")]
    listen: Vec<String>,
    /// The directory for recordings; without it, nothing is recorded
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Record timestamps and metadata unchanged. Without it, a recording begins at 0, a jump of the timestamps by more than
    /// 10 s is removed, and the metadata has the duration and the length of the file
    #[arg(long)]
    keep_timestamps: bool,
    /// The bytes of each stream that are stored for players; a slow player may be half of this behind
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20, value_parser = clap::value_parser!(u32).range(1024..=1 << 30))]
    ring: u32,
    /// The size of the chunks that are sent; some clients also use it for their own chunks
    #[arg(long, value_name = "BYTES", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(128..=0xFF_FFFF))]
    chunk_size: u32,
    /// How long a client may be silent; after half of this time it gets a ping
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    idle: u64,
    /// What happens if a second client publishes a stream that has a publisher; players stay if it takes over
    #[arg(long, value_name = "POLICY", value_enum, default_value_t = Second::WhenSilent)]
    take_over: Second,
    /// How long the players of a stream wait for its next publisher before they are told that it has ended
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    grace: u64,
    /// How long a handshake may take, and then the connect command; 0 means no limit
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    handshake_timeout: u64,
    /// How long a publisher may send no media; 0 means no limit
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    media_timeout: u64,
    /// The most connections at a time; for a new one, the server closes one that neither publishes nor plays, or refuses the
    /// new one if there is none
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: u32,
    /// The most connections at a time from one address (IPv6: from the first 64 bits); default: half of --max-connections
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_per_address: Option<u32>,
    /// The memory that the process may have, in MB. A published stream needs --ring and 200 KB. A connection needs up to
    /// 220 KB, and up to 96 KB more with TLS. A recorded publisher also needs memory for its incomplete messages, up to 20 MB
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(32..=1 << 20))]
    memory: u32,
    /// The networks of load balancers (HAProxy, AWS NLB), separated by commas. A connection from there must begin with a
    /// header of the PROXY protocol, version 1 or 2. No other connection may begin with one
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    proxy_protocol: Vec<Network>,
    /// Accept only clients that know this user's password, for publishing and for playing. The server asks for it in
    /// the same way as Adobe's servers. After 5 wrong passwords, an address must wait for 1 s. Each further one doubles
    /// the wait, up to 60 s
    #[arg(long, value_name = "NAME", requires = "password_file", value_parser = user_name)]
    user: Option<String>,
    /// A file with the password. A line end after the password is ignored
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// A PEM file with the certificate of this server, followed by the certificates of intermediate authorities.
    /// Clients can then use TLS (rtmps and rtmpts) on every address, in addition to RTMP and HTTP. A client must trust
    /// the certificate
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of the certificate in a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The most key agreements per second with clients of RTMPE. Other clients of RTMPE wait
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    key_agreements: u32,
    /// The URL of an application at another server. When this server stops (Ctrl-C or SIGTERM), and at each SIGUSR1, it
    /// asks the clients that publish or play to connect there, if they handle such requests (Enhanced RTMP). While it
    /// stops, it redirects new clients there. Without this option, SIGUSR1 asks the clients to connect to the same URL
    #[arg(long, value_name = "URL", value_parser = application)]
    reconnect_to: Option<String>,
    /// How long a server that stops waits until the clients that it has asked have left; 0 means that it stops at once and
    /// asks nobody. Default: 10 with --reconnect-to, otherwise 0. Without --reconnect-to, the server listens no longer
    /// while it waits
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=3600))]
    drain: Option<u64>,
    /// Let all clients use the page and the streams over HTTP, and not only those that connect from this machine
    #[arg(long)]
    web: bool,
    /// The names by which browsers reach this server, separated by commas. Addresses and localhost are always accepted. A
    /// request for another name is refused, because a page of that name could read the answer (DNS rebinding)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    web_name: Vec<String>,
    /// The origins of other sites whose pages may play streams and read the status, separated by commas, such as
    /// `https://example.com`; * means all
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    web_origin: Vec<String>,
    /// Offer administration over HTTP and RTMP at this address: HOST:PORT, or PORT for 127.0.0.1. Without a value, it is
    /// 127.0.0.1:1111. It has its own user and password, and its connections can neither publish nor play. Methods, as in
    /// http://127.0.0.1:1111/admin/getLiveStreams: ping, getServerStats, getActiveVHostStats, getApps, getLiveStreams and
    /// getLiveStreamStats of Adobe's servers; with POST, also x/closeSession?id= and x/restartListeners
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "1111", requires = "admin_user")]
    admin: Option<String>,
    /// The user for administration
    #[arg(long, value_name = "NAME", requires_all = ["admin", "admin_password_file"])]
    admin_user: Option<String>,
    /// A file with the password for administration. After 5 wrong passwords, an address must wait, as for --password-file
    #[arg(long, value_name = "FILE", requires = "admin_user")]
    admin_password_file: Option<PathBuf>,
    /// The HTTP server, as host and port, that gets the requests which are neither for RTMPT nor for the page or a stream
    /// here. The first request decides about its connection. Without this option, such requests get 404
    #[arg(long, value_name = "HOST:PORT", value_parser = addresses)]
    http_handover: Option<Addresses>,
    /// Open the page in the browser when the server listens. The variable BROWSER may name the browser. The page must be on
    /// for one of the addresses: a loopback address, all addresses, or any address with --web
    #[arg(long)]
    open: bool,
    /// Print only errors
    #[arg(short, long)]
    quiet: bool,
    /// Print each event as a JSON object on a line of standard output. Its field `event` is listening, published,
    /// unpublished, recorded, playing, played, refused, error, administered, asked_to_reconnect or, at the end, stopped.
    /// `time` is in ms since 1970. The streams have their public names, as in /status.json; tokens and passwords never
    /// appear. The server waits for the reader of a pipe that is full
    #[arg(long)]
    json: bool,
}

/// What happens if a second client publishes a stream that has a publisher.
#[derive(Clone, Copy, ValueEnum)]
enum Second {
    /// It is refused
    Refuse,
    /// It takes over at once
    Always,
    /// It waits for up to 2 s, and takes over if the first one sends nothing
    WhenSilent,
}

/// Parses the name of a user that a client can send.
fn user_name(text: &str) -> Result<String> {
    ensure!((1..=MAX_USER).contains(&text.len()), "the name of a user must have 1 to {} bytes", MAX_USER);
    let is_wrong = |byte: u8| matches!(byte, b'&' | b'?' | ..=b' ' | 0x7F);
    ensure!(!text.bytes().any(is_wrong), "the name of a user must not contain '&', '?' or spaces");
    Ok(text.to_owned())
}

/// The options of administration.
fn admin_options(arguments: &Arguments) -> Result<Option<AdminOptions>> {
    let (Some(address), Some(name), Some(file)) =
        (&arguments.admin, &arguments.admin_user, &arguments.admin_password_file)
    else {
        return Ok(None);
    };
    ensure!(!name.is_empty(), "--admin-user is empty");
    let address = if address.parse::<u16>().is_ok() { format!("127.0.0.1:{address}") } else { address.clone() };
    Ok(Some(AdminOptions { address, user: User { name: name.clone(), password: read_password(file)? } }))
}

/// Parses the URL of an application.
fn application(text: &str) -> Result<String> {
    let url = Url::parse(text).context("it is no RTMP URL")?;
    ensure!(url.user().is_none(), "a user and a password must not be in it");
    Ok(text.to_owned())
}

fn main() -> ExitCode {
    run(&Arguments::parse()).unwrap_or_else(|error| arguments::failed("serve", 2, &error))
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let controls = Controls { stop: stop_flag()?, ask: ask_flag()? };
    raise_file_limit();
    if let Some(directory) = &arguments.record {
        std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    let tls = arguments.tls_cert.as_ref().zip(arguments.tls_key.as_ref());
    let tls = tls.map(|(certificate, key)| TlsServer::load(certificate, key));
    let (mut listeners, failed) = Listeners::bind(&arguments.listen)?;
    for (address, error) in &failed {
        eprintln!("serve: cannot listen on {address}: {error}");
    }
    let addresses = listeners.addresses();
    if addresses.is_empty() {
        eprintln!("serve: there is no address to listen on");
        return Ok(ExitCode::from(2));
    }
    let admin = admin_options(arguments)?;
    let admin_address = admin.as_ref().map(|admin| {
        listeners.listen_for_admin(&admin.address).with_context(|| format!("administration: {}", admin.address))
    });
    let admin_address = admin_address.transpose()?;
    let pages = addresses.iter().filter_map(|address| web_address(*address, arguments.web));
    let pages: Vec<_> = pages.map(|address| format!("http://{address}/")).collect();
    if arguments.open {
        ensure!(
            !pages.is_empty(),
            "--open: the page is on for none of the addresses: add --web, or listen on a loopback address"
        );
    }
    let mut config = ServerConfig::new();
    (config.chunk_size, config.idle_timeout) = (arguments.chunk_size, Some(Duration::from_secs(arguments.idle)));
    config.handshake = Versions::Rtmpe;
    config.connect_timeout = Some(Duration::from_secs(arguments.handshake_timeout)).filter(|limit| !limit.is_zero());
    config.media_timeout = Some(Duration::from_secs(arguments.media_timeout)).filter(|limit| !limit.is_zero());
    let mut relay = RelayConfig::new();
    relay.take_over = match arguments.take_over {
        Second::Refuse => TakeOver::Refuse,
        Second::Always => TakeOver::Always,
        Second::WhenSilent => TakeOver::WhenSilent,
    };
    relay.grace = Duration::from_secs(arguments.grace);
    let user = match (&arguments.user, &arguments.password_file) {
        (Some(name), Some(file)) => Some(User { name: name.clone(), password: read_password(file)? }),
        _ => None,
    };
    let options = Options {
        directory: arguments.record.clone(),
        keeps_timestamps: arguments.keep_timestamps,
        ring: arguments.ring as usize,
        max_connections: arguments.max_connections as usize,
        max_per_address: arguments.max_per_address.unwrap_or(arguments.max_connections.div_ceil(2)) as usize,
        memory: (arguments.memory as usize) << 20,
        proxies: arguments.proxy_protocol.clone(),
        user,
        admin,
        tls: tls.transpose()?,
        config,
        agreement_interval: Duration::from_secs(1) / arguments.key_agreements,
        relay,
        reconnect_to: arguments.reconnect_to.clone(),
        handover: arguments.http_handover.clone().map_or_else(Vec::new, |Addresses(addresses)| addresses),
        web: WebOptions {
            is_public: arguments.web,
            names: arguments.web_name.clone(),
            origins: arguments.web_origin.clone(),
        },
        drain: Duration::from_secs(arguments.drain.unwrap_or(if arguments.reconnect_to.is_some() { 10 } else { 0 })),
    };
    let teller =
        Teller { quiet: arguments.quiet, has_json: Cell::new(arguments.json), line: status_line(arguments.quiet) };
    teller.print(json!({
        "event": "listening",
        "addresses": addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "failed": failed.iter()
            .map(|(address, error)| json!({"address": address, "error": error.to_string()})).collect::<Vec<_>>(),
        "web": pages,
        "admin": admin_address.map(|address| format!("http://{address}/admin/")),
    }));
    for address in &addresses {
        teller.say(&format!("listening on {address}"), false);
    }
    for page in &pages {
        teller.say(&format!("the page is at {page}"), false);
    }
    if let Some(address) = admin_address {
        teller.say(&format!("administration at http://{address}/admin/ and rtmp://{address}/admin"), false);
    }
    let mut opening = pages.first().filter(|_| arguments.open).and_then(|page| {
        let opened = browser::open(page, std::env::var("BROWSER").ok().as_deref());
        opened.map_err(|error| teller.tell(&Event::Failed(error.to_string()))).ok()
    });
    let served = listeners.serve(&options, &controls, &mut |event| teller.tell(&event), &mut |load| {
        teller.show(load.to_string());
        if let Some(result) = opening.as_mut().and_then(browser::Opening::try_finish) {
            opening = None;
            result.unwrap_or_else(|error| teller.tell(&Event::Failed(error.to_string())));
        }
    });
    teller.line.finish_and_clear();
    teller.print(json!({"event": "stopped", "error": served.as_ref().err().map(ToString::to_string)}));
    Ok(served.map_or_else(|error| arguments::failed("serve", 1, &error.into()), |()| ExitCode::SUCCESS))
}

/// The addresses of a host, with a port.
#[derive(Debug, Clone)]
struct Addresses(Vec<SocketAddr>);

fn addresses(text: &str) -> Result<Addresses, String> {
    let addresses: Vec<_> = text.to_socket_addrs().map_err(|error| error.to_string())?.collect();
    if addresses.is_empty() { Err("the host has no address".to_owned()) } else { Ok(Addresses(addresses)) }
}

/// The address of the page, if the web is on for a listener.
fn web_address(address: SocketAddr, is_public: bool) -> Option<SocketAddr> {
    let loopback = match address.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    let ip = if address.ip().is_unspecified() { loopback } else { address.ip() };
    (is_public || ip.is_loopback()).then_some(SocketAddr::new(ip, address.port()))
}

/// Raises the limit of open files to the highest value that the system allows.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // If this fails, fewer connections are accepted.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Prints events: text on standard error, JSON on standard output, and what the server does on the status line.
struct Teller {
    quiet: bool,
    /// Whether JSON is printed. It is not any longer after standard output was closed.
    has_json: Cell<bool>,
    line: ProgressBar,
}

impl Teller {
    fn tell(&self, event: &Event) {
        if let Some(text) = event.text() {
            self.say(&text, event.is_error());
        }
        self.print(event.to_json());
    }

    fn say(&self, text: &str, is_error: bool) {
        if !self.quiet || is_error {
            // The server does not stop if standard error is closed.
            let _ = self.line.suspend(|| writeln!(io::stderr(), "serve: {text}"));
        }
    }

    /// Prints an event as JSON.
    fn print(&self, mut event: Value) {
        if !self.has_json.get() {
            return;
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        event["time"] = u64::try_from(now.as_millis()).ok().into();
        if let Err(error) = self.line.suspend(|| writeln!(io::stdout(), "{}", escaped(&event))) {
            self.has_json.set(false);
            self.say(&format!("events are not printed any longer: standard output: {error}"), true);
        }
    }

    /// Changes the status line.
    fn show(&self, text: String) {
        if self.line.message() != text {
            self.line.set_message(text);
        }
    }
}

/// The text of a JSON value. All control characters in it are escaped, also those that JSON allows (U+007F to U+009F), because
/// some terminals obey them.
fn escaped(event: &Value) -> String {
    let escape = |char: char| if char.is_control() { format!("\\u{:04x}", u32::from(char)) } else { char.to_string() };
    event.to_string().chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_in_the_help_are_valid() {
        let examples = EXAMPLES.lines().filter(|line| line.starts_with("  serve "));
        let parsed: Vec<_> = examples.map(|line| Arguments::try_parse_from(line.split_whitespace()).unwrap()).collect();
        assert_eq!(parsed.iter().map(|example| example.open).collect::<Vec<_>>(), [true, false, false]);
    }

    #[test]
    fn item_362_an_event_cannot_control_the_terminal() {
        let event = json!({"stream": "live/\u{9b}2J\u{1b}[2J\u{7f}\n\u{e9}"});
        assert_eq!(
            escaped(&event),
            r#"{"stream":"live/\u009b2J\u001b[2J\u007f\n\u00e9"}"#.replace("\\u00e9", "\u{e9}")
        );
        assert_eq!(serde_json::from_str::<Value>(&escaped(&event)).unwrap(), event);
    }
}
