//! Targets and their order.

use core::fmt;

use crate::url::{Scheme, Url};

/// How RTMP is carried. There is one transport for each scheme of a URL.
///
/// There are two classes. [`Rtmps`](Self::Rtmps) and [`Rtmpts`](Self::Rtmpts) are inside TLS, so the server can be
/// authenticated ([`is_tls`](Self::is_tls)). The other transports do not authenticate the server. RTMPE hides the bytes
/// from a passive listener, but it does not protect against an active attacker.
///
/// A caller that does not support a transport reports [`Failure::Unsupported`](super::Failure::Unsupported), and the plan
/// continues with the next target at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Transport {
    /// RTMP over TCP.
    Rtmp,
    /// RTMP inside TLS.
    Rtmps,
    /// RTMP in HTTP requests over TCP.
    Rtmpt,
    /// RTMP with Adobe's encryption, over TCP.
    Rtmpe,
    /// RTMPE in HTTP requests over TCP.
    Rtmpte,
    /// RTMP in HTTP requests inside TLS.
    Rtmpts,
}

impl Transport {
    /// Returns the transport of a URL with this scheme.
    pub const fn of(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Rtmp => Transport::Rtmp,
            Scheme::Rtmps => Transport::Rtmps,
            Scheme::Rtmpt => Transport::Rtmpt,
            Scheme::Rtmpe => Transport::Rtmpe,
            Scheme::Rtmpte => Transport::Rtmpte,
            Scheme::Rtmpts => Transport::Rtmpts,
        }
    }

    /// Returns whether it is inside TLS. The caller must verify the server in the same way on every port and in every
    /// attempt.
    pub const fn is_tls(self) -> bool {
        matches!(self, Transport::Rtmps | Transport::Rtmpts)
    }

    /// Returns whether it uses Adobe's encryption.
    pub const fn is_rtmpe(self) -> bool {
        matches!(self, Transport::Rtmpe | Transport::Rtmpte)
    }

    /// Returns whether RTMP is inside HTTP requests.
    pub const fn is_tunnel(self) -> bool {
        matches!(self, Transport::Rtmpt | Transport::Rtmpte | Transport::Rtmpts)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Rtmp => "RTMP",
            Transport::Rtmps => "RTMPS",
            Transport::Rtmpt => "RTMPT",
            Transport::Rtmpe => "RTMPE",
            Transport::Rtmpte => "RTMPTE",
            Transport::Rtmpts => "RTMPTS",
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
    /// This transport on `port`.
    pub const fn new(transport: Transport, port: u16) -> Self {
        Self { transport, port }
    }

    /// RTMP over TCP on `port`.
    pub const fn rtmp(port: u16) -> Self {
        Self::new(Transport::Rtmp, port)
    }

    /// RTMP inside TLS on `port`.
    pub const fn rtmps(port: u16) -> Self {
        Self::new(Transport::Rtmps, port)
    }

    /// RTMP in HTTP requests on `port`.
    pub const fn rtmpt(port: u16) -> Self {
        Self::new(Transport::Rtmpt, port)
    }

    /// RTMPE over TCP on `port`.
    pub const fn rtmpe(port: u16) -> Self {
        Self::new(Transport::Rtmpe, port)
    }

    /// RTMPE in HTTP requests on `port`.
    pub const fn rtmpte(port: u16) -> Self {
        Self::new(Transport::Rtmpte, port)
    }

    /// RTMP in HTTP requests inside TLS on `port`.
    pub const fn rtmpts(port: u16) -> Self {
        Self::new(Transport::Rtmpts, port)
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

/// The order for an `rtmp` URL without a port: RTMP on 1935, 80 and 443, then RTMPT on 80 for firewalls that pass only
/// HTTP. Use it with [`Limits::smart`](super::Limits::smart). [`Allowed::default_order`] can add more transports.
pub const DEFAULT_ORDER: &[Target] = &[Target::rtmp(1935), Target::rtmp(80), Target::rtmp(443), Target::rtmpt(80)];

/// The order for an `rtmpe` URL without a port: the same as [`DEFAULT_ORDER`], but each target uses Adobe's encryption.
pub const RTMPE_ORDER: &[Target] = &[Target::rtmpe(1935), Target::rtmpe(80), Target::rtmpe(443), Target::rtmpte(80)];

/// The transports that the default order has in addition to RTMP and RTMPT.
///
/// RTMPS is a fallback for networks that pass only TLS. Allow it only if the caller verifies the server's certificate.
///
/// ```
/// use embedded_rtmp::port_plan::{Allowed, Order, Target};
/// use embedded_rtmp::url::Url;
///
/// let url = Url::parse("rtmp://media.example/live/key")?;
/// let order = Order::for_url_or(&url, Allowed { rtmpe: false, rtmps: true }.default_order());
/// assert_eq!(order.targets()[..2], [Target::rtmp(1935), Target::rtmp(80)]);
/// assert_eq!(order.targets()[4..], [Target::rtmps(443), Target::rtmpts(443)]);
/// # Ok::<(), embedded_rtmp::url::UrlError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Allowed {
    /// RTMPE on 1935 and RTMPTE on 80.
    pub rtmpe: bool,
    /// RTMPS and RTMPTS on 443, after all others.
    pub rtmps: bool,
}

impl Allowed {
    /// Returns [`DEFAULT_ORDER`] with the allowed transports added.
    pub const fn default_order(self) -> &'static [Target] {
        const WITH_BOTH: &[Target] = &[
            Target::rtmp(1935),
            Target::rtmp(80),
            Target::rtmp(443),
            Target::rtmpt(80),
            Target::rtmpe(1935),
            Target::rtmpte(80),
            Target::rtmps(443),
            Target::rtmpts(443),
        ];
        const WITH_RTMPE: &[Target] = WITH_BOTH.split_at(6).0;
        const WITH_RTMPS: &[Target] = &[
            Target::rtmp(1935),
            Target::rtmp(80),
            Target::rtmp(443),
            Target::rtmpt(80),
            Target::rtmps(443),
            Target::rtmpts(443),
        ];
        match (self.rtmpe, self.rtmps) {
            (false, false) => DEFAULT_ORDER,
            (true, false) => WITH_RTMPE,
            (false, true) => WITH_RTMPS,
            (true, true) => WITH_BOTH,
        }
    }
}

