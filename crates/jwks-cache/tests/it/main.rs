//! The cache from outside, under a paused clock: who fetches, what is served, and for how long.

mod coalescing;
mod outage;
mod rotation;
mod standing;
mod support;
