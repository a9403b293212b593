//! asic
