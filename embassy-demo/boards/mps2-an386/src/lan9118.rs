//! The Ethernet controller LAN9118, driven by its interrupt.
//!
//! It holds frames in FIFOs behind one address each; a frame is moved word by word, little-endian. When nothing has
//! come, [`Lan9118::receive`] acknowledges and enables the interrupt, then looks once more: the level "a frame has come"
//! is set at its arrival alone. The handler only disables it, through [`Lan9118::disable`], and wakes the network stack.

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

use self::register as r;

/// Offsets and bits (LAN9118 datasheet, section 5).
mod register {
    pub(super) const RX_DATA: usize = 0x00;
    pub(super) const TX_DATA: usize = 0x20;
    pub(super) const RX_STATUS: usize = 0x40;
    pub(super) const IRQ_CFG: usize = 0x54;
    pub(super) const INT_STS: usize = 0x58;
    pub(super) const INT_EN: usize = 0x5C;
    pub(super) const BYTE_TEST: usize = 0x64;
    pub(super) const FIFO_INT: usize = 0x68;
    pub(super) const TX_CFG: usize = 0x70;
    pub(super) const HW_CFG: usize = 0x74;
    pub(super) const RX_FIFO_INF: usize = 0x7C;
    pub(super) const TX_FIFO_INF: usize = 0x80;
    pub(super) const MAC_CSR_CMD: usize = 0xA4;
    pub(super) const MAC_CSR_DATA: usize = 0xA8;

    /// Interrupts go out, active high, push-pull.
    pub(super) const IRQ_ENABLE_HIGH_PUSH_PULL: u32 = 0x111;
    /// More RX statuses wait than the configured level, which is 0.
    pub(super) const INT_RX_STATUS: u32 = 1 << 3;
    pub(super) const INT_PHY: u32 = 1 << 18;
    pub(super) const INT_TX_DATA: u32 = 1 << 9;
    /// The transmitter runs, and stores no TX status.
    pub(super) const TX_ON_NO_STATUS: u32 = 1 << 1 | 1 << 2;
    pub(super) const RX_ERROR: u32 = 1 << 15;
    pub(super) const FIRST_AND_LAST: u32 = 1 << 13 | 1 << 12;

    pub(super) const MAC_BUSY: u32 = 1 << 31;
    pub(super) const MAC_READ: u32 = 1 << 30;
    pub(super) const MAC_CR: u32 = 1;
    pub(super) const MAC_ADDRH: u32 = 2;
    pub(super) const MAC_ADDRL: u32 = 3;
    pub(super) const MAC_MII_ACC: u32 = 6;
    pub(super) const MAC_MII_DATA: u32 = 7;
    /// Full duplex, receiver and transmitter on.
    pub(super) const MAC_FULL_DUPLEX_RX_TX: u32 = 1 << 20 | 1 << 3 | 1 << 2;

    pub(super) const PHY_STATUS: u32 = 1;
    pub(super) const PHY_LINK_UP: u32 = 1 << 2;
    pub(super) const PHY_INT_SOURCE: u32 = 29;
    pub(super) const PHY_INT_MASK: u32 = 30;
    pub(super) const PHY_INT_LINK_DOWN_OR_NEGOTIATED: u32 = 1 << 4 | 1 << 6;
}

/// The bytes of the longest frame, without its CRC: 1,500 and the Ethernet header.
const MTU: usize = 1514;
/// The same in whole words, with the CRC.
const BUFFER: usize = 1520;

/// The controller's registers: the hardware, or a test's.
pub trait Registers {
    /// Reads the register at an offset.
    fn read(&mut self, offset: usize) -> u32;
    /// Writes it.
    fn write(&mut self, offset: usize, value: u32);
}

/// A frame each way, as the stack reads and writes them.
pub struct Buffers {
    rx: [u8; BUFFER],
    tx: [u8; BUFFER],
}

impl Buffers {
    /// All zeros, for a static.
    #[expect(clippy::new_without_default, reason = "the value is for a static")]
    pub const fn new() -> Self {
        Self { rx: [0; BUFFER], tx: [0; BUFFER] }
    }
}

/// The driver.
pub struct Lan9118<'a, R> {
    registers: R,
    buffers: &'a mut Buffers,
    waker: &'a AtomicWaker,
    address: [u8; 6],
}

impl<'a, R: Registers> Lan9118<'a, R> {
    /// Starts the controller. Then the interrupt may be unmasked, not before: at reset the line is active low.
    /// `waker` is what the handler wakes. `None` if no LAN9118 is found.
    pub fn new(mut registers: R, buffers: &'a mut Buffers, waker: &'a AtomicWaker, address: [u8; 6]) -> Option<Self> {
        if registers.read(r::BYTE_TEST) != 0x8765_4321 {
            return None;
        }
        registers.write(r::INT_EN, 0);
        registers.write(r::IRQ_CFG, r::IRQ_ENABLE_HIGH_PUSH_PULL);
        registers.write(r::INT_STS, u32::MAX);
        // 5 KiB of the 16 KiB are for transmission. The rest, minus the statuses, is for reception.
        registers.write(r::HW_CFG, 5 << 16);
        // The RX status interrupt fires above 0 frames, the TX data interrupt above 1,600 free bytes (in units of 64).
        registers.write(r::FIFO_INT, 25 << 24);
        registers.write(r::TX_CFG, r::TX_ON_NO_STATUS);
        let [a, b, c, d, e, f] = address;
        let mut driver = Self { registers, buffers, waker, address };
        driver.write_mac(r::MAC_ADDRL, u32::from_le_bytes([a, b, c, d]));
        driver.write_mac(r::MAC_ADDRH, u32::from_le_bytes([e, f, 0, 0]));
        driver.write_mac(r::MAC_CR, r::MAC_FULL_DUPLEX_RX_TX);
        driver.write_phy(r::PHY_INT_MASK, r::PHY_INT_LINK_DOWN_OR_NEGOTIATED);
        Some(driver)
    }

