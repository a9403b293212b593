//! A consumer's information system made with `zeep` asks the demo's services through our Security Servers, with the
//! WSDL that they hand out.

use std::process::Command;

use interop::{run, script};
use testkit::{Block, Country, binary};

#[test]
#[ignore = "needs Python packages: cargo xtask test"]
fn zeep_asks_the_population_register() {
    let block = Block::new();
    let instance = run(Command::new(binary()).args(["demo", "--print-instance"]))
        .replace("127.0.0.", &block.prefix());
    let _country = Country::start(&instance);
    let url = format!("http://{}:8080/", block.address(13));
    let population = id_registry::Population::demonstration();
    let person = population.person(4242).expect("a resident");
    run(script("zeep_client.py").args([
        &url,
        "KG/COM/80000001/bank",
        "KG/GOV/70000001/population",
        person.number.as_str(),
    ]));
}
