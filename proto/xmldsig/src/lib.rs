//! XML signatures as X-Road uses them: XML-DSig with XAdES (X-Road's profile and the newer one of
//! X-Road 8), the canonical XML they need, and the strict reader underneath.

pub mod c14n;
pub mod xml;
