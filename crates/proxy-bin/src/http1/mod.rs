//! HTTP/1.1 as bytes: what the side that listens and the side that forwards share. RFC 9112.

mod chunks;
mod lines;
mod names;
mod spare;

pub(crate) use chunks::{Chunks, NotChunked, Piece, put_chunk, put_last_chunk};
pub(crate) use lines::{put_field, put_fields, put_number, without_blanks};
pub(crate) use names::field_name;
pub(crate) use spare::{keep_fields, spare_fields};
