//! The Security Server: it signs, sends, receives, verifies, permits, logs and
//! forwards the messages of its clients (X-Road's `proxy`, `signer`,
//! `configuration-client` and `messagelog` in one process).
//!
//! The decisions are in the `proxy` crate; here are the sockets, clocks and loops.
//!
//! | port | module | what |
//! |---|---|---|
//! | 8080, 8443 | `consumer`, `metadata`, `downloads` | information systems |
//! | 5500 | `provider` | other Security Servers |
//! | 5577 | `status` | status of our authentication certificate |

mod attachment;
pub mod configuration_client;
mod consumer;
mod control;
mod downloads;
mod identity;
mod incoming;
mod known_hosts;
mod log_tasks;
mod memory;
mod metadata;
mod outgoing;
mod provider;
mod random;
mod readiness;
mod refusals;
mod relay;
mod server;
mod service;
mod signing;
mod start;
mod status;
pub mod timestamper;
mod tls_options;

pub use control::{ExportRequest, ExportSummary, export_evidence, readiness};
pub use log_tasks::{LogStatus, export_with_twin, log_status, rotate_log_key};
pub use start::{PinSource, RunError, run, run_with};
