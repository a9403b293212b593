//! store-segments
