//! The sites that people use: where they are, and what each is called.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use xroad_id::ClientId;

use super::ids::client_text;

/// The sites of an instance. Browsers find them by names below `localhost`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sites {
    /// Address that all of them are bound to.
    #[serde(default = "address")]
    pub address: IpAddr,
    /// The client of the exchange as which the identity provider asks the population register.
    #[serde(with = "client_text")]
    pub identity_provider: ClientId,
}

fn address() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}

/// One site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// The host in its address.
    pub host: &'static str,
    /// Its port.
    pub port: u16,
}

/// The identity provider.
pub const IDENTITY: Site = Site {
    host: "id.localhost",
    port: 8883,
};
/// The signing service.
pub const SIGNING: Site = Site {
    host: "sign.localhost",
    port: 8884,
};
/// The page that verifies signatures.
pub const VERIFICATION: Site = Site {
    host: "verify.localhost",
    port: 8885,
};
/// The bank.
pub const BANK: Site = Site {
    host: "bank.localhost",
    port: 8886,
};
/// The identity provider for those who show a certificate.
pub const CARD: Site = Site {
    host: "card.id.localhost",
    port: 8887,
};

/// Port of the authority that issues identity cards, with its responder, at the address of the sites.
pub const CARD_AUTHORITY_PORT: u16 = 8889;

/// All of them.
pub const ALL_SITES: [Site; 5] = [IDENTITY, SIGNING, VERIFICATION, BANK, CARD];

impl Site {
    /// Its address, without a slash at the end.
    #[must_use]
    pub fn origin(self) -> String {
        format!("https://{}:{}", self.host, self.port)
    }
}

impl Sites {
    /// Where a site listens.
    #[must_use]
    pub const fn listen(&self, site: Site) -> SocketAddr {
        SocketAddr::new(self.address, site.port)
    }

    /// Where the authority of identity cards listens.
    #[must_use]
    pub const fn card_authority(&self) -> SocketAddr {
        SocketAddr::new(self.address, CARD_AUTHORITY_PORT)
    }

    /// Where all names are, for programs that do not ask the system.
    #[must_use]
    pub fn hosts(&self) -> BTreeMap<String, IpAddr> {
        ALL_SITES
            .iter()
            .map(|site| (site.host.to_owned(), self.address))
            .collect()
    }
}
