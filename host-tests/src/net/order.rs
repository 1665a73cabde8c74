//! The options for the order of targets: `--order` and others.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use embedded_rtmp::port_plan::{Allowed, Limits, MAX_TARGETS, NET_CONNECTION, Order, PLAYER, Target, Transport};
use embedded_rtmp::url::{Scheme, Url};

/// The default number of attempts at the same time.
const AT_ONCE: u8 = 4;

/// The order in which a tool tries targets. If the URL has a port, only that is tried.
#[derive(Debug, Clone, Default, Args)]
pub struct OrderArguments {
    /// The targets to try if the URL has no port: player (1935, 80, RTMPT on 80) or netconnection (1935, 80, 443), each
    /// after the previous one has failed; smart (all of these, each 100 ms after the previous one); or a list, such as
    /// 1935,80,rtmpt:80,rtmps:443. An rtmps URL is tried only with TLS. An rtmpe URL is tried without encryption only
    /// if the list contains both
    #[arg(long, value_name = "ORDER", default_value = "smart")]
    order: Named,
    /// Additional transports that smart tries: rtmps (on 443; the server must be trusted), rtmpe, or both, separated by
    /// commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_enum)]
    allow: Vec<Extra>,
    /// The delay between one target of a list and the next
    #[arg(long, value_name = "MS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=100))]
    stagger: u64,
    /// The most targets that are tried at the same time
    #[arg(long, value_name = "COUNT", default_value_t = AT_ONCE, value_parser = clap::value_parser!(u8).range(1..=8))]
    sockets: u8,
}

/// The transports that the default order can have in addition to RTMP and RTMPT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Extra {
    Rtmpe,
    Rtmps,
}

/// The targets, and how they are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// First to last.
    pub targets: Vec<Target>,
    /// The time limits and the overlap.
    pub limits: Limits,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Named {
    Player,
    NetConnection,
    #[default]
    Smart,
    List(Vec<Target>),
}

impl OrderArguments {
    /// Checks that the scheme of a URL permits the list, if there is one.
    ///
    /// # Errors
    /// The URL has no port, and its scheme does not permit the list.
    pub fn check(&self, url: &Url<'_>) -> Result<()> {
        let is_list = matches!(self.order, Named::List(_)) && url.port().is_none();
        let (list, scheme) = (self.list().0, url.scheme());
        ensure!(
            !is_list || Order::for_url_or(url, list).targets() == list,
            "the --order does not suit an {scheme} URL"
        );
        Ok(())
    }

    /// Returns the targets for the server of a URL.
    pub fn for_url(&self, url: &Url<'_>) -> Way {
        let (list, limits) = self.list();
        Way { targets: Order::for_url_or(url, list).targets().to_vec(), limits }
    }

    fn allowed(&self) -> Allowed {
        Allowed { rtmpe: self.allow.contains(&Extra::Rtmpe), rtmps: self.allow.contains(&Extra::Rtmps) }
    }

    fn list(&self) -> (&[Target], Limits) {
        let stagger = Duration::from_millis(self.stagger);
        match &self.order {
            Named::Player => (PLAYER, Limits::SEQUENTIAL),
            Named::NetConnection => (NET_CONNECTION, Limits::SEQUENTIAL),
            Named::Smart => (self.allowed().default_order(), Limits::smart(self.sockets)),
            Named::List(targets) => (targets, Limits::staggered(stagger, self.sockets)),
        }
    }
}

impl FromStr for Named {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "player" => Self::Player,
            "netconnection" => Self::NetConnection,
            "smart" => Self::Smart,
            list => Self::List(targets(list)?),
        })
    }
}

/// The schemes, each of which can be written before a port.
const SCHEMES: [Scheme; 6] =
    [Scheme::Rtmp, Scheme::Rtmps, Scheme::Rtmpt, Scheme::Rtmpe, Scheme::Rtmpte, Scheme::Rtmpts];

/// Returns the transport with the name of a scheme, in lower case.
pub fn transport(name: &str) -> Option<Transport> {
    SCHEMES.into_iter().find(|scheme| scheme.as_str() == name).map(Transport::of)
}

/// Parses the targets of a list: ports, separated by commas. A port stands for RTMP, unless a scheme and a colon are
/// written before it.
///
/// # Errors
/// A port is invalid or is listed twice, or there are too many.
pub fn targets(list: &str) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for text in list.split(',') {
        let (name, port) = text.split_once(':').unwrap_or(("rtmp", text));
        let port = port.parse().ok().filter(|port| *port != 0);
        let target = transport(name).zip(port).map(|(transport, port)| Target::new(transport, port));
        let target = target.with_context(|| format!("'{text}' is no port"))?;
        ensure!(!targets.contains(&target), "{target} is named twice");
        targets.push(target);
    }
    ensure!(targets.len() <= MAX_TARGETS, "more than {MAX_TARGETS} targets");
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_ports_and_tunnels() {
        assert_eq!(targets("1935,rtmp:80,rtmpt:80").unwrap(), PLAYER);
        assert_eq!(targets("rtmps:443,rtmpe:1").unwrap(), [Target::rtmps(443), Target::rtmpe(1)]);
        for (list, why) in [
            ("", "'' is no port"),
            ("80,", "'' is no port"),
            ("0", "'0' is no port"),
            ("65536", "'65536' is no port"),
            ("http:443", "'http:443' is no port"),
            ("rtmps:", "'rtmps:' is no port"),
            ("80,rtmpt:80,80", "RTMP 80 is named twice"),
            ("1,2,3,4,5,6,7,8,9", "more than 8 targets"),
        ] {
            assert_eq!(targets(list).unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn item_092_a_port_in_the_url_is_above_every_order() {
        for order in ["player", "netconnection", "smart", "8080,7070"] {
            let arguments =
                OrderArguments { order: order.parse().unwrap(), allow: Vec::new(), stagger: 30, sockets: 4 };
            let url = Url::parse("rtmp://h:8000/app").unwrap();
            assert_eq!(arguments.for_url(&url).targets, [Target::rtmp(8000)]);
            let url = Url::parse("rtmp://h/app").unwrap();
            let Way { targets, limits } = arguments.for_url(&url);
            assert_eq!(
                targets.len(),
                match order {
                    "smart" => 4,
                    "8080,7070" => 2,
                    _ => 3,
                }
            );
            assert_eq!(limits.max_at_once, if targets.len() == 3 { 1 } else { 4 });
        }
    }

    #[test]
    fn item_221_a_list_that_the_scheme_does_not_permit_is_refused() {
        let arguments =
            |order: &str| OrderArguments { order: order.parse().unwrap(), allow: Vec::new(), stagger: 30, sockets: 4 };
        let found = |order, url| {
            let (arguments, url) = (arguments(order), Url::parse(url).unwrap());
            arguments.check(&url).map(|()| arguments.for_url(&url).targets)
        };
        for order in ["smart", "player", "rtmps:443"] {
            assert_eq!(found(order, "rtmps://h/app").unwrap(), [Target::rtmps(443)]);
        }
        assert_eq!(found("rtmps:443,rtmps:8443", "rtmps://h/app").unwrap().len(), 2);
        for (order, url) in [("rtmps:443,443", "rtmps://h/app"), ("1935,80", "rtmpe://h/app"), ("80", "rtmpt://h/app")]
        {
            let why = found(order, url).unwrap_err().to_string();
            assert!(why.starts_with("the --order does not suit an rtmp"), "{why}");
        }
        assert_eq!(found("rtmpe:1,1", "rtmpe://h/app").unwrap(), [Target::rtmpe(1), Target::rtmp(1)]);
    }
}
