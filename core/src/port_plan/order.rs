//! Targets and their order.

use core::fmt;

use super::PlanError;
use crate::url::{Scheme, Url};

/// How RTMP is carried.
///
/// More transports will follow (RTMPE, RTMPS). A caller that does not support one reports
/// [`Failure::Unsupported`](super::Failure::Unsupported), and the plan continues with the next target at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Transport {
    /// RTMP over TCP.
    Rtmp,
    /// RTMP in HTTP requests over TCP.
    Rtmpt,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Rtmp => "RTMP",
            Transport::Rtmpt => "RTMPT",
        })
    }
}

/// The target of an attempt: a transport and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Target {
    /// How RTMP is carried there.
    pub transport: Transport,
    /// The TCP port.
    pub port: u16,
}

impl Target {
    /// RTMP over TCP on `port`.
    pub const fn rtmp(port: u16) -> Self {
        Self { transport: Transport::Rtmp, port }
    }

    /// RTMP in HTTP requests on `port`.
    pub const fn rtmpt(port: u16) -> Self {
        Self { transport: Transport::Rtmpt, port }
    }
}

/// `RTMP 1935`
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.transport, self.port)
    }
}

/// The order of Adobe's players: RTMP on 1935, then on 80, then RTMPT on 80.
pub const PLAYER: &[Target] = &[Target::rtmp(1935), Target::rtmp(80), Target::rtmpt(80)];

/// The order of Adobe's NetConnection for a URL without a port: RTMP on 1935, then on 80, then on 443.
pub const NET_CONNECTION: &[Target] = &[Target::rtmp(1935), Target::rtmp(80), Target::rtmp(443)];

/// The order for a URL without a port: RTMP on 1935, 80 and 443, then RTMPT on 80 for firewalls that let only HTTP pass.
/// Use it with [`Limits::smart`](super::Limits::smart).
pub const DEFAULT_ORDER: &[Target] = &[Target::rtmp(1935), Target::rtmp(80), Target::rtmp(443), Target::rtmpt(80)];

/// The targets for a URL: a list, or the one port that the URL names.
///
/// The [`Plan`](super::Plan) borrows its [`targets`](Self::targets), so the order must live as long as the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Order<'a>(Choice<'a>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Choice<'a> {
    One([Target; 1]),
    List(&'a [Target]),
}

impl<'a> Order<'a> {
    /// The port of the URL and no other, or [`DEFAULT_ORDER`] if the URL has none. An RTMPT URL without a port means 80.
    ///
    /// # Errors
    /// [`PlanError::Scheme`] if no [`Transport`] carries the URL's scheme.
    pub const fn for_url(url: &Url<'_>) -> Result<Self, PlanError> {
        Self::for_url_or(url, DEFAULT_ORDER)
    }

    /// The port of the URL and no other, or `list` if the URL has none.
    ///
    /// # Errors
    /// [`PlanError::Scheme`] if no [`Transport`] carries the URL's scheme.
    pub const fn for_url_or(url: &Url<'_>, list: &'a [Target]) -> Result<Self, PlanError> {
        match (url.scheme(), url.port()) {
            (Scheme::Rtmp, Some(port)) => Ok(Self(Choice::One([Target::rtmp(port)]))),
            (Scheme::Rtmp, None) => Ok(Self(Choice::List(list))),
            (Scheme::Rtmpt, Some(port)) => Ok(Self(Choice::One([Target::rtmpt(port)]))),
            (Scheme::Rtmpt, None) => Ok(Self(Choice::One([Target::rtmpt(Scheme::Rtmpt.default_port())]))),
            _ => Err(PlanError::Scheme),
        }
    }

    /// The targets, first to last.
    pub const fn targets(&self) -> &[Target] {
        match &self.0 {
            Choice::One(target) => target,
            Choice::List(list) => list,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn item_092_an_explicit_port_allows_no_other() {
        for (text, port) in [("rtmp://h:80/app", 80), ("rtmp:/h:1935/app/key", 1935), ("rtmp://[::1]:8080/app", 8080)] {
            let url = Url::parse(text).unwrap();
            assert_eq!(Order::for_url(&url).unwrap().targets(), [Target::rtmp(port)]);
            assert_eq!(Order::for_url_or(&url, PLAYER).unwrap().targets(), [Target::rtmp(port)]);
        }
    }

    #[test]
    fn item_093_no_port_means_every_way_or_the_callers_list() {
        let url = Url::parse("rtmp://h/app").unwrap();
        let ports = |order: Order<'_>| order.targets().iter().map(|target| target.port).collect::<std::vec::Vec<_>>();
        assert_eq!(Order::for_url(&url).unwrap().targets(), DEFAULT_ORDER);
        assert_eq!(ports(Order::for_url_or(&url, NET_CONNECTION).unwrap()), [1935, 80, 443]);
        assert_eq!(Order::for_url_or(&url, PLAYER).unwrap().targets(), PLAYER);
        assert_eq!(PLAYER, [Target::rtmp(1935), Target::rtmp(80), Target::rtmpt(80)]);
        let own = [Target::rtmp(8080), Target::rtmp(7070)];
        assert_eq!(ports(Order::for_url_or(&url, &own).unwrap()), [8080, 7070]);
    }

    #[test]
    fn item_092_a_tunnel_goes_to_80_or_to_the_port_that_is_written() {
        for (text, port) in [("rtmpt://h/app", 80), ("rtmpt://h:8080/app", 8080)] {
            let url = Url::parse(text).unwrap();
            assert_eq!(Order::for_url_or(&url, PLAYER).unwrap().targets(), [Target::rtmpt(port)]);
        }
    }

    #[test]
    fn schemes_without_a_transport_are_refused() {
        for scheme in ["rtmps", "rtmpe", "rtmpte", "rtmpts"] {
            let text = format!("{scheme}://h:80/app");
            assert_eq!(Order::for_url(&Url::parse(&text).unwrap()), Err(PlanError::Scheme));
        }
    }

    #[test]
    fn a_target_prints_as_transport_and_port() {
        assert_eq!(format!("{}, {}", Target::rtmp(1935), Target::rtmpt(80)), "RTMP 1935, RTMPT 80");
    }
}
