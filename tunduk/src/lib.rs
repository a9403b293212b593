//! The one binary, as a library: one module per subcommand and the composition
//! of the demonstration country.

pub mod bench;
mod call;
mod children;
pub mod cli;
mod consumer;
mod endpoints;
pub mod instance;
mod narrator;
mod parties;
mod random;
mod registry_server;
mod security_server;
mod tampered;
