//! From a host to its addresses.

use embassy_net::dns::{DnsQueryType, Error};
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, with_timeout};
use heapless::Vec;

/// How long the name servers get.
pub(crate) const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// Why a host has no address. These are the reasons that embassy-net tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ResolveError {
    /// The name is longer than DNS allows, or not made of labels as DNS knows them.
    BadName,
    /// No name server answered, or none knew the name, or there is no name server.
    NoAnswer,
    /// It is an address of a family that the stack was built without.
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

/// The families of addresses that are asked for, in this order.
#[cfg(feature = "ipv6")]
const FAMILIES: &[DnsQueryType] = &[DnsQueryType::A, DnsQueryType::Aaaa];
#[cfg(not(feature = "ipv6"))]
const FAMILIES: &[DnsQueryType] = &[DnsQueryType::A];

/// How many addresses of a name are tried. smoltcp gives one, unless its feature `dns-max-result-count-4` says otherwise.
const MOST: usize = 4;

/// A host's addresses, in the order in which they are tried.
type Addresses = Vec<IpAddress, MOST, u8>;

/// What becomes of a host, query by query.
pub(crate) struct Lookup {
    addresses: Addresses,
    /// Which of the families is the next to be asked for.
    next: u8,
    /// The one behind the last.
    #[cfg(feature = "ipv6")]
    end: u8,
}

impl Lookup {
    /// A lookup of `host`, which may spell an address.
    ///
    /// # Errors
    /// It is an address of a family that the stack was built without, or none of IPv6.
    pub(crate) fn new(host: &str) -> Result<Self, ResolveError> {
        // No name has a colon, and no IPv4 address.
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
            // DNS has nothing to say about an address, and may say nothing at all.
            #[cfg(feature = "ipv6")]
            end: if host.parse::<core::net::Ipv4Addr>().is_ok() { 1 } else { FAMILIES.len() as u8 },
        })
    }

    /// The family behind the last that is asked for.
    const fn end(&self) -> u8 {
        #[cfg(feature = "ipv6")]
        return self.end;
        #[cfg(not(feature = "ipv6"))]
        return FAMILIES.len() as u8;
    }

    /// What is to be asked for next.
    pub(crate) fn family(&self) -> DnsQueryType {
        FAMILIES.get(usize::from(self.next)).copied().unwrap_or(DnsQueryType::A)
    }

    /// Takes the answer of DNS. Returns whether it was the last one.
    ///
    /// # Errors
    /// There is no address, or the name is none.
    pub(crate) fn take(&mut self, answer: Result<&[IpAddress], Error>) -> Result<bool, ResolveError> {
        match answer {
            // What does not fit is not tried.
            Ok(found) => found.iter().for_each(|address| self.addresses.push(*address).unwrap_or_default()),
            Err(Error::Failed) => {}
            Err(_) => return Err(ResolveError::BadName),
        }
        self.next += 1;
        let is_last = self.next >= self.end();
        if is_last && self.addresses.is_empty() { Err(ResolveError::NoAnswer) } else { Ok(is_last) }
    }

    /// What was found.
    pub(crate) fn addresses(&self) -> &[IpAddress] {
        &self.addresses
    }
}

/// The address that `host` spells, or else those that DNS answers in time.
pub(crate) async fn resolve(stack: Stack<'_>, host: &str) -> Result<Lookup, ResolveError> {
    let mut lookup = Lookup::new(host)?;
    let asking = async {
        while !lookup.take(stack.dns_query(host, lookup.family()).await.as_deref().map_err(|error| *error))? {}
        Ok(())
    };
    match with_timeout(RESOLVE_LIMIT, asking).await {
        Ok(result) => result.map(|()| lookup),
        // Some name servers never answer about a family that they do not know (RFC 4074, section 4.1).
        Err(_) if !lookup.addresses.is_empty() => Ok(lookup),
        Err(_) => Err(ResolveError::NoAnswer),
    }
}
