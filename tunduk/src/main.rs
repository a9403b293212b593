//! The one binary.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for huge pages, of which a small heap then fills few: without
    // them a Security Server at rest needs 16 MiB less. That it stays as it was is no error.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    tunduk::cli::main()
}
