//! From a host to its addresses.

use core::net::IpAddr;

use embassy_net::dns::{DnsQueryType, Error};
use embassy_net::{IpAddress, Stack};

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

/// The address that `host` spells, or else the first that DNS answers.
pub(crate) async fn resolve(stack: Stack<'_>, host: &str) -> Result<IpAddress, ResolveError> {
    match host.parse() {
        Ok(IpAddr::V4(address)) => return Ok(IpAddress::Ipv4(address)),
        #[cfg(feature = "ipv6")]
        Ok(IpAddr::V6(address)) => return Ok(IpAddress::Ipv6(address)),
        #[cfg(not(feature = "ipv6"))]
        Ok(IpAddr::V6(_)) => return Err(ResolveError::Family),
        Err(_) => {}
    }
    for family in FAMILIES {
        match stack.dns_query(host, *family).await {
            Ok(addresses) => {
                if let Some(address) = addresses.first() {
                    return Ok(*address);
                }
            }
            Err(Error::Failed) => {}
            Err(_) => return Err(ResolveError::BadName),
        }
    }
    Err(ResolveError::NoAnswer)
}
