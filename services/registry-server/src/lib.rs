//! registry-server
