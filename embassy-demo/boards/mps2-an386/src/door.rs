//! Asks the clients of the server for a user and a password.

use core::net::IpAddr;

use embedded_rtmp_embassy::embedded_rtmp::auth::{Challenger, Failures, Verdict};
use embedded_rtmp_embassy::embedded_rtmp::command::ConnectRequest;
use embedded_rtmp_embassy::embedded_rtmp::time::Instant;
use embedded_rtmp_embassy::{Origin, Rejection, SessionId};

use crate::arguments::Credentials;

/// The number of challenges whose right answer is remembered, so that none is answered twice within 30 s.
const USED: usize = 16;

/// Lets in one user, from `SESSIONS` sessions at a time.
pub struct Door<'a, const SESSIONS: usize> {
    credentials: Credentials<'a>,
    challenger: Challenger<USED>,
    failures: Failures<4>,
    /// The address of the client of each session.
    addresses: [[u8; 16]; SESSIONS],
    description: [u8; Challenger::<USED>::DESCRIPTION],
}

impl<'a, const SESSIONS: usize> Door<'a, SESSIONS> {
    /// A door. `secret` is random.
    pub fn new(credentials: Credentials<'a>, secret: [u8; 32]) -> Self {
        let (challenger, description) = (Challenger::new(secret), [0; Challenger::<USED>::DESCRIPTION]);
        Self { credentials, challenger, failures: Failures::new(), addresses: [[0; 16]; SESSIONS], description }
    }

    /// A client has opened a connection.
    pub fn opened(&mut self, session: SessionId, from: Origin) {
        let address = match from.remote.map(|remote| remote.addr.into()) {
            Some(IpAddr::V4(address)) => address.to_ipv6_mapped().octets(),
            Some(IpAddr::V6(address)) => address.octets(),
            None => [0; 16],
        };
        if let Some(place) = self.addresses.get_mut(usize::from(session.0)) {
            *place = address;
        }
    }

    /// A client connects. `nonce` is random and new.
    ///
    /// # Errors
    /// The client must authenticate itself, or the answer is wrong.
    pub fn connect(
        &mut self,
        session: SessionId,
        request: &ConnectRequest<'_>,
        nonce: [u8; 8],
    ) -> Result<(), Rejection<'_>> {
        let now = Instant::from_micros(embassy_time::Instant::now().as_micros());
        let address = self.addresses.get(usize::from(session.0)).copied().unwrap_or_default();
        let may_try = self.failures.may_try(now, address);
        let Credentials { user, password } = self.credentials;
        // Answers that come too early are refused like wrong ones.
        let password = |name: &str| (may_try && name == user).then_some(password);
        match self.challenger.check(now, &nonce, request.app, password, &mut self.description) {
            Verdict::Accept => {
                self.failures.note_success(address);
                Ok(())
            }
            Verdict::Reject { description, is_failure } => {
                if is_failure && may_try {
                    self.failures.note_failure(now, address);
                    defmt::info!("session {}: a wrong user or password", session.0);
                }
                Err(description.into())
            }
        }
    }
}
