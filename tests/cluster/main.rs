//! The real thing: kind, the real endpoint picker, the real simulator, a real gateway.
//!
//! These need a container engine and fail without one. Each takes its turn (`bench`): beside others, or alone.

// Lints then know that all of it is tests, helpers too.
#![cfg(test)]

mod answers;
mod api_server;
mod bench;
mod changes;
mod existing;
mod foreign;
#[expect(dead_code, reason = "offline tests use all of it")]
#[path = "../it/sources/server.rs"]
mod github;
mod healthy;
mod in_cluster;
mod internet;
mod killed;
mod light;
mod moments;
mod published;
mod pulled;
mod release;
mod room;
mod selftest;
mod simulator;
mod strangers;
#[expect(dead_code, reason = "offline tests use all of it")]
#[path = "../it/upstream.rs"]
mod upstream;
mod verify;
