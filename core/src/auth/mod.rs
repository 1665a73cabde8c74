//! Authentication of publishers and players with a user and a password, inside `connect` (feature `auth`).
//!
//! Adobe's and Limelight's servers refuse a `connect` without credentials. The description of the refusal tells the
//! client what to send. The client closes the connection and connects again. The query of the application and of tcUrl
//! then contains the answer:
//!
//! ```text
//! client                                       server
//! live                                         code=403 need auth; authmod=adobe
//! live?authmod=adobe&user=U                    ?reason=needauth&user=U&salt=S&challenge=C&opaque=O
//! live?authmod=adobe&user=U&challenge=D&
//!      response=R&opaque=O                     accepted, or ?reason=authfailed
//! ```
//!
//! R is the Base64 form of MD5(Base64(MD5(U S password)) O D); if there is no O, C is used instead. [`Authenticator`] is
//! the client's side of both kinds. [`Challenger`] is the server's side of Adobe's kind.
//!
//! The exchange uses MD5 and is not encrypted. An eavesdropper does not see the password, but it can test guesses
//! offline against a recorded exchange. An attacker on the path can also read and change the stream. Use RTMPS to
//! prevent this.
//!
//! librtmp with GnuTLS, which GStreamer's `rtmpsink` uses on Debian, hashes memory behind its text. A server refuses about
//! half of its answers, which it cannot recognize. Other clients do not have this defect.

mod challenger;
mod client;
mod failures;
mod hash;
#[cfg(test)]
mod tests;

pub use challenger::{Challenger, MAX_USER, Verdict};
pub use client::{AuthError, Authenticator, Credentials};
pub use failures::Failures;

/// Returns the value of `name` in `query`. A query consists of pairs `name=value`, separated by `&` or `?`. Clients put
/// `?` before their answer even if the application already has a query. The value may contain `=`.
fn value<'q>(query: &'q [u8], name: &str) -> Option<&'q [u8]> {
    let mut pairs = query.split(|byte| matches!(byte, b'&' | b'?'));
    pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}
