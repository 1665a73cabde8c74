//! A simulated device: an Ethernet port and a network stack of its own.

use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use embassy_net_driver_channel as channel;
use embassy_net_driver_channel::driver::HardwareAddress;

/// The longest Ethernet frame, without its check sequence.
pub const MTU: usize = 1514;
/// Frames that the port buffers in each direction.
const FRAMES: usize = 8;
/// Sockets of one stack, including its DNS socket.
const SOCKETS: usize = 12;

/// The wire's end of a device's Ethernet port.
pub type Port<'d> = channel::Runner<'d, MTU>;
/// The runner of a device's network stack.
pub type NetworkRunner<'d> = Runner<'d, channel::Device<'d, MTU>>;

/// The memory of one device's network.
pub struct Device {
    port: channel::State<MTU, FRAMES, FRAMES>,
    resources: StackResources<SOCKETS>,
}

impl Device {
    /// A device that is switched off. It is boxed because it contains the frames of its port.
    pub fn new() -> Box<Self> {
        Box::new(Self { port: channel::State::new(), resources: StackResources::new() })
    }

    /// Switches it on, at the address 10.0.0.`host`.
    pub fn start(&mut self, host: u8) -> (Stack<'_>, NetworkRunner<'_>, Port<'_>) {
        let hardware = HardwareAddress::Ethernet([0x02, 0, 0, 0, 0, host]);
        let (port, device) = channel::new(&mut self.port, hardware);
        let config = Config::ipv4_static(StaticConfigV4 {
            address: Ipv4Cidr::new(Ipv4Address::new(10, 0, 0, host), 24),
            gateway: None,
            // Only tests run a name server on that device.
            dns_servers: [Ipv4Address::new(10, 0, 0, 2)].into_iter().collect(),
        });
        // The seed decides the first local port and the sequence numbers: fixed, so that runs repeat.
        let (stack, runner) =
            embassy_net::new(device, config, &mut self.resources, u64::from(host) << 32 | 0x2545_F491);
        (stack, runner, port)
    }
}
