//! The server's side of Adobe's kind.

use core::fmt;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use ctutils::CtEq as _;
use heapless::Vec;
use zeroize::Zeroize as _;

use super::hash::{BASE64, md5_base64};
use super::value;
use crate::amf0::Text;
use crate::fmt::impl_format;
use crate::mac::{Digest, Mac};
use crate::text::put;
use crate::time::Instant;

/// How long a challenge is valid, in milliseconds.
const VALID: u32 = 30_000;

/// The longest name of a user that a server accepts, in bytes.
pub const MAX_USER: usize = 64;

/// The length of a challenge in bytes: the time at which it was made, random bytes, and a MAC over both and the user's
/// name.
const CHALLENGE: usize = 8 + 8 + 16;
const CHALLENGE_TEXT: usize = (CHALLENGE * 4).div_ceil(3);

const SALT: usize = 6;
const SALT_TEXT: usize = (SALT * 4).div_ceil(3);

/// The answer of a server to `connect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verdict<'t> {
    /// The client has proved that it knows the password.
    Accept,
    /// The client is refused. Pass the description to
    /// [`Server::reject_connect`](crate::session::Server::reject_connect).
    Reject {
        /// The description, which tells the client what to send.
        description: &'t str,
        /// Whether the answer was made with a wrong password. Count it in [`Failures`](super::Failures). It is `false` for a
        /// right answer to a challenge that is too old or that was answered before.
        is_failure: bool,
    },
}

/// The server's side of Adobe's authentication.
///
/// The exchange takes three connections. The server stores nothing for a client that has not proved that it knows the
/// password: a challenge contains the time at which it was made and a MAC. A challenge is valid for 30 s and for one
/// right answer. At most `USED` right answers are accepted within 30 s. Further ones are refused. Use it together with
/// [`Failures`](super::Failures), which limits how fast one address can try passwords.
///
/// The server answers an unknown user and a wrong password in the same way.
pub struct Challenger<const USED: usize = 64> {
    secret: [u8; 32],
    /// The answered challenges, each with the end of its validity.
    used: Vec<([u8; 16], Instant), USED>,
}

impl<const USED: usize> Challenger<USED> {
    /// The largest length of a description, in bytes.
    pub const DESCRIPTION: usize = 192 + MAX_USER;

    /// Creates the server's side, with no answered challenges. `secret` is 32 random bytes, which must be new each time
    /// the server starts. A restart forgets which challenges were answered. With a new secret, these challenges are not
    /// valid any longer.
    pub const fn new(secret: [u8; 32]) -> Self {
        Self { secret, used: Vec::new() }
    }

