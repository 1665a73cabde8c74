mod byte_stream;
mod config;
mod parameters;
