//! Where releases come from: checkouts, archives, and a server that plays GitHub.

mod checkout;
mod published;
mod remote;
mod server;
