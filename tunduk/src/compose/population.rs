//! Who sees what of the population register in a country of the demo.

use std::fmt::Write as _;

use super::allowed_clients;
use crate::instance::Instance;

/// What everybody sees who may use the register at all.
const DETAILS: &str = "\"names\", \"sex\", \"bornOn\", \"birthPlace\", \"citizenship\", \"civilStatus\", \
     \"address\", \"documents\", \"death\"";
/// What authorities see besides.
const FOR_AUTHORITIES: &str = ", \"actualAddress\", \"relations\"";
/// What the identity provider sees: what people may share, the portrait that an officer compares, and whose account ends.
const FOR_IDENTITY: &str = "\"names\", \"sex\", \"bornOn\", \"death\", \"address\", \"portrait\"";
/// X-Road's usual member class of authorities.
const AUTHORITIES: &str = "GOV";

/// Whether the instance offers a service of the population register.
pub(super) fn is_offered(instance: &Instance) -> bool {
    instance
        .services
        .iter()
        .any(|service| service.url.starts_with("population:"))
}

/// The file of access: every client that may use a service of the register.
pub(super) fn access(instance: &Instance) -> String {
    let mut text = String::from(
        "# Written by the demo: what each client sees of a person. Nothing else is shown.\n",
    );
    let mut told: Vec<String> = Vec::new();
    if let Some(sites) = &instance.sites {
        let client = sites.identity_provider.path();
        let _ = write!(
            text,
            "\n[[client]]\nid = \"{client}\"\ndetails = [{FOR_IDENTITY}]\nmay_act = true\nchanges = true\n"
        );
        told.push(client);
    }
    for service in &instance.services {
        if !service.url.starts_with("population:") {
            continue;
        }
        for client in allowed_clients(instance, service) {
            if told.contains(&client) {
                continue;
            }
            let is_authority = client.split('/').nth(1) == Some(AUTHORITIES);
            let more = if is_authority { FOR_AUTHORITIES } else { "" };
            let purpose = if is_authority {
                ""
            } else {
                "purpose = \"credit\"\n"
            };
            let _ = write!(
                text,
                "\n[[client]]\nid = \"{client}\"\ndetails = [{DETAILS}{more}]\nverify = true\n\
                 changes = {is_authority}\n{purpose}"
            );
            told.push(client);
        }
    }
    text
}
