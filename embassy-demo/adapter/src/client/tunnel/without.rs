//! No tunnel.

use core::marker::PhantomData;

use embassy_net::IpEndpoint;
use embedded_rtmp::port_plan::{Target, Transport};
use embedded_rtmp::time::Instant;

use crate::error::Error;
use crate::transport::Tcp;

/// No tunnel.
pub(crate) struct Tunnel<'a>(PhantomData<&'a str>);

impl<'a> Tunnel<'a> {
    pub(crate) const fn new(_: &'a mut [u8]) -> Self {
        Self(PhantomData)
    }

    pub(crate) fn carries(transport: Transport) -> bool {
        transport == Transport::Rtmp
    }

    pub(crate) fn begin(&mut self, _: Target, _: &'a str) {}

    pub(crate) fn leads_to(&mut self, _: IpEndpoint) {}

    pub(crate) const fn is_some(&self) -> bool {
        false
    }

    pub(crate) fn count(&self, _: impl FnOnce() -> usize) -> usize {
        0
    }

    pub(crate) fn receive<'i, R>(
        &mut self,
        _: Instant,
        input: &mut &'i [u8],
        take: impl FnOnce(&mut &'i [u8]) -> R,
    ) -> Result<R, Error> {
        Ok(take(input))
    }

    pub(crate) fn transmit(&mut self, _: usize, out: &mut [u8], fill: impl FnOnce(&mut [u8]) -> usize) -> usize {
        fill(out)
    }

    pub(crate) fn wants_transmit(&self, plain: bool, _: usize) -> bool {
        plain
    }

    pub(crate) fn gather(&mut self, _: impl FnOnce(&mut [u8]) -> usize) -> bool {
        false
    }

    pub(crate) const fn takes_media(&self, has_room: bool) -> bool {
        has_room
    }

    pub(crate) fn send_early(&mut self) {}

    pub(crate) const fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    pub(crate) const fn is_settled(&self) -> bool {
        true
    }

    pub(crate) fn close(&mut self) {}

    pub(crate) const fn is_closed(&self) -> bool {
        true
    }

    pub(crate) fn step(&mut self, _: Instant, _: &mut Tcp<'_>) -> Result<bool, Error> {
        Ok(false)
    }
}
