//! Metadata of services (PR-META, PR-MREST; D1 to D6).
