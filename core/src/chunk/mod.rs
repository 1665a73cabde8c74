//! The chunk stream: header codec, reader and writer.
