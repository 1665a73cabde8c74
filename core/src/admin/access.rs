//! The user and the password.

use core::fmt;

use ctutils::CtEq as _;

use super::failure::AdminFailure;
use crate::amf0::Text;
use crate::auth::Failures;
use crate::fmt::impl_format;
use crate::time::Instant;

/// The user and the password that a client sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AdminCredentials<'d> {
    /// The name of the user.
    pub user: Text<'d>,
    /// The password.
    pub password: Text<'d>,
}

/// Omits the content, which is secret.
impl fmt::Debug for AdminCredentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminCredentials")
    }
}

impl_format!(['d] AdminCredentials<'d>, _ => "AdminCredentials");

/// Decides which clients may use the methods.
///
/// `N` is the number of addresses whose wrong passwords are counted: see [`Failures`]. Use one for HTTP and RTMP together.
pub struct AdminAccess<'a, const N: usize = 16> {
    user: &'a str,
    password: &'a str,
    failures: Failures<N>,
}

impl<'a, const N: usize> AdminAccess<'a, N> {
    /// Accepts one user with a password. If the name or the password is empty, nobody is accepted.
    pub const fn new(user: &'a str, password: &'a str) -> Self {
        Self { user, password, failures: Failures::new() }
    }

    /// Decides about the answer to [`AdminEvent::Login`](super::AdminEvent::Login). `address` is that of the client, in the
    /// form that [`Failures`] needs.
    ///
    /// The user and the password are compared in a time that depends only on their lengths, and that is the same for a wrong
    /// user and a wrong password. After 5 failures, an address waits for 1 s. Each further failure doubles this, up to 60 s.
    /// Other addresses do not wait.
    ///
    /// # Errors
    /// [`AdminFailure::Login`] or [`AdminFailure::Wait`]. A request without credentials is refused and not counted.
    pub fn check(
        &mut self,
        now: Instant,
        address: [u8; 16],
        credentials: Option<AdminCredentials<'_>>,
    ) -> Result<(), AdminFailure> {
        let Some(AdminCredentials { user, password }) = credentials else { return Err(AdminFailure::Login) };
        let wait = self.failures.wait(now, address);
        if !wait.is_zero() {
            return Err(AdminFailure::Wait {
                seconds: u8::try_from(wait.as_secs()).unwrap_or(u8::MAX).saturating_add(1),
            });
        }
        let is_user = user.as_bytes().ct_eq(self.user.as_bytes());
        let is_password = password.as_bytes().ct_eq(self.password.as_bytes());
        if (is_user & is_password).to_bool() && !self.user.is_empty() && !self.password.is_empty() {
            self.failures.note_success(address);
            return Ok(());
        }
        self.failures.note_failure(now, address);
        Err(AdminFailure::Login)
    }
}

/// Omits the user and the password.
impl<const N: usize> fmt::Debug for AdminAccess<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminAccess")
    }
}

impl_format!(['a, const N: usize] AdminAccess<'a, N>, _ => "AdminAccess");
