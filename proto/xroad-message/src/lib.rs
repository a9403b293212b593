//! xroad-message
