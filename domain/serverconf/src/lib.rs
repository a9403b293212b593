//! serverconf