/// The targets for a URL: a list, or the one port that the URL names.
///
/// The [`Plan`](super::Plan) borrows its [`targets`](Self::targets), so the order must live as long as the plan.
///
/// The scheme of the URL limits the targets:
///
/// | Scheme | With a port | Without a port |
/// |---|---|---|
/// | `rtmp` | RTMP on it | the list |
/// | `rtmpe` | RTMPE on it | the list if it begins with RTMPE or RTMPTE, otherwise [`RTMPE_ORDER`] |
/// | `rtmps` | RTMPS on it | the list if all its targets are inside TLS, otherwise RTMPS on 443 |
/// | `rtmpt`, `rtmpte`, `rtmpts` | this transport on it | this transport on 80, 80 or 443 |
///
/// Therefore an `rtmps` or `rtmpts` URL is tried only with TLS. An `rtmpe` URL is tried without encryption only if the
/// list contains both, and only after RTMPE. An `rtmp` or `rtmpe` URL may fall back to RTMPS if the list contains it.
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
    /// Returns the targets for the URL, with [`DEFAULT_ORDER`] as the list.
    pub const fn for_url(url: &Url<'_>) -> Self {
        Self::for_url_or(url, DEFAULT_ORDER)
    }

    /// Returns the targets for the URL, with a list of the caller.
    pub const fn for_url_or(url: &Url<'_>, list: &'a [Target]) -> Self {
        let (scheme, transport) = (url.scheme(), Transport::of(url.scheme()));
        Self(match (scheme, url.port()) {
            (_, Some(port)) => Choice::One([Target::new(transport, port)]),
            (Scheme::Rtmp, None) => Choice::List(list),
            (Scheme::Rtmpe, None) => Choice::List(if begins_with_rtmpe(list) { list } else { RTMPE_ORDER }),
            (Scheme::Rtmps, None) if is_tls(list) => Choice::List(list),
            (_, None) => Choice::One([Target::new(transport, scheme.default_port())]),
        })
    }

    /// The targets, first to last.
    pub const fn targets(&self) -> &[Target] {
        match &self.0 {
            Choice::One(target) => target,
            Choice::List(list) => list,
        }
    }
}

/// Returns whether all targets are inside TLS.
const fn is_tls(mut list: &[Target]) -> bool {
    while let [target, rest @ ..] = list {
        if !target.transport.is_tls() {
            return false;
        }
        list = rest;
    }
    true
}