    /// Decides whether a client is accepted. `app` is the application in its `connect`, with the query: the `app` of a
    /// [`ConnectRequest`](crate::command::ConnectRequest).
    ///
    /// `nonce` is 8 random bytes, which must be new for each call. `password` returns the password of a user, or `None`
    /// if there is no such user. `description` needs [`Self::DESCRIPTION`] bytes. A description that does not fit is
    /// cut off.
    ///
    /// After [`Verdict::Accept`], [`Self::user`] returns the user.
    pub fn check<'p, 't>(
        &mut self,
        now: Instant,
        nonce: &[u8; 8],
        app: Text<'_>,
        password: impl FnOnce(&str) -> Option<&'p str>,
        description: &'t mut [u8],
    ) -> Verdict<'t> {
        let query = query(app);
        let is_adobe = query.and_then(|query| value(query, "authmod")) == Some(b"adobe");
        let (Some(query), Some(user)) = (query.filter(|_| is_adobe), Self::user(app)) else {
            let parts: [&[u8]; 1] = [b"[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "];
            return reject(&parts, description, false);
        };
        let mut salt = [0; SALT_TEXT];
        let salt = self.salt(user, &mut salt);
        let (Some(response), Some(own), Some(opaque)) =
            (value(query, "response"), value(query, "challenge"), value(query, "opaque"))
        else {
            let mut text = [0; CHALLENGE_TEXT];
            let challenge = self.challenge(now, nonce, user, &mut text);
            let parts: [&[u8]; 8] = [
                b"[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=",
                user.as_bytes(),
                b"&salt=",
                salt.as_bytes(),
                b"&challenge=",
                challenge.as_bytes(),
                b"&opaque=",
                challenge.as_bytes(),
            ];
            return reject(&parts, description, false);
        };
        // For an unknown user, the answer is checked against a secret value, so that the check takes as long as for a
        // known user.
        let unknown = self.tag(&[b"password", user.as_bytes()]);
        let password = password(user).map_or(&unknown[..], str::as_bytes);
        let (mut secret, mut expected) = ([0; BASE64], [0; BASE64]);
        md5_base64(&[user.as_bytes(), salt.as_bytes(), password], &mut secret);
        let expected = md5_base64(&[&secret, opaque, own], &mut expected);
        secret.zeroize();
        // librtmp with GnuTLS sends bytes of its stack after the hash.
        let response = response.get(..BASE64).unwrap_or_default();
        let is_right = expected.as_bytes().ct_eq(response).to_bool();
        // Only right answers are stored in the list of answered challenges, so wrong answers cannot fill it.
        if is_right && self.is_fresh(now, user, opaque) {
            return Verdict::Accept;
        }
        let parts: [&[u8]; 1] = [b"[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed"];
        reject(&parts, description, !is_right)
    }

    /// Returns the user that a client names in the application of its `connect`. The name is proved only after
    /// [`Verdict::Accept`].
    pub fn user<'a>(app: Text<'a>) -> Option<&'a str> {
        let user = core::str::from_utf8(value(query(app)?, "user")?).ok()?;
        Some(user).filter(|user| (1..=MAX_USER).contains(&user.len()))
    }

    /// Writes the salt of a user, which is the same each time. A user that does not exist has one, too.
    fn salt<'t>(&self, user: &str, text: &'t mut [u8; SALT_TEXT]) -> &'t str {
        let tag = self.tag(&[b"salt", user.as_bytes()]);
        // The text has room.
        Base64UrlUnpadded::encode(tag.get(..SALT).unwrap_or_default(), text).unwrap_or_default()
    }

    fn challenge<'t>(&self, now: Instant, nonce: &[u8; 8], user: &str, text: &'t mut [u8; CHALLENGE_TEXT]) -> &'t str {
        let time = now.as_micros().to_be_bytes();
        let mac = self.tag(&[b"challenge", &time, nonce, user.as_bytes()]);
        let mut challenge = [0; CHALLENGE];
        put(&[&time, nonce, &mac], 0, &mut challenge);
        // The text has room.
        Base64UrlUnpadded::encode(&challenge, text).unwrap_or_default()
    }

    /// Returns whether this server made the challenge for this user, and it is neither too old nor answered. Marks it
    /// as answered.
    fn is_fresh(&mut self, now: Instant, user: &str, challenge: &[u8]) -> bool {
        let mut bytes = [0; CHALLENGE];
        let decoded = Base64UrlUnpadded::decode(challenge, &mut bytes);
        if decoded.map_or(0, <[u8]>::len) != CHALLENGE {
            return false;
        }
        let (Some((time, rest)), Some(mac)) = (bytes.split_first_chunk::<8>(), bytes.last_chunk::<16>()) else {
            return false;
        };
        let Some(nonce) = rest.first_chunk::<8>() else { return false };
        let expected = self.tag(&[b"challenge", time, nonce, user.as_bytes()]);
        let made = Instant::from_micros(u64::from_be_bytes(*time));
        let until = made.after_millis(VALID);
        let is_own = expected.get(..16).is_some_and(|expected| expected.ct_eq(mac).to_bool());
        if !is_own || now < made || now >= until {
            return false;
        }
        self.used.retain(|(_, until)| now < *until);
        let is_used = self.used.iter().any(|(used, _)| used == mac);
        !is_used && self.used.push((*mac, until)).is_ok()
    }

    fn tag(&self, parts: &[&[u8]]) -> Digest {
        let mut mac = Mac::new(&self.secret);
        parts.iter().for_each(|part| mac.update(part));
        mac.finish()
    }
}

impl<const USED: usize> Drop for Challenger<USED> {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// Omits the secret.
impl<const USED: usize> fmt::Debug for Challenger<USED> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenger").field("used", &self.used.len()).finish_non_exhaustive()
    }
}

impl_format!([const USED: usize] Challenger<USED>, this => "Challenger {{ used: {=usize} }}", this.used.len());

/// The query of an application.
fn query(app: Text<'_>) -> Option<&[u8]> {
    let app = app.as_bytes();
    let mark = app.iter().position(|byte| *byte == b'?')?;
    app.get(mark.saturating_add(1)..)
}

fn reject<'t>(parts: &[&[u8]], description: &'t mut [u8], is_failure: bool) -> Verdict<'t> {
    let (length, _) = put(parts, 0, description);
    let description = core::str::from_utf8(description.get(..length).unwrap_or_default()).unwrap_or_default();
    Verdict::Reject { description, is_failure }
}