    /// Disables the interrupt. The handler calls this before it wakes the waker. The next poll enables the interrupt again.
    pub fn disable(registers: &mut R) {
        registers.write(r::INT_EN, 0);
    }

    /// Wakes the waker at the next frame or change of the link and, if `room_too`, when there is room for a frame.
    fn enable(&mut self, room_too: bool, cx: &mut Context<'_>) {
        self.waker.register(cx.waker());
        let interrupts = r::INT_RX_STATUS | r::INT_PHY | if room_too { r::INT_TX_DATA } else { 0 };
        self.registers.write(r::INT_STS, interrupts);
        self.registers.write(r::INT_EN, interrupts);
    }

    fn frames_waiting(&mut self) -> bool {
        self.registers.read(r::RX_FIFO_INF) >> 16 & 0xFF != 0
    }

    /// Moves the next good frame from the FIFO into the buffer. Returns its length without the CRC.
    fn take_frame(&mut self) -> Option<usize> {
        while self.frames_waiting() {
            let status = self.registers.read(r::RX_STATUS);
            let length = (status >> 16 & 0x3FFF) as usize;
            let mut words = self.buffers.rx.chunks_exact_mut(4);
            for _ in 0..length.div_ceil(4) {
                let word = self.registers.read(r::RX_DATA).to_le_bytes();
                if let Some(room) = words.next() {
                    room.copy_from_slice(&word);
                }
            }
            if status & r::RX_ERROR == 0 && (4..=MTU + 4).contains(&length) {
                return Some(length - 4);
            }
        }
        None
    }

    fn has_room(&mut self) -> bool {
        // Both command words, and up to 3 bytes to the end of a word.
        (self.registers.read(r::TX_FIFO_INF) & 0xFFFF) as usize >= MTU + 8 + 3
    }

    /// Waits until the MAC has done what it was told before.
    fn mac_idle(&mut self) {
        while self.registers.read(r::MAC_CSR_CMD) & r::MAC_BUSY != 0 {}
    }

    fn write_mac(&mut self, register: u32, value: u32) {
        self.registers.write(r::MAC_CSR_DATA, value);
        self.registers.write(r::MAC_CSR_CMD, r::MAC_BUSY | register);
        self.mac_idle();
    }

    fn read_mac(&mut self, register: u32) -> u32 {
        self.registers.write(r::MAC_CSR_CMD, r::MAC_BUSY | r::MAC_READ | register);
        self.mac_idle();
        self.registers.read(r::MAC_CSR_DATA)
    }

    /// The PHY inside has the address 1.
    fn read_phy(&mut self, register: u32) -> u32 {
        self.write_mac(r::MAC_MII_ACC, 1 << 11 | register << 6);
        self.read_mac(r::MAC_MII_DATA)
    }

    fn write_phy(&mut self, register: u32, value: u32) {
        self.write_mac(r::MAC_MII_DATA, value);
        self.write_mac(r::MAC_MII_ACC, 1 << 11 | register << 6 | 1 << 1);
    }
}

impl<R: Registers> Driver for Lan9118<'_, R> {
    type RxToken<'t>
        = Received<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Room<'t, R>
    where
        Self: 't;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received<'_>, Room<'_, R>)> {
        if !self.has_room() {
            // An answer could not be sent: the frame waits.
            self.enable(true, cx);
            if !self.has_room() {
                return None;
            }
        }
        let length = match self.take_frame() {
            Some(length) => length,
            None => {
                self.enable(false, cx);
                self.take_frame()?
            }
        };
        let received = Received(self.buffers.rx.get_mut(..length)?);
        Some((received, Room { registers: &mut self.registers, frame: &mut self.buffers.tx }))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Room<'_, R>> {
        if !self.has_room() {
            self.enable(true, cx);
            if !self.has_room() {
                return None;
            }
        }
        Some(Room { registers: &mut self.registers, frame: &mut self.buffers.tx })
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        self.waker.register(cx.waker());
        // Reading the source acknowledges it.
        self.read_phy(r::PHY_INT_SOURCE);
        match self.read_phy(r::PHY_STATUS) & r::PHY_LINK_UP {
            0 => LinkState::Down,
            _ => LinkState::Up,
        }
    }

    fn capabilities(&self) -> Capabilities {
        // No limit on bursts: with one, smoltcp narrows the TCP window to a single segment.
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A frame that has come.
pub struct Received<'t>(&'t mut [u8]);

impl RxToken for Received<'_> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, f: F) -> T {
        f(self.0)
    }
}

/// Room for a frame to send.
pub struct Room<'t, R> {
    registers: &'t mut R,
    frame: &'t mut [u8; BUFFER],
}

impl<R: Registers> TxToken for Room<'_, R> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, length: usize, f: F) -> T {
        let length = length.min(MTU);
        let (frame, _) = self.frame.split_at_mut(length);
        let result = f(frame);
        // Command A: one buffer, which is a whole frame; command B: the frame's length.
        self.registers.write(r::TX_DATA, r::FIRST_AND_LAST | length as u32);
        self.registers.write(r::TX_DATA, length as u32);
        for word in self.frame.chunks_exact(4).take(length.div_ceil(4)) {
            let &[a, b, c, d] = word else { continue };
            self.registers.write(r::TX_DATA, u32::from_le_bytes([a, b, c, d]));
        }
        result
    }
}

#[cfg(test)]
mod tests;
