//! AMF0: a pull decoder and an encoder into a slice.
