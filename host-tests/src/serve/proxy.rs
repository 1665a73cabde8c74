//! The PROXY protocol, versions 1 and 2: the header in which a load balancer names the client.
//!
//! The header is at the start of a connection. Any client can send one, so a server must accept it only from the addresses
//! of its load balancers.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

/// The start of a header of version 1.
const TEXT: &[u8] = b"PROXY ";

/// The start of a header of version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest header of version 1, and the longest one of version 2 that is accepted.
const MAX_TEXT: usize = 107;
const MAX_BINARY: usize = 4096;

/// The length of a header of version 2 without addresses.
const BINARY: usize = 16;

/// A network from which connections come with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: Ipv6Addr,
    /// The number of bits that an address must have in common with [`Self::address`].
    bits: u32,
}

impl Network {
    /// Whether an address belongs to the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let difference = u128::from(mapped(address)) ^ u128::from(self.address);
        self.bits == 0 || difference >> (128 - self.bits) == 0
    }
}

/// The IPv6 form of any address.
fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

impl FromStr for Network {
    type Err = anyhow::Error;

    /// Reads `ADDRESS/BITS`, or an address alone.
    fn from_str(text: &str) -> Result<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().with_context(|| format!("{address} is not an IP address"))?;
        let size = if address.is_ipv4() { 32 } else { 128 };
        let bits =
            bits.map_or(Ok(size), str::parse).with_context(|| format!("the number of bits in {text} is not valid"))?;
        ensure!(bits <= size, "{text} has more than {size} bits");
        Ok(Self { address: mapped(address), bits: bits + 128 - size })
    }
}

/// Whether these first bytes of a connection are the start of a header. `None` if that is not known yet.
pub(super) fn is_header(input: &[u8]) -> Option<bool> {
    let begins = |start: &[u8]| input.starts_with(start);
    let may_begin = |start: &[u8]| start.starts_with(input);
    if begins(TEXT) || begins(SIGNATURE) {
        return Some(true);
    }
    if may_begin(TEXT) || may_begin(SIGNATURE) { None } else { Some(false) }
}

/// Removes a header from the start of `input`. Returns the client that it names, or `Some(None)` if it names none, for
/// example in a health check of the load balancer. Returns `None` if the header is not complete.
///
/// # Errors
/// The input does not begin with a valid header.
pub(super) fn take(input: &mut &[u8]) -> Result<Option<Option<SocketAddr>>> {
    match is_header(input) {
        None => Ok(None),
        Some(false) => bail!("no PROXY header, which is required from this address (--proxy-protocol)"),
        Some(true) if input.starts_with(TEXT) => take_text(input),
        Some(true) => take_binary(input),
    }
}

fn take_text(input: &mut &[u8]) -> Result<Option<Option<SocketAddr>>> {
    let Some(end) = input.windows(2).take(MAX_TEXT - 1).position(|bytes| bytes == b"\r\n") else {
        ensure!(input.len() < MAX_TEXT, "a PROXY header of version 1 without a line end in {MAX_TEXT} bytes");
        return Ok(None);
    };
    let line = std::str::from_utf8(&input[..end]).context("a PROXY header of version 1 that is not text")?;
    let fields: Vec<_> = line.split(' ').collect();
    let client = match fields[..] {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family @ ("TCP4" | "TCP6"), from, _, port, _] => {
            let address: IpAddr = from.parse().with_context(|| format!("a PROXY header with the address {from:?}"))?;
            ensure!(address.is_ipv4() == (family == "TCP4"), "a PROXY header of {family} with the address {from}");
            let port = port.parse().with_context(|| format!("a PROXY header with the port {port:?}"))?;
            Some(SocketAddr::new(address, port))
        }
        _ => bail!("a PROXY header of version 1 with {} fields, or for another protocol", fields.len()),
    };
    *input = &input[end + 2..];
    Ok(Some(client))
}

