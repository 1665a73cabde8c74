//! A client's tunnel, which makes another TCP connection wherever it needs one.

use embassy_net::IpEndpoint;
use embedded_rtmp::port_plan::{Target, Transport};
use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::TunnelClient;

use super::gathered::Gathered;
use crate::clock::clock;
use crate::error::Error;
use crate::transport::{Opened, Tcp};

/// How long another TCP connection may take.
const OPEN_LIMIT: core::time::Duration = core::time::Duration::from_secs(10);
/// How long after a refusal it is tried again.
const AGAIN: core::time::Duration = core::time::Duration::from_millis(100);
/// So many connections in a row on which nothing came, and the tunnel is over.
const FUTILE: u8 = 3;

/// A tunnel, where the attempt is one.
pub(crate) struct Tunnel<'a> {
    client: Option<TunnelClient<'a>>,
    to: Option<IpEndpoint>,
    /// By when another connection must be there that is being made.
    opening: Option<Instant>,
    /// When it is tried again, if it is refused.
    again: Instant,
    futile: u8,
    gathered: Gathered<'a>,
}

impl<'a> Tunnel<'a> {
    /// No tunnel yet; what waits for a request of one lies in `gather`.
    pub(crate) const fn new(gather: &'a mut [u8]) -> Self {
        let again = Instant::from_micros(0);
        Self { client: None, to: None, opening: None, again, futile: 0, gathered: Gathered::new(gather) }
    }

    /// Whether attempts of this kind can be carried out.
    pub(crate) fn carries(transport: Transport) -> bool {
        matches!(transport, Transport::Rtmp | Transport::Rtmpt)
    }

    /// An attempt begins.
    pub(crate) fn begin(&mut self, target: Target, host: &'a str) {
        self.client = (target.transport == Transport::Rtmpt).then(|| TunnelClient::new(host, target.port));
        (self.to, self.opening, self.futile) = (None, None, 0);
        self.gathered.clear();
    }

    /// Its connections go there.
    pub(crate) fn leads_to(&mut self, to: IpEndpoint) {
        self.to = Some(to);
    }

    pub(crate) fn is_some(&self) -> bool {
        self.client.is_some()
    }

    /// What a session counts, where it matters.
    pub(crate) fn count(&self, waiting: impl FnOnce() -> usize) -> usize {
        if self.is_some() { waiting() + self.gathered.len() } else { 0 }
    }

    /// Lends what comes for the session.
    pub(crate) fn receive<'i, R>(
        &mut self,
        now: Instant,
        input: &mut &'i [u8],
        take: impl FnOnce(&mut &'i [u8]) -> R,
    ) -> Result<R, Error> {
        match &mut self.client {
            None => Ok(take(input)),
            Some(client) => {
                self.futile = 0;
                Ok(client.receive(now, input, take)?)
            }
        }
    }

    /// Lends room to the session, which has `waiting` bytes to send.
    pub(crate) fn transmit(&mut self, waiting: usize, out: &mut [u8], fill: impl FnOnce(&mut [u8]) -> usize) -> usize {
        match &mut self.client {
            None => fill(out),
            Some(client) => client.poll_transmit(clock(), out, waiting, |room| {
                let moved = self.gathered.move_to(room);
                match room.get_mut(moved..) {
                    None | Some([]) => moved,
                    Some(room) => moved + fill(room),
                }
            }),
        }
    }

    /// Whether something can be put out: by itself a session would say `plain`.
    pub(crate) fn wants_transmit(&self, plain: bool, waiting: usize) -> bool {
        self.client.as_ref().map_or(plain, |client| client.wants_transmit(clock(), waiting))
    }

    /// Takes what the session puts out aside for the next request, where it cannot go out now; answers whether that is
    /// so.
    pub(crate) fn gather(&mut self, fill: impl FnOnce(&mut [u8]) -> usize) -> bool {
        let Some(client) = &self.client else { return false };
        if client.wants_transmit(clock(), 1) {
            return false;
        }
        self.gathered.gather(fill);
        true
    }

    /// Whether media can be put out now, where the link `has_room`; or taken aside.
    pub(crate) fn takes_media(&self, has_room: bool) -> bool {
        let Some(client) = &self.client else { return has_room };
        if client.wants_transmit(clock(), 1) { has_room } else { !self.gathered.is_full() }
    }

    /// The session cannot read on before it has sent something.
    pub(crate) fn send_early(&mut self) {
        if let Some(client) = &mut self.client {
            client.send_early();
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.opening {
            // Where the time has come, it is being made.
            Some(limit) if clock() >= self.again => Some(limit),
            Some(_) => Some(self.again),
            None => self.client.as_ref()?.poll_timeout(),
        }
    }

    /// Whether all that was sent is answered.
    pub(crate) fn is_settled(&self) -> bool {
        self.client.as_ref().is_none_or(|client| !client.is_under_way() && self.gathered.len() == 0)
    }

    pub(crate) fn close(&mut self) {
        if let Some(client) = &mut self.client {
            client.close();
        }
    }

    /// Whether the server knows that it is closed; true where there is none.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.as_ref().is_none_or(TunnelClient::is_closed)
    }

    /// Looks at the time and at the connection, and makes another one where one is needed; answers whether anything
    /// is new.
    pub(crate) fn step(&mut self, now: Instant, link: &mut Tcp<'_>) -> Result<bool, Error> {
        let Some(client) = &mut self.client else { return Ok(false) };
        client.handle_timeout(now)?;
        if let Some(limit) = self.opening {
            return match link.opened() {
                Opened::Yes => {
                    self.opening = None;
                    client.connected();
                    Ok(true)
                }
                _ if now >= limit => Err(Error::Lost),
                // A proxy that has too much to do may have less in a moment.
                Opened::No if now >= self.again => {
                    self.again = now + AGAIN;
                    let to = self.to.ok_or(Error::Lost)?;
                    link.open(to).map(|()| false).map_err(|_| Error::Lost)
                }
                Opened::No | Opened::NotYet => Ok(false),
            };
        }
        if client.is_closed() || (!client.needs_connection() && link.may_receive()) {
            return Ok(false);
        }
        if !client.needs_connection() {
            client.connection_ended()?;
        }
        self.futile += 1;
        let to = self.to.filter(|_| self.futile <= FUTILE && !client.is_closed());
        let Some(to) = to else { return if client.is_closed() { Ok(false) } else { Err(Error::Closed) } };
        link.open(to).map_err(|_| Error::Lost)?;
        (self.opening, self.again) = (Some(now + OPEN_LIMIT), now + AGAIN);
        Ok(true)
    }
}
