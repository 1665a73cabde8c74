//! The driver against a model of the controller's registers.

use core::task::{Context, Waker};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::vec::Vec;

use super::*;

/// What the datasheet says of the registers that the driver uses.
#[derive(Default)]
struct Model {
    statuses: VecDeque<u32>,
    words: VecDeque<u32>,
    sent: Vec<u32>,
    room: u32,
    link: u32,
    enabled: u32,
    /// The frame that arrives at the moment when the interrupt is enabled.
    comes_late: Option<Vec<u8>>,
    mac: [u32; 13],
    mac_data: u32,
    phy_mask: u32,
}

impl Model {
    fn new() -> RefCell<Self> {
        RefCell::new(Self { room: 4608, link: r::PHY_LINK_UP, ..Self::default() })
    }

    /// A frame comes; its CRC is four bytes behind it.
    fn come(&mut self, frame: &[u8], error: u32) {
        let bytes = [frame, b"CRC!"].concat();
        self.statuses.push_back((bytes.len() as u32) << 16 | error);
        let word = |part: &[u8]| {
            let mut word = [0; 4];
            word[..part.len()].copy_from_slice(part);
            u32::from_le_bytes(word)
        };
        self.words.extend(bytes.chunks(4).map(word));
    }
}

impl Registers for &RefCell<Model> {
    fn read(&mut self, offset: usize) -> u32 {
        let mut model = self.borrow_mut();
        match offset {
            r::BYTE_TEST => 0x8765_4321,
            r::RX_FIFO_INF => (model.statuses.len() as u32) << 16 | (model.words.len() as u32 * 4),
            r::RX_STATUS => model.statuses.pop_front().expect("a status waits"),
            r::RX_DATA => model.words.pop_front().expect("a word waits"),
            r::TX_FIFO_INF => 0x00AB_0000 | model.room,
            r::MAC_CSR_CMD => 0,
            r::MAC_CSR_DATA => model.mac_data,
            offset => panic!("the driver must not read {offset:#x}"),
        }
    }

    fn write(&mut self, offset: usize, value: u32) {
        let mut model = self.borrow_mut();
        match offset {
            r::TX_DATA => model.sent.push(value),
            r::INT_EN => {
                model.enabled = value;
                if let Some(frame) = model.comes_late.take_if(|_| value != 0) {
                    model.come(&frame, 0);
                }
            }
            r::MAC_CSR_DATA => model.mac_data = value,
            r::MAC_CSR_CMD if value & r::MAC_READ != 0 => model.mac_data = model.mac[(value & 0xF) as usize],
            r::MAC_CSR_CMD => {
                let (register, data) = ((value & 0xF) as usize, model.mac_data);
                model.mac[register] = data;
                if register == r::MAC_MII_ACC as usize {
                    assert_eq!(data >> 11, 1, "the PHY's address");
                    match (data >> 6 & 0x1F, data & 2) {
                        (r::PHY_STATUS, 0) => model.mac[7] = model.link,
                        (r::PHY_INT_SOURCE, 0) => model.mac[7] = 0,
                        (r::PHY_INT_MASK, 2) => model.phy_mask = model.mac[7],
                        what => panic!("the driver must not use PHY {what:?}"),
                    }
                }
            }
            r::IRQ_CFG | r::INT_STS | r::HW_CFG | r::FIFO_INT | r::TX_CFG => {}
            offset => panic!("the driver must not write {offset:#x}"),
        }
    }
}

/// Runs `test` with a driver of the model.
fn with<T>(model: &RefCell<Model>, test: impl FnOnce(&mut Lan9118<'_, &RefCell<Model>>, &mut Context<'_>) -> T) -> T {
    let (mut buffers, waker) = (Buffers::new(), AtomicWaker::new());
    let mut driver = Lan9118::new(model, &mut buffers, &waker, [2, 1, 4, 3, 6, 5]).expect("the controller is found");
    test(&mut driver, &mut Context::from_waker(Waker::noop()))
}

