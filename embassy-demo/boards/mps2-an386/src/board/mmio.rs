//! The registers of the board's peripherals.

use crate::lan9118::Registers;

/// The word registers of one peripheral.
#[derive(Clone, Copy)]
pub struct Mmio(usize);

impl Mmio {
    /// # Safety
    /// There must be a peripheral at `base`, with a word register at each offset that is used. Reading and writing them must
    /// touch no memory.
    pub(super) const unsafe fn new(base: usize) -> Self {
        Self(base)
    }

    /// Reads the register at an offset.
    pub(super) fn read(self, offset: usize) -> u32 {
        // SAFETY: the caller of `new` has promised that there is a register.
        unsafe { core::ptr::read_volatile((self.0 + offset) as *const u32) }
    }

    /// Writes the register at an offset.
    pub(super) fn write(self, offset: usize, value: u32) {
        // SAFETY: as above.
        unsafe { core::ptr::write_volatile((self.0 + offset) as *mut u32, value) }
    }
}

impl Registers for Mmio {
    fn read(&mut self, offset: usize) -> u32 {
        Mmio::read(*self, offset)
    }

    fn write(&mut self, offset: usize, value: u32) {
        Mmio::write(*self, offset, value);
    }
}
