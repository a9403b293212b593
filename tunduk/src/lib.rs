//! The one binary, as a library: one module per subcommand and the composition
//! of the demonstration country.

mod backup;
mod bank_site;
pub mod bench;
mod browser;
mod call;
mod central_server;
mod children;
pub mod cli;
mod compose;
mod consumer;
mod demo;
mod endpoints;
mod evidence;
mod globalconf;
mod idp_accounts;
mod idp_drill;
mod idp_operator;
mod idp_server;
pub mod instance;
mod log;
mod narrator;
mod parties;
mod random;
mod register;
mod registry_server;
mod renew;
mod running;
mod security_server;
mod serving;
mod signing_server;
mod story;
mod tampered;
mod token;
mod trust_server;
mod verification_server;
mod verify;