fn received(driver: &mut Lan9118<'_, &RefCell<Model>>, cx: &mut Context<'_>) -> Option<Vec<u8>> {
    let (token, _) = driver.receive(cx)?;
    Some(token.consume(|frame| frame.to_vec()))
}

#[test]
fn starting_sets_the_address_and_listens_to_the_phy() {
    let model = Model::new();
    with(&model, |driver, _| {
        assert_eq!(driver.hardware_address(), HardwareAddress::Ethernet([2, 1, 4, 3, 6, 5]));
        assert_eq!(driver.capabilities().max_burst_size, None);
    });
    let model = model.borrow();
    assert_eq!((model.mac[2], model.mac[3]), (0x0000_0506, 0x0304_0102));
    assert_eq!(model.mac[1], 1 << 20 | 0b1100);
    assert_eq!(model.phy_mask, 0x50);
    assert_eq!(model.enabled, 0, "nothing is enabled before the first poll");
}

#[test]
fn frames_come_without_their_crc_in_order_and_bad_ones_are_passed_over() {
    let model = Model::new();
    let longest: Vec<u8> = (0..1514).map(|at| at as u8).collect();
    {
        let mut model = model.borrow_mut();
        model.come(b"0123456789", 0);
        model.come(b"bad", r::RX_ERROR);
        model.come(&longest, 0);
        model.come(&[7; 1515], 0);
        model.come(&[9; 60], 0);
    }
    with(&model, |driver, cx| {
        assert_eq!(received(driver, cx).as_deref(), Some(&b"0123456789"[..]));
        assert_eq!(received(driver, cx), Some(longest));
        assert_eq!(received(driver, cx), Some([9; 60].into()));
        assert_eq!(received(driver, cx), None);
    });
    assert!(model.borrow().words.is_empty(), "all words were taken");
}

#[test]
fn with_nothing_to_receive_the_interrupt_is_enabled_and_what_came_meanwhile_is_taken() {
    let model = Model::new();
    with(&model, |driver, cx| {
        assert_eq!(received(driver, cx), None);
        assert_eq!(model.borrow().enabled, r::INT_RX_STATUS | r::INT_PHY);
        Lan9118::disable(&mut &model);
        assert_eq!(model.borrow().enabled, 0);
        model.borrow_mut().comes_late = Some(b"just now".into());
        assert_eq!(received(driver, cx).as_deref(), Some(&b"just now"[..]));
    });
}

#[test]
fn a_frame_goes_out_as_two_commands_and_whole_words() {
    let model = Model::new();
    with(&model, |driver, cx| {
        let token = driver.transmit(cx).expect("there is room");
        assert_eq!(token.consume(6, |frame| frame.copy_from_slice(b"abcdef")), ());
    });
    let model = model.borrow();
    let [a, b, words @ ..] = &model.sent[..] else { panic!("two commands come first") };
    assert_eq!((*a, *b), (0x3006, 6));
    assert_eq!(words.len(), 2);
    assert_eq!((words[0].to_le_bytes(), &words[1].to_le_bytes()[..2]), (*b"abcd", &b"ef"[..]));
}

#[test]
fn without_room_nothing_is_sent_and_nothing_that_needs_an_answer_is_taken() {
    let model = Model::new();
    model.borrow_mut().room = 1514 + 8 + 2;
    model.borrow_mut().come(b"ping", 0);
    with(&model, |driver, cx| {
        assert!(driver.transmit(cx).is_none());
        assert!(driver.receive(cx).is_none());
        assert_eq!(model.borrow().enabled, r::INT_RX_STATUS | r::INT_PHY | r::INT_TX_DATA);
        model.borrow_mut().room += 1;
        assert!(driver.transmit(cx).is_some());
        assert_eq!(received(driver, cx).as_deref(), Some(&b"ping"[..]));
    });
}

#[test]
fn the_link_is_what_the_phy_says() {
    let model = Model::new();
    with(&model, |driver, cx| {
        assert!(driver.link_state(cx) == LinkState::Up);
        model.borrow_mut().link = 0;
        assert!(driver.link_state(cx) == LinkState::Down);
    });
}
