//! tunduk
