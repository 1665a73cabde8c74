//! Reads fields of a certificate: its names, its key, and the time at which its validity begins (RFC 5280, section 4.1).

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const VERSION: u8 = 0xA0;

/// Reads DER: elements of a tag, a length and a content.
#[derive(Clone, Copy)]
pub(super) struct Der<'d>(&'d [u8]);

impl<'d> Der<'d> {
    pub(super) const fn new(bytes: &'d [u8]) -> Self {
        Self(bytes)
    }

    /// Takes the next element. Returns its tag, its content and the whole element.
    fn element(&mut self) -> Option<(u8, &'d [u8], &'d [u8])> {
        let all = self.0;
        let (&[tag, first], mut rest) = all.split_first_chunk()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let (digits, after) = rest.split_at_checked(length & 0x7F).filter(|(digits, _)| digits.len() <= 3)?;
            length = digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
            rest = after;
        }
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content, all.get(..all.len().checked_sub(rest.len())?)?))
    }

    /// Takes the content of an element with this tag.
    fn take(&mut self, tag: u8) -> Option<&'d [u8]> {
        self.element().filter(|element| element.0 == tag).map(|element| element.1)
    }

    fn sequence(&mut self) -> Option<Self> {
        self.take(SEQUENCE).map(Self)
    }

    /// Takes a positive integer. Returns its bytes without leading zeros.
    pub(super) fn integer(&mut self) -> Option<&'d [u8]> {
        let mut bytes = self.take(INTEGER).filter(|bytes| bytes.first().is_some_and(|byte| *byte < 0x80))?;
        while let [0, rest @ ..] = bytes {
            bytes = rest;
        }
        Some(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The two integers of an RSA public key: the modulus and the exponent.
pub(super) fn rsa_key(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut outer = Der::new(key);
    let mut fields = outer.sequence()?;
    let key = (fields.integer()?, fields.integer()?);
    (outer.is_empty() && fields.is_empty()).then_some(key)
}

/// The fields that are read from a certificate.
pub(super) struct Certificate<'c> {
    /// The whole Names of the issuer and of the owner.
    pub(super) issuer: &'c [u8],
    pub(super) subject: &'c [u8],
    /// The `UTCTime` or `GeneralizedTime` from which it is valid: the tag and the content.
    pub(super) not_before: (u8, &'c [u8]),
    /// The whole SubjectPublicKeyInfo.
    pub(super) spki: &'c [u8],
}

impl<'c> Certificate<'c> {
    pub(super) fn parse(certificate: &'c [u8]) -> Option<Self> {
        let mut fields = Der::new(certificate).sequence()?.sequence()?;
        if fields.0.first() == Some(&VERSION) {
            fields.element()?;
        }
        let (_serial, _algorithm, (_, _, issuer)) = (fields.element()?, fields.element()?, fields.element()?);
        let (tag, not_before, _) = fields.sequence()?.element()?;
        let (_, _, subject) = fields.element()?;
        let (SEQUENCE, _, spki) = fields.element()? else { return None };
        Some(Self { issuer, subject, not_before: (tag, not_before), spki })
    }

    /// Returns the seconds from 1970 to the time from which the certificate is valid.
    pub(super) fn not_before(&self) -> Option<u64> {
        const UTC_TIME: u8 = 0x17;
        const GENERALIZED_TIME: u8 = 0x18;
        let (tag, text) = self.not_before;
        let (year, rest) = match tag {
            UTC_TIME => {
                let (year, rest) = number(text, 2)?;
                (if year < 50 { year.checked_add(2000)? } else { year.checked_add(1900)? }, rest)
            }
            GENERALIZED_TIME => number(text, 4)?,
            _ => return None,
        };
        let (month, rest) = number(rest, 2)?;
        let (day, rest) = number(rest, 2)?;
        let (hour, rest) = number(rest, 2)?;
        let (minute, rest) = number(rest, 2)?;
        let (second, rest) = number(rest, 2)?;
        if rest != b"Z" {
            return None;
        }
        // Counts days since March 1 of the year 0, so that a leap day is the last day of its year.
        let (year, month) =
            if month > 2 { (year, month.checked_sub(3)?) } else { (year.checked_sub(1)?, month.checked_add(9)?) };
        let days = year.checked_mul(365)?.checked_add(year / 4)?.checked_sub(year / 100)?.checked_add(year / 400)?;
        let days = days.checked_add(month.checked_mul(153)?.checked_add(2)? / 5)?.checked_add(day)?;
        let days = days.checked_sub(719_469)?;
        let minutes = days.checked_mul(24)?.checked_add(hour)?.checked_mul(60)?.checked_add(minute)?;
        minutes.checked_mul(60)?.checked_add(second)
    }
}

/// Takes a number of `digits` decimal digits.
fn number(text: &[u8], digits: usize) -> Option<(u64, &[u8])> {
    let (number, rest) = text.split_at_checked(digits)?;
    let mut sum: u64 = 0;
    for digit in number {
        sum = sum.checked_mul(10)?.checked_add(u64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?))?;
    }
    Some((sum, rest))
}

/// The parts of a SubjectPublicKeyInfo.
#[derive(Clone, Copy)]
pub(super) struct PublicKey<'k> {
    /// The content of the AlgorithmIdentifier, as in `rustls_pki_types::alg_id`.
    pub(super) algorithm: &'k [u8],
    /// The key.
    pub(super) key: &'k [u8],
}

impl<'k> PublicKey<'k> {
    pub(super) fn parse(spki: &'k [u8]) -> Option<Self> {
        let mut fields = Der::new(spki).sequence()?;
        let algorithm = fields.take(SEQUENCE)?;
        let [0, key @ ..] = fields.take(BIT_STRING)? else { return None };
        Some(Self { algorithm, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_since_1970() {
        let seconds = |tag, text: &'static str| {
            Certificate { issuer: &[], subject: &[], not_before: (tag, text.as_bytes()), spki: &[] }.not_before()
        };
        assert_eq!(seconds(0x17, "700101000000Z"), Some(0));
        assert_eq!(seconds(0x17, "000229235959Z"), Some(951_868_799));
        assert_eq!(seconds(0x17, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(seconds(0x18, "20500101000000Z"), Some(2_524_608_000));
        assert_eq!(seconds(0x18, "24000301000000Z"), Some(13_574_649_600));
        assert_eq!(seconds(0x17, "7001010000Z"), None);
        assert_eq!(seconds(0x17, "70010100000xZ"), None);
        assert_eq!(seconds(0x16, "700101000000Z"), None);
        assert_eq!(seconds(0x17, "691231235959Z"), None, "before 1970");
    }

    #[test]
    fn lengths_that_are_cut_or_too_long_are_refused() {
        for bytes in [&[0x30][..], &[0x30, 1], &[0x30, 0x81], &[0x30, 0x84, 0, 0, 0, 0], &[0x30, 0xFF, 0]] {
            assert!(Der::new(bytes).element().is_none(), "{bytes:02x?}");
        }
        assert_eq!(Der::new(&[0x30, 0x82, 0, 1, 7]).take(0x30), Some(&[7][..]));
    }
}
