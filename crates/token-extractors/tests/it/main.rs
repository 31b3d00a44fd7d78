//! Extraction from outside: cases beside their twins, and properties that hold for any bytes.

mod cases;
mod properties;
mod sole;
