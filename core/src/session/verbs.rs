//! The verbs that client and server have alike: one text for both.

/// Implements them for a session with `link` and `handshake`, a `failure`, and an `arm` that sets its deadlines.
macro_rules! verbs {
    ($session:ty, $($constant:ident),*) => {
        impl<'b, $(const $constant: usize),*> $session {
            /// Writes the message that was begun on `csid` to `out`. `rest` is the payload that was not taken before, or the
            /// next part of it. What waits to be sent besides goes first, if the output ends between two chunks.
            ///
            /// A session that has failed writes nothing, and its message is done.
            pub fn poll_media(&mut self, csid: ChunkStreamId, rest: &[u8], out: &mut [u8]) -> WriteProgress {
                if self.failure().is_some() {
                    return WriteProgress::none(true);
                }
                self.link.transmit_media(csid, rest, out)
            }

            /// Writes zeros to `out` as the rest of the payload of the message that was begun on `csid`, for a message whose
            /// source is gone: a message is never left open. Returns the number of bytes that it wrote. Call it until
            /// [`Self::media_left`] is `None`; it does nothing if no message is open.
            #[must_use = "the output must be sent"]
            pub fn complete_media(&mut self, csid: ChunkStreamId, out: &mut [u8]) -> usize {
                if self.failure().is_some() { 0 } else { self.link.complete_media(csid, out) }
            }

            /// Takes back the message that was begun on `csid`, if no byte of it has been written. Returns whether it did.
            /// Otherwise the message must go on, or [`Self::complete_media`] must end it.
            pub fn cancel_media(&mut self, csid: ChunkStreamId) -> bool {
                self.link.writer.cancel(csid)
            }

            /// How many bytes [`Self::poll_media`] can put out now at the least, where `rest` has `at_hand` bytes: exactly so many
            /// where [`Self::transmit_len`] is 0 at a chunk's end.
            pub fn media_len(&self, csid: ChunkStreamId, at_hand: usize) -> usize {
                self.link.media_len(csid, at_hand)
            }

            /// The chunk stream whose chunk is unfinished, and the payload bytes that the chunk lacks; `None` between
            /// chunks. Only its message can go on then. Whoever passes just so many bytes of it to [`Self::poll_media`]
            /// stops at the chunk's end, where another message may have its turn.
            pub fn open_chunk(&self) -> Option<(ChunkStreamId, u32)> {
                self.link.open_chunk()
            }

            /// Ends the session at once and gives the lent memory back, for another one.
            pub fn into_buffers(self) -> SessionBuffers<'b> {
                self.link.into_buffers()
            }

            /// Bytes received after the handshake, modulo 2³².
            pub fn bytes_received(&self) -> u32 {
                self.link.flow().received()
            }

            /// What the peer acknowledged last, where it did; peers count in different ways.
            pub fn acknowledged(&self) -> Option<u32> {
                self.link.flow().peer_acknowledged()
            }

            /// Commands that were passed over since the scratch had no room for them beside others; where the session plays, data
            /// messages, too.
            pub fn skipped(&self) -> u32 {
                self.link.skipped()
            }

            /// Puts out what is to be sent, as far as `out` goes; answers how much it filled. To be called after every
            /// other call, until it has nothing more.
            #[must_use = "the output must be sent"]
            pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> usize {
                if self.failure().is_some() {
                    return 0;
                }
                self.arm(now);
                wire::transmit(&mut self.handshake, &mut self.link, now, out)
            }

            /// Whether [`Self::poll_transmit`] has something to put out now.
            pub fn wants_transmit(&self) -> bool {
                self.failure().is_none() && wire::wants_transmit(&self.handshake, &self.link)
            }

            /// How many bytes [`Self::poll_transmit`] can put out now.
            pub fn transmit_len(&self) -> usize {
                if self.failure().is_some() { 0 } else { wire::transmit_len(&self.handshake, &self.link) }
            }
        }
    };
}
pub(super) use verbs;
