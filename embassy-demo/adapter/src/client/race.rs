//! Publishing with several sockets: attempts of the port plan overlap.

use embassy_net::Stack;
use embedded_rtmp::port_plan::Plan;
use embedded_rtmp::session::Client;
use embedded_rtmp::url::Url;
use heapless::Vec;

use crate::buffers::Memory;
use crate::client::ClientOptions;
use crate::client::connection::Connection;
use crate::client::open::open_url;
use crate::client::publisher::Publisher;
use crate::error::Error;

impl<'a, const STREAMS: usize> Publisher<'a, STREAMS> {
    /// The same as [`Self::connect`] with N sockets, so that attempts overlap as the plan says:
    /// [`Limits::smart`](embedded_rtmp::port_plan::Limits::smart) or
    /// [`Limits::staggered`](embedded_rtmp::port_plan::Limits::staggered), with at most N at a time.
    ///
    /// Each attempt in progress uses one of `memory`, and the winner keeps the one it used. The others stay borrowed until
    /// the publisher is dropped, because all are borrowed together. The losers are reset before they have sent anything
    /// except the handshake.
    ///
    /// # Panics
    /// If the stack has fewer sockets left than there are memories (`StackResources`).
    ///
    /// # Errors
    /// Those of [`Self::connect`].
    pub async fn race<
        const N: usize,
        const RX: usize,
        const TX: usize,
        const SCRATCH: usize,
        const CONTROL: usize,
        const GATHER: usize,
    >(
        stack: Stack<'a>,
        url: &Url<'_>,
        plan: &mut Plan<'_>,
        options: &ClientOptions<'_>,
        memory: &'a mut [Memory<RX, TX, SCRATCH, CONTROL, GATHER>; N],
        mut entropy: impl FnMut() -> [u8; 32],
    ) -> Result<Self, Error> {
        let mut connections = Vec::<_, N>::new();
        for memory in memory {
            // The vector has room for all of them.
            let _ = connections.push(Connection::over_net(stack, memory.split(), &options.session)?);
        }
        let request = (url, Client::publish_parts as _);
        let winner = open_url(
            stack,
            &mut connections,
            request,
            #[cfg(feature = "redirect")]
            &mut None,
            plan,
            options,
            &mut entropy,
        )
        .await?;
        Ok(Self::over(connections.swap_remove(winner)))
    }
}
