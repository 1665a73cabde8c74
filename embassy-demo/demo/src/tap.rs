//! A device behind a TAP interface of this machine: the same stack and the same code, on a real network.

use anyhow::{Context, Result, anyhow};
use embassy_net::{Config, Ipv4Cidr, Stack, StackResources, StaticConfigV4};
use embassy_net_tuntap::TunTapDevice;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Limits, Order, Plan};
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{ClientOptions, Error, Memory, test_ports};

use super::clock::block_on;
use super::flv::{self, Tag};
use super::options;
use super::progress::Progress;
use super::publish::race;
use super::report::verdict;
use super::tasks::{self, Task};
use super::wire::Random;

/// Tests the ports, publishes the bundled clip, and prints the result of every attempt of both.
///
/// # Errors
/// The options or the interface cannot be used, or the clip was not published.
pub fn run(tap: &options::Tap) -> Result<()> {
    let (address, bits) =
        tap.address.split_once('/').context("the address has no prefix length; write for example 10.77.1.2/24")?;
    let address = Ipv4Cidr::new(address.parse().context("no address")?, bits.parse().context("no number of bits")?);
    let device = TunTapDevice::new(&tap.interface).with_context(|| format!("cannot use {}", tap.interface))?;
    let gateway = Some(tap.gateway);
    let config = Config::ipv4_static(StaticConfigV4 { address, gateway, dns_servers: Default::default() });
    let mut random = Random(u64::from(std::process::id()) << 32 | 0x2545_F491);
    let mut resources = Box::new(StackResources::<8>::new());
    let (stack, mut runner) = embassy_net::new(device, config, &mut resources, random.next_u64());
    let network: [Task<'_>; 1] = [Box::pin(async { runner.run().await })];
    let clip = flv::read(crate::clip::BUNDLED)?;
    block_on(tasks::run(all(stack, tap, &clip), network))
}

async fn all(stack: Stack<'_>, tap: &options::Tap, clip: &[Tag<'_>]) -> Result<()> {
    let url = Url::parse(&tap.url)?;
    let order = Order::for_url(&url);
    let (mut memory, mut random) = (Box::new(Memory::<4096, 4096>::new()), Random(0x0123_4567_89AB_CDEF));
    let show = |row| println!("test: {}", verdict(&row));
    let limits = Limits::SEQUENTIAL;
    test_ports(
        stack,
        url.host(),
        order.targets(),
        limits,
        &ClientOptions::DEFAULT,
        &mut memory,
        || random.bytes(),
        show,
    )
    .await?;

    let mut plan = Plan::new(order.targets(), Limits::smart(tap.sockets))?;
    let result = match tap.sockets {
        1 => publish::<1>(stack, &url, &mut plan, clip).await,
        2 => publish::<2>(stack, &url, &mut plan, clip).await,
        3 => publish::<3>(stack, &url, &mut plan, clip).await,
        _ => publish::<4>(stack, &url, &mut plan, clip).await,
    };
    plan.reports().for_each(|row| println!("publish: {}", verdict(&row)));
    result.map_err(|error| anyhow!(error))
}

async fn publish<const N: usize>(
    stack: Stack<'_>,
    url: &Url<'_>,
    plan: &mut Plan<'_>,
    clip: &[Tag<'_>],
) -> Result<(), Error> {
    let mut memory: Box<[Memory<4096, 4096>; N]> = Box::new([const { Memory::new() }; N]);
    race(stack, url, plan, &mut memory, clip, false, &Progress::default()).await
}
