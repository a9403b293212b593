//! Loopback addresses, so that tests that run side by side never meet.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// A `127.x.y.0/24` block that one test has for itself. The standard ports can be bound on each of its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    second: u8,
    third: u8,
}

impl Block {
    /// A block that no other test uses: chosen by the process and a counter, and tried.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = std::process::id()
                .wrapping_mul(31)
                .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let [third, second, ..] = number.to_le_bytes();
            // 127.0.0.0/16 belongs to the demo, 127.255.0.0/16 holds the broadcast address.
            let block = Self {
                second: second % 200 + 20,
                third,
            };
            if TcpListener::bind((block.address(11), 5500)).is_ok() {
                return block;
            }
        }
    }

    /// The address of the block with this last byte.
    pub fn address(&self, last: u8) -> String {
        format!("{}{last}", self.prefix())
    }

    /// The first three bytes with their dots, `127.x.y.`.
    pub fn prefix(&self) -> String {
        format!("127.{}.{}.", self.second, self.third)
    }
}

impl Default for Block {
    fn default() -> Self {
        Self::new()
    }
}
