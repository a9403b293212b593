//! A provider's information system made with `fastapi-xroad-soap` serves through our Security Servers.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use interop::outside::{CONSUMER, PROVIDER, SYSTEM_ADDRESS, Service, Stand};
use interop::{run, script};
use testkit::{Block, Kind, Running};

#[test]
#[ignore = "needs Python packages: cargo xtask test"]
fn a_fastapi_provider_serves_through_us() {
    let block = Block::new();
    let address = block.address(SYSTEM_ADDRESS);
    let _system = Running::start(script("provider.py").arg(&address).arg("8090"));
    let url = format!("http://{address}:8090/service");
    let stand = Stand::start(
        Kind::P256,
        block,
        &[Service {
            kind: "soap",
            code: "addNumbers",
            version: "v1",
            url: &url,
        }],
    );
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(format!("{address}:8090")).is_err() {
        assert!(Instant::now() < deadline, "the provider does not listen");
        std::thread::sleep(Duration::from_millis(100));
    }
    run(script("ask_provider.py").args([
        &stand.consumer_url(),
        CONSUMER,
        PROVIDER,
        "addNumbers",
        "v1",
    ]));
}
