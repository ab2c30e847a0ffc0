//! A connection to a cluster (stand-in while the room is being built).

pub mod doom;
pub mod watching;
