//! RTMP URLs.
