//! Measures the deepest stack. cortex-m-rt paints the stack before anything runs.

use core::ptr::{addr_of, read_volatile};

const PAINT: u32 = 0xCCCC_CCCC;

unsafe extern "C" {
    /// The start of the stack. It grows towards the other address.
    static _stack_start: u32;
    static _stack_end: u32;
}

/// The bytes of the stack that were ever used.
pub fn deepest() -> usize {
    let (top, mut at) = (addr_of!(_stack_start), addr_of!(_stack_end));
    // SAFETY: the words between the two are the stack's own, and reading them changes nothing.
    while at < top && unsafe { read_volatile(at) } == PAINT {
        at = at.wrapping_add(1);
    }
    top as usize - at as usize
}
