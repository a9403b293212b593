//! tsa
