//! Tests of the adapter over simulated devices, in simulated time.

#![cfg(test)]

pub(crate) use embedded_rtmp_demo::{clip, clock, compare, device, flv, progress, publish, record, tasks, wire};

#[cfg(all(feature = "admin", feature = "web"))]
mod admin;
#[cfg(feature = "auth")]
mod auth;
mod cancel;
mod clocks;
mod crowd;
mod days;
mod dial;
mod ends;
mod half_open;
#[cfg(feature = "handover")]
mod handover;
mod hostile_ports;
#[cfg(feature = "rtmpt")]
mod hostile_web;
mod limits;
mod live;
mod local;
#[cfg(feature = "enhanced")]
mod offering;
mod outages;
mod pair;
mod pipe;
mod plain_tcp;
mod player;
mod ports;
mod race;
#[cfg(all(feature = "enhanced", feature = "redirect"))]
mod reconnect;
#[cfg(all(feature = "enhanced", feature = "redirect"))]
mod reconnect_server;
#[cfg(feature = "redirect")]
mod redirect;
mod relay;
mod resolve;
#[cfg(all(feature = "rtmpe", feature = "rtmpt"))]
mod rtmpe;
#[cfg(feature = "rtmpt")]
mod rtmpt;
#[cfg(feature = "rtmpt")]
mod rtmpt_connections;
mod server;
mod stall;
mod streams;
mod switch;
mod take_over;
#[cfg(feature = "thumbnail")]
mod thumbnail;
#[cfg(feature = "rtmps")]
mod tls;
mod transfer;
#[cfg(feature = "rtmpt")]
mod tunnels;
mod unread;
#[cfg(feature = "web")]
mod viewers;
#[cfg(feature = "rtmpt")]
mod web;
