//! Finds the addresses of a host.

use core::future::Future;

use embassy_futures::select::{Either, select};
use embassy_net::dns::{DnsQueryType, Error};
use embassy_net::{IpAddress, Stack};
use embassy_time::Duration;
use heapless::Vec;

use crate::clock::{clock, later, passed};

/// How long the name servers may take.
pub(crate) const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// Why a host has no address. These are the reasons that embassy-net tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ResolveError {
    /// The name is longer than DNS allows, or its labels are not valid.
    BadName,
    /// No name server answered, none knew the name, or there is no name server.
    NoAnswer,
    /// The host is an address of a family that the stack was built without.
    Family,
}

impl core::fmt::Display for ResolveError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::BadName => "the host is not a name that DNS knows",
            Self::NoAnswer => "no name server knows the host",
            Self::Family => "the network stack was built without this family of addresses",
        })
    }
}

impl core::error::Error for ResolveError {}

/// The address families to ask for, in this order.
#[cfg(feature = "ipv6")]
const FAMILIES: &[DnsQueryType] = &[DnsQueryType::A, DnsQueryType::Aaaa];
#[cfg(not(feature = "ipv6"))]
const FAMILIES: &[DnsQueryType] = &[DnsQueryType::A];
/// Their number.
#[allow(clippy::cast_possible_truncation, reason = "there are one or two")]
const ALL: u8 = FAMILIES.len() as u8;

/// How many addresses of a name are tried. smoltcp returns one, or four with its feature `dns-max-result-count-4`.
const MOST: usize = 4;

/// A host's addresses, in the order in which they are tried.
type Addresses = Vec<IpAddress, MOST, u8>;

/// The lookup of a host, query by query.
pub(crate) struct Lookup {
    addresses: Addresses,
    /// The index of the next family to ask for.
    next: u8,
    /// The index after the last family.
    #[cfg(feature = "ipv6")]
    end: u8,
}

impl Lookup {
    /// A lookup of `host`, which may be an address.
    ///
    /// # Errors
    /// The host is an address of a family that the stack was built without, or is not valid as an IPv6 address.
    pub(crate) fn new(host: &str) -> Result<Self, ResolveError> {
        // Neither names nor IPv4 addresses have a colon.
        let is_ipv6 = host.bytes().any(|byte| byte == b':');
        #[cfg(feature = "ipv6")]
        if is_ipv6 && host.parse::<core::net::Ipv6Addr>().is_err() {
            return Err(ResolveError::BadName);
        }
        #[cfg(not(feature = "ipv6"))]
        if is_ipv6 {
            return Err(ResolveError::Family);
        }
        Ok(Self {
            addresses: Addresses::new(),
            next: is_ipv6.into(),
            // No DNS query for a literal address: a name server may not answer it at all.
            #[cfg(feature = "ipv6")]
            end: if host.parse::<core::net::Ipv4Addr>().is_ok() { 1 } else { ALL },
        })
    }

    /// The index after the last family that is asked for.
    const fn end(&self) -> u8 {
        #[cfg(feature = "ipv6")]
        return self.end;
        #[cfg(not(feature = "ipv6"))]
        return ALL;
    }

    /// Returns the family to ask for next.
    pub(crate) fn family(&self) -> DnsQueryType {
        FAMILIES.get(usize::from(self.next)).copied().unwrap_or(DnsQueryType::A)
    }

    /// Stores the answer of DNS for that family. Returns whether that was the last family.
    ///
    /// # Errors
    /// There is no address, or the name is not valid.
    pub(crate) fn take(&mut self, answer: Result<&[IpAddress], Error>) -> Result<bool, ResolveError> {
        match answer {
            // Addresses that do not fit are not tried.
            Ok(found) => found.iter().for_each(|address| self.addresses.push(*address).unwrap_or_default()),
            Err(Error::Failed) => {}
            Err(_) => return Err(ResolveError::BadName),
        }
        self.next = self.next.saturating_add(1);
        let is_last = self.next >= self.end();
        if is_last && self.addresses.is_empty() { Err(ResolveError::NoAnswer) } else { Ok(is_last) }
    }

    /// Returns the addresses that were found.
    pub(crate) fn addresses(&self) -> &[IpAddress] {
        &self.addresses
    }
}

/// Returns the address that `host` spells. Otherwise returns the addresses that DNS answers in time.
#[expect(clippy::manual_async_fn, reason = "an async fn stores its arguments twice")]
pub(crate) fn resolve(stack: Stack<'_>, host: &str) -> impl Future<Output = Result<Lookup, ResolveError>> {
    async move {
        let mut lookup = Lookup::new(host)?;
        let until = later(clock(), RESOLVE_LIMIT);
        loop {
            let answer = match select(stack.dns_query(host, lookup.family()), passed(until)).await {
                Either::First(answer) => answer,
                // Some name servers never answer queries for a family that they do not know (RFC 4074, section 4.1).
                Either::Second(()) => Err(Error::Failed),
            };
            if lookup.take(answer.as_deref().map_err(|error| *error))? {
                return Ok(lookup);
            }
        }
    }
}
