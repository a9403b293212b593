//! globalconf
