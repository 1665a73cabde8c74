//! From a host to its addresses.

use core::net::Ipv4Addr;

use embassy_net::dns::{DnsQueryType, Error};
use embassy_net::{IpAddress, Stack};
use heapless::Vec;

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

/// A host's addresses, in the order in which they are tried; at least one.
pub(crate) type Addresses = Vec<IpAddress, MOST, u8>;

/// The address that `host` spells, or else those that DNS answers.
pub(crate) async fn resolve(stack: Stack<'_>, host: &str) -> Result<Addresses, ResolveError> {
    if let Some(address) = ipv4(host) {
        return Ok(one(IpAddress::Ipv4(address)));
    }
    // No name has a colon.
    if host.as_bytes().contains(&b':') {
        #[cfg(feature = "ipv6")]
        return host.parse().map(|address| one(IpAddress::Ipv6(address))).map_err(|_| ResolveError::BadName);
        #[cfg(not(feature = "ipv6"))]
        return Err(ResolveError::Family);
    }
    let mut addresses = Addresses::new();
    for family in FAMILIES {
        match stack.dns_query(host, *family).await {
            // What does not fit is not tried.
            Ok(found) => found.iter().for_each(|address| addresses.push(*address).unwrap_or_default()),
            Err(Error::Failed) => {}
            Err(_) => return Err(ResolveError::BadName),
        }
    }
    if addresses.is_empty() { Err(ResolveError::NoAnswer) } else { Ok(addresses) }
}

fn one(address: IpAddress) -> Addresses {
    let mut addresses = Addresses::new();
    addresses.push(address).unwrap_or_default();
    addresses
}

/// The address that `host` spells. That of the standard library does the same, and takes a kilobyte and a half of flash.
fn ipv4(host: &str) -> Option<Ipv4Addr> {
    let mut octets = [0_u8; 4];
    let mut parts = host.as_bytes().split(|byte| *byte == b'.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| matches!(part, [_] | [b'1'..=b'9', _] | [b'1'..=b'9', _, _]))?;
        for digit in part {
            let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
            *octet = octet.checked_mul(10)?.checked_add(digit)?;
        }
    }
    parts.next().is_none().then_some(Ipv4Addr::from(octets))
}

#[cfg(test)]
mod tests {
    use super::ipv4;
    use std::format;
    use std::string::ToString;

    #[test]
    fn addresses_are_what_the_standard_library_takes_for_such() {
        let mut hosts: std::vec::Vec<_> = (0..=260).map(|octet| format!("10.{octet}.0.{octet}")).collect();
        let odd =
            ["", ".", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "01.2.3.4", "1.2.3.00", "1.2.3.0", "a.2.3.4"];
        let more = ["1.2.3.4 ", "1.2.3.+4", "1.2.3.1000", "media.example", "1.2.3.\u{e9}", "::1", "1.2.3.4:80"];
        hosts.extend(odd.iter().chain(&more).map(|host| host.to_string()));
        for host in hosts {
            assert_eq!(ipv4(&host), host.parse().ok(), "{host}");
        }
    }
}
