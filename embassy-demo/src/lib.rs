//! RTMP over embassy-net.
