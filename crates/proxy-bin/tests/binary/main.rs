//! The program itself, as a user runs it: exit codes, signals, what it prints and never prints.

mod commands;
mod explain;
mod process;
mod recall;
mod secrets;
mod serve;
