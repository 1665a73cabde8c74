//! Measures the deepest stack. cortex-m-rt paints the stack before anything runs.

use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

const PAINT: u32 = 0xCCCC_CCCC;

/// Bytes below the stack pointer that are not painted: what the function that paints may use.
const MARGIN: usize = 256;

unsafe extern "C" {
    /// The start of the stack. It grows towards the other address.
    static _stack_start: u32;
    static mut _stack_end: u32;
}

/// Paints what is below the stack pointer, so that [`deepest`] starts again.
pub fn paint() {
    critical_section::with(|_| {
        let end = (cortex_m::register::msp::read() as usize).saturating_sub(MARGIN);
        let mut at = addr_of_mut!(_stack_end);
        while (at as usize) < end {
            // SAFETY: the words are the stack's own, below what is in use, and no interrupt runs.
            unsafe { write_volatile(at, PAINT) };
            at = at.wrapping_add(1);
        }
    });
}

/// The bytes of the stack that were used since the start or since [`paint`].
pub fn deepest() -> usize {
    let (top, mut at) = (addr_of!(_stack_start), addr_of!(_stack_end));
    // SAFETY: the words between the two are the stack's own, and reading them changes nothing.
    while at < top && unsafe { read_volatile(at) } == PAINT {
        at = at.wrapping_add(1);
    }
    top as usize - at as usize
}
