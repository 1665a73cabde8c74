//! XTEA over the signature in C2 and S2, which distinguishes type 8 from type 6.

use crate::mac::Digest;

/// The keys. A byte of the key of the signature selects one of them. They are public.
static KEYS: [[u32; 4]; 15] = [
    [0xBFF0_34B2, 0x11D9_081F, 0xCCDF_B795, 0x748D_E732],
    [0x086A_5EB6, 0x1743_090E, 0x6EF0_5AB8, 0xFE5A_39E2],
    [0x7B10_956F, 0x76CE_0521, 0x2388_A73A, 0x4401_49A1],
    [0xA943_F317, 0xEBF1_1BB2, 0xA691_A5EE, 0x17F3_6339],
    [0x7A30_E00A, 0xB529_E22C, 0xA087_AEA5, 0xC0CB_79AC],
    [0xBDCE_0C23, 0x2FEB_DEFF, 0x1CFA_AE16, 0x1123_239D],
    [0x55DD_3F7B, 0x77E7_E62E, 0x9BB8_C499, 0xC948_1EE4],
    [0x407B_B6B4, 0x71E8_9136, 0xA7AE_BF55, 0xCA33_B839],
    [0xFCF6_BDC3, 0xB63C_3697, 0x7CE4_F825, 0x04D9_59B2],
    [0x28E0_91FD, 0x4195_4C4C, 0x7FB7_DB00, 0xE3A0_66F8],
    [0x5784_5B76, 0x4F25_1B03, 0x46D4_5BCD, 0xA2C3_0D29],
    [0x0ACC_EEF8, 0xDA55_B546, 0x0347_3452, 0x5863_713B],
    [0xB820_75DC, 0xA75F_1FEE, 0xD842_68E8, 0xA72A_44CC],
    [0x07CF_6E9E, 0xA16D_7B25, 0x9FA7_AE6C, 0xD92F_5629],
    [0xFEB1_EAE4, 0x8C8C_3CE1, 0x4E00_64A7, 0x6A38_7C2A],
];

/// Enciphers a signature in place, in four blocks. `key` is the key with which the signature was made.
pub(crate) fn encipher_signature(signature: &mut Digest, key: &Digest) {
    let (blocks, _) = signature.as_chunks_mut::<8>();
    for (block, selector) in blocks.iter_mut().zip(key.iter().step_by(8)) {
        if let Some(key) = KEYS.get(usize::from(selector % 15)) {
            encipher(block, key);
        }
    }
}

/// XTEA with 32 rounds. The block is two little-endian numbers.
fn encipher(block: &mut [u8; 8], key: &[u32; 4]) {
    let [a, b, c, d, e, f, g, h] = *block;
    let (mut left, mut right) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    let mut sum = 0_u32;
    let part = |sum: u32, select: u32| sum.wrapping_add(key.get((select & 3) as usize).copied().unwrap_or_default());
    let mix = |half: u32| ((half << 4) ^ (half >> 5)).wrapping_add(half);
    for _ in 0..32 {
        left = left.wrapping_add(mix(right) ^ part(sum, sum));
        sum = sum.wrapping_add(0x9E37_79B9);
        right = right.wrapping_add(mix(left) ^ part(sum, sum >> 11));
    }
    let ([a, b, c, d], [e, f, g, h]) = (left.to_le_bytes(), right.to_le_bytes());
    *block = [a, b, c, d, e, f, g, h];
}
