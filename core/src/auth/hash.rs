//! MD5 of a text in parts.

use base64ct::{Base64, Encoding as _};
use md5::{Digest as _, Md5};

/// The length of an MD5 in Base64.
pub(super) const BASE64: usize = 24;

/// The length of an MD5 in hexadecimal digits.
pub(super) const HEX: usize = 32;

fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Md5::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// Returns the MD5 of the concatenation of `parts`, in Base64.
pub(super) fn md5_base64<'t>(parts: &[&[u8]], text: &'t mut [u8; BASE64]) -> &'t str {
    // The text has room.
    Base64::encode(&md5(parts), text).unwrap_or_default()
}

/// Returns the MD5 of the concatenation of `parts`, in lower-case hexadecimal digits.
pub(super) fn md5_hex<'t>(parts: &[&[u8]], text: &'t mut [u8; HEX]) -> &'t str {
    // The text has room.
    base16ct::lower::encode_str(&md5(parts), text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn md5_is_that_of_rfc_1321() {
        assert_eq!(md5_hex(&[b"message ", b"digest"], &mut [0; HEX]), "f96b697d7cb7938d525a2f31aaf161d0");
        assert_eq!(md5_base64(&[], &mut [0; BASE64]), "1B2M2Y8AsgTpgAmY7PhCfg==");
    }
}
