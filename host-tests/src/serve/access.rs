//! Access control with a user and a password.

use std::fmt;
use std::net::IpAddr;

use anyhow::Result;
use embedded_rtmp::amf0::Text;
use embedded_rtmp::auth::{Challenger, Failures, Verdict};
use embedded_rtmp::time::Instant;
use embedded_rtmp::web::{WebCredentials, WebRejection};

use crate::net::entropy;

/// A user and a password, which `Debug` omits.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Checks the answers of clients to challenges.
pub(super) struct Access<'a> {
    user: &'a User,
    challenger: Challenger<1024>,
    failures: Failures<256>,
}

const WRONG: &str = "turned away: a wrong user or password";
const TOO_MANY: &str = "turned away: too many wrong passwords from this address";

/// The address in the form that a table of failures needs.
pub(super) fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
    .octets()
}

/// The reason why a client is refused.
pub(super) struct Refusal {
    /// The description that the client receives.
    pub(super) description: String,
    /// The text that is reported if the client has sent a wrong answer.
    pub(super) trouble: Option<&'static str>,
}

impl<'a> Access<'a> {
    /// # Errors
    /// The system has no random bytes.
    pub(super) fn new(user: &'a User) -> Result<Self> {
        Ok(Self { user, challenger: Challenger::new(entropy()?), failures: Failures::new() })
    }

    /// Checks the user and the password of a request over HTTP.
    ///
    /// # Errors
    /// How the request is rejected, and the text that is reported if its password was wrong.
    pub(super) fn check_credentials(
        &mut self,
        now: Instant,
        address: IpAddr,
        credentials: Option<WebCredentials<'_>>,
    ) -> Result<(), (WebRejection, Option<&'static str>)> {
        let Some(credentials) = credentials else { return Err((WebRejection::Unauthorized, None)) };
        let address = octets(address);
        if !self.failures.may_try(now, address) {
            return Err((WebRejection::TooMany, Some(TOO_MANY)));
        }
        if credentials.are(&self.user.name, &self.user.password) {
            self.failures.note_success(address);
            return Ok(());
        }
        self.failures.note_failure(now, address);
        Err((WebRejection::Unauthorized, Some(WRONG)))
    }

    /// Returns why a client is refused, or `None` if it may connect to this application.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub(super) fn refusal(&mut self, now: Instant, address: IpAddr, app: &[u8]) -> Result<Option<Refusal>> {
        let address = octets(address);
        let may_try = self.failures.may_try(now, address);
        let User { name, password } = self.user;
        let password = |user: &str| (user == name && may_try).then_some(password.as_str());
        let mut text = [0; Challenger::<1024>::DESCRIPTION];
        let Verdict::Reject { description, is_failure } =
            self.challenger.check(now, &entropy()?, Text::new(app), password, &mut text)
        else {
            self.failures.note_success(address);
            return Ok(None);
        };
        let trouble = match (is_failure, may_try) {
            (true, true) => Some(WRONG),
            (true, false) => Some(TOO_MANY),
            (false, _) => None,
        };
        if is_failure && may_try {
            self.failures.note_failure(now, address);
        }
        Ok(Some(Refusal { description: description.to_owned(), trouble }))
    }
}