/// Returns whether the list begins with RTMPE or RTMPTE.
const fn begins_with_rtmpe(list: &[Target]) -> bool {
    matches!(list, [target, ..] if target.transport.is_rtmpe())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::vec::Vec;

    const SCHEMES: [Scheme; 6] =
        [Scheme::Rtmp, Scheme::Rtmps, Scheme::Rtmpt, Scheme::Rtmpe, Scheme::Rtmpte, Scheme::Rtmpts];

    fn order<'l>(text: &str, list: &'l [Target]) -> Order<'l> {
        Order::for_url_or(&Url::parse(text).unwrap(), list)
    }

    #[test]
    fn item_092_an_explicit_port_allows_no_other() {
        for (text, port) in [("rtmp://h:80/app", 80), ("rtmp:/h:1935/app/key", 1935), ("rtmp://[::1]:8080/app", 8080)] {
            let url = Url::parse(text).unwrap();
            assert_eq!(Order::for_url(&url).targets(), [Target::rtmp(port)]);
            assert_eq!(Order::for_url_or(&url, PLAYER).targets(), [Target::rtmp(port)]);
        }
    }

    #[test]
    fn item_093_no_port_means_every_way_or_the_callers_list() {
        let url = Url::parse("rtmp://h/app").unwrap();
        let ports = |order: Order<'_>| order.targets().iter().map(|target| target.port).collect::<Vec<_>>();
        assert_eq!(Order::for_url(&url).targets(), DEFAULT_ORDER);
        assert_eq!(ports(Order::for_url_or(&url, NET_CONNECTION)), [1935, 80, 443]);
        assert_eq!(Order::for_url_or(&url, PLAYER).targets(), PLAYER);
        assert_eq!(PLAYER, [Target::rtmp(1935), Target::rtmp(80), Target::rtmpt(80)]);
        let own = [Target::rtmp(8080), Target::rtmp(7070)];
        assert_eq!(ports(Order::for_url_or(&url, &own)), [8080, 7070]);
    }

    #[test]
    fn item_092_a_tunnel_goes_to_80_or_to_the_port_that_is_written() {
        for (text, target) in [
            ("rtmpt://h/app", Target::rtmpt(80)),
            ("rtmpt://h:8080/app", Target::rtmpt(8080)),
            ("rtmpte://h/app", Target::rtmpte(80)),
            ("rtmpte://h:8080/app", Target::rtmpte(8080)),
            ("rtmpts://h/app", Target::rtmpts(443)),
            ("rtmpts://h:8443/app", Target::rtmpts(8443)),
        ] {
            for list in [PLAYER, DEFAULT_ORDER, &[target, Target::rtmp(1)]] {
                assert_eq!(order(text, list).targets(), [target]);
            }
        }
    }

    #[test]
    fn item_220_an_encrypted_url_without_a_port_is_tried_on_the_usual_ports_of_its_transport() {
        let url = |text| Order::for_url(&Url::parse(text).unwrap()).targets().to_vec();
        assert_eq!(url("rtmps://h/app"), [Target::rtmps(443)]);
        assert_eq!(url("rtmps://h:1935/app"), [Target::rtmps(1935)]);
        assert_eq!(url("rtmpe://h/app"), RTMPE_ORDER);
        assert_eq!(url("rtmpe://h:80/app"), [Target::rtmpe(80)]);
        assert!(RTMPE_ORDER.iter().zip(DEFAULT_ORDER).all(|(rtmpe, rtmp)| rtmpe.port == rtmp.port
            && rtmpe.transport.is_rtmpe()
            && rtmpe.transport.is_tunnel() == rtmp.transport.is_tunnel()));
    }

    #[test]
    fn item_220_a_list_is_used_if_the_scheme_of_the_url_permits_it() {
        let (tls, plain) = ([Target::rtmps(443), Target::rtmpts(8443)], [Target::rtmp(1935), Target::rtmps(443)]);
        assert_eq!(order("rtmps://h/app", &tls).targets(), tls);
        assert_eq!(order("rtmps://h/app", &plain).targets(), [Target::rtmps(443)]);
        assert_eq!(order("rtmp://h/app", &plain).targets(), plain);
        // Without encryption, only if the list contains both.
        let both = [Target::rtmpe(1935), Target::rtmp(1935)];
        assert_eq!(order("rtmpe://h/app", &both).targets(), both);
        let allowed = [(true, false), (false, true), (true, true)];
        let allowed = allowed.map(|(rtmpe, rtmps)| Allowed { rtmpe, rtmps }.default_order());
        let plain_first = [Target::rtmp(1935), Target::rtmpe(1935)];
        for list in [PLAYER, &plain, &plain_first, DEFAULT_ORDER].into_iter().chain(allowed) {
            assert_eq!(order("rtmpe://h/app", list).targets(), RTMPE_ORDER);
        }
        // A plan without targets is an error.
        for scheme in ["rtmp", "rtmps"] {
            assert!(order(&format!("{scheme}://h/app"), &[]).targets().is_empty());
        }
    }

    #[test]
    fn item_220_the_default_order_has_rtmpe_and_rtmps_if_the_caller_allows_them() {
        for (rtmpe, rtmps) in [(false, false), (true, false), (false, true), (true, true)] {
            let list = Allowed { rtmpe, rtmps }.default_order();
            let (before, after) = list.split_at(DEFAULT_ORDER.len());
            assert_eq!(before, DEFAULT_ORDER);
            let is_allowed =
                |target: &Target| if target.transport.is_tls() { rtmps } else { rtmpe && target.transport.is_rtmpe() };
            assert!(after.iter().all(is_allowed));
            assert!(after.is_sorted_by_key(|target| target.transport.is_tls()), "RTMPS comes last");
            assert_eq!(after.len(), 2 * usize::from(rtmpe) + 2 * usize::from(rtmps));
            assert!(list.len() <= crate::port_plan::MAX_TARGETS);
        }
    }

    #[test]
    fn each_scheme_has_a_transport_of_the_same_name() {
        for scheme in SCHEMES {
            let transport = Transport::of(scheme);
            assert_eq!(format!("{transport}"), scheme.as_str().to_uppercase());
            let has = |letter| scheme.as_str().contains(letter);
            assert_eq!(transport.is_tls(), has("s"));
            assert_eq!(transport.is_rtmpe(), has("e"));
            assert_eq!(transport.is_tunnel(), scheme.as_str().matches('t').count() == 2);
        }
        for make in [Target::rtmp, Target::rtmps, Target::rtmpt, Target::rtmpe, Target::rtmpte, Target::rtmpts] {
            assert!(SCHEMES.iter().any(|scheme| make(9) == Target::new(Transport::of(*scheme), 9)));
        }
    }

    #[test]
    fn a_target_prints_as_transport_and_port() {
        assert_eq!(format!("{}, {}", Target::rtmp(1935), Target::rtmpts(443)), "RTMP 1935, RTMPTS 443");
    }

    fn any_scheme() -> impl Strategy<Value = Scheme> {
        proptest::sample::select(&SCHEMES)
    }

    fn any_list() -> impl Strategy<Value = Vec<Target>> {
        let target = (any_scheme(), 1u16..5).prop_map(|(scheme, port)| Target::new(Transport::of(scheme), port));
        proptest::collection::vec(target, 0..8)
    }

    proptest! {
        /// For any list: a URL with a port has one target. An `rtmps` or `rtmpts` URL has no target without TLS. An
        /// `rtmpe` or `rtmpte` URL has plain targets only if the list contains both. A list is never changed.
        #[test]
        fn item_221_a_url_is_never_tried_with_less_than_its_scheme_asks_for(
            scheme in any_scheme(), port in proptest::option::of(1u16..), list in any_list(),
        ) {
            let authority = port.map_or("h".into(), |port| format!("h:{port}"));
            let order = order(&format!("{scheme}://{authority}/app"), &list);
            let (targets, transport) = (order.targets(), Transport::of(scheme));
            if let Some(port) = port {
                prop_assert_eq!(targets, [Target::new(transport, port)]);
            }
            let is_plain = |target: &Target| !target.transport.is_tls() && !target.transport.is_rtmpe();
            if transport.is_tls() {
                prop_assert!(targets.iter().all(|target| target.transport.is_tls()));
            } else if transport.is_rtmpe() && targets.iter().any(is_plain) {
                // The list contains both, and RTMPE comes first.
                prop_assert!(targets[0].transport.is_rtmpe());
            } else if scheme == Scheme::Rtmp && port.is_none() {
                prop_assert_eq!(targets, &list[..]);
            }
            if targets.iter().any(|target| target.transport != transport) && targets != RTMPE_ORDER {
                prop_assert_eq!(targets, &list[..]);
            }
        }
    }
}
