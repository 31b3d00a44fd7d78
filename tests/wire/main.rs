//! What the gateway does on the wire, byte by byte.
