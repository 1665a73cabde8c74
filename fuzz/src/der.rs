//! The parts of a valid certificate.

/// Splits off the first element of DER: its header and content.
fn element(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (header, length) = header(bytes);
    bytes.split_at(header + length)
}

/// The lengths of the header and the content of the first element.
fn header(bytes: &[u8]) -> (usize, usize) {
    match bytes[1] {
        0x81 => (3, bytes[2].into()),
        0x82 => (4, u16::from_be_bytes([bytes[2], bytes[3]]).into()),
        length => (2, length.into()),
    }
}

/// The TBSCertificate: the part of a certificate that its issuer has signed.
pub fn signed_part(certificate: &[u8]) -> &[u8] {
    element(&certificate[header(certificate).0..]).0
}

/// The SubjectPublicKeyInfo of a certificate.
pub fn spki(certificate: &[u8]) -> &[u8] {
    let signed = signed_part(certificate);
    // The version, the serial number, the algorithm, the issuer, the validity and the subject.
    let rest = (0..6).fold(&signed[header(signed).0..], |rest, _| element(rest).1);
    element(rest).0
}

/// Whether a certificate has the signed part of `original`, in the same place.
pub fn has_signed_part(certificate: &[u8], original: &[u8]) -> bool {
    certificate.get(header(original).0..).is_some_and(|rest| rest.starts_with(signed_part(original)))
}