fn take_binary(input: &mut &[u8]) -> Result<Option<Option<SocketAddr>>> {
    let Some(head) = input.first_chunk::<BINARY>() else { return Ok(None) };
    let [.., command, family, high, low] = *head;
    let length = BINARY + usize::from(u16::from_be_bytes([high, low]));
    ensure!(command >> 4 == 2, "a PROXY header of version {}", command >> 4);
    ensure!(length <= MAX_BINARY, "a PROXY header of {length} bytes; the limit is {MAX_BINARY}");
    let Some(header) = input.get(..length) else { return Ok(None) };
    let addresses = &header[BINARY..];
    let port = |at: usize| addresses.get(at..).and_then(<[u8]>::first_chunk).map(|bytes| u16::from_be_bytes(*bytes));
    let address = match (command & 0x0F, family) {
        // The load balancer itself, or a protocol without IP addresses.
        (0, _) | (1, 0x00 | 0x31 | 0x32) => None,
        (1, 0x11) => Some((addresses.first_chunk::<4>().map(|bytes| IpAddr::from(*bytes)), port(8))),
        (1, 0x21) => Some((addresses.first_chunk::<16>().map(|bytes| IpAddr::from(*bytes)), port(32))),
        (command, family) => bail!("a PROXY header with command {command} and protocol {family:#04x}"),
    };
    let client = match address {
        None => None,
        Some((Some(address), Some(port))) => Some(SocketAddr::new(address, port)),
        Some(_) => bail!("a PROXY header whose {} bytes have no addresses", addresses.len()),
    };
    *input = &input[length..];
    Ok(Some(client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_168_a_network_contains_its_addresses() {
        let contains =
            |network: &str, address: &str| network.parse::<Network>().unwrap().contains(address.parse().unwrap());
        assert!(contains("10.0.0.0/8", "10.9.8.7") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("192.0.2.1", "192.0.2.1") && !contains("192.0.2.1", "192.0.2.2"));
        assert!(contains("0.0.0.0/0", "8.8.8.8") && !contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("::/0", "8.8.8.8") && contains("2001:db8::/32", "2001:db8:1::1"));
        assert!(contains("127.0.0.0/8", "::ffff:127.0.0.1") && !contains("::1", "::2"));
        for wrong in ["", "x", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0/8"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    /// A header of version 2.
    fn binary(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = (addresses.len() as u16).to_be_bytes();
        [SIGNATURE, &[command, family][..], &length, addresses].concat()
    }

    #[test]
    fn item_168_headers_of_both_versions_name_the_client_in_pieces_of_any_size() {
        let ipv4 = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 7, 0x8F];
        let mut ipv6 = [0; 36];
        (ipv6[15], ipv6[33]) = (1, 9);
        let client = |text: &str| Some(text.parse().unwrap());
        for (header, expected) in [
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 4660 1935\r\n".to_vec(), client("192.0.2.1:4660")),
            (b"PROXY TCP6 2001:db8::1 ::1 9 1935\r\n".to_vec(), client("[2001:db8::1]:9")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff:: ffff:: 1 2\r\n".to_vec(), None),
            (binary(0x21, 0x11, &ipv4), client("192.0.2.1:4660")),
            // With more data, as from AWS.
            (binary(0x21, 0x11, &[&ipv4[..], &[4, 0, 1, 9]].concat()), client("192.0.2.1:4660")),
            (binary(0x21, 0x21, &ipv6), client("[::1]:9")),
            (binary(0x20, 0, &[]), None),
            (binary(0x20, 0x11, &ipv4), None),
            (binary(0x21, 0x31, &[0; 216]), None),
        ] {
            let whole = [&header[..], b"\x03rest"].concat();
            let mut input = &whole[..];
            assert_eq!(take(&mut input).unwrap(), Some(expected));
            assert_eq!(input, b"\x03rest");
            for cut in 0..header.len() {
                assert_eq!(take(&mut &header[..cut]).unwrap(), None, "{cut} bytes");
            }
        }
    }

    #[test]
    fn item_168_what_is_no_header_is_refused() {
        for wrong in [
            b"\x03".to_vec(),
            b"\x16\x03\x01".to_vec(),
            b"POST /open/1 HTTP/1.1\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 4660\r\n".to_vec(),
            b"PROXY TCP4 ::1 ::1 4660 1935\r\n".to_vec(),
            b"PROXY TCP6 192.0.2.1 10.0.0.1 4660 1935\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 66000 1935\r\n".to_vec(),
            b"PROXY UDP4 192.0.2.1 10.0.0.1 4660 1935\r\n".to_vec(),
            [&b"PROXY "[..], &[b' '; 101]].concat(),
            binary(0x11, 0x11, &[0; 12]),
            binary(0x22, 0x11, &[0; 12]),
            binary(0x21, 0x12, &[0; 12]),
            binary(0x21, 0x11, &[0; 9]),
            binary(0x21, 0x11, &[0; 5_000]),
        ] {
            assert!(take(&mut &wrong[..]).is_err(), "{wrong:?}");
        }
        assert_eq!(is_header(b"PRI * HTTP/2.0"), Some(false));
    }
}
