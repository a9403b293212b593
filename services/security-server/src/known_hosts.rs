//! The addresses of the Security Servers of the global configuration, which are served before
//! others when connections or file handles are scarce (T9).

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use globalconf::GlobalConfiguration;
use transport::Preference;

/// The addresses as they are known now. Clones share them.
#[derive(Clone, Default)]
pub struct KnownHosts(Arc<ArcSwap<HashSet<IpAddr>>>);

/// The registered addresses of all servers, numbers and names.
pub fn registered(configuration: &GlobalConfiguration) -> Vec<String> {
    configuration
        .instances()
        .flat_map(|instance| configuration.servers(instance))
        .filter_map(|server| server.address.clone())
        .collect()
}

impl KnownHosts {
    /// Takes these addresses for the known ones, looking up those that are names. A name that
    /// cannot be found now is left out until the next time.
    pub async fn learn(&self, registered: Vec<String>) {
        let mut known = HashSet::new();
        let mut names = Vec::new();
        for address in registered {
            match address.trim_matches(['[', ']']).parse::<IpAddr>() {
                Ok(address) => {
                    known.insert(address.to_canonical());
                }
                Err(_) => names.push(address),
            }
        }
        for name in names {
            match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(found) => known.extend(found.map(|address| address.ip().to_canonical())),
                Err(error) => {
                    tracing::debug!(name, %error, "the address of a Security Server is not known");
                }
            }
        }
        self.0.store(Arc::new(known));
    }

    /// Whether an address is one of them.
    pub fn has(&self, address: IpAddr) -> bool {
        self.0.load().contains(&address.to_canonical())
    }

    /// The same as a preference for a port.
    pub fn preference(&self) -> Preference {
        let known = self.clone();
        Arc::new(move |address| known.has(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn registered_servers_are_preferred() {
        let hosts = KnownHosts::default();
        let preferred = hosts.preference();
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(!preferred(address("127.5.0.11")));
        let registered = ["127.5.0.11", "[2001:db8::1]", "localhost"];
        hosts.learn(registered.map(str::to_owned).to_vec()).await;
        for known in [
            "127.5.0.11",
            "::ffff:127.5.0.11",
            "2001:db8::1",
            "127.0.0.1",
        ] {
            assert!(preferred(address(known)), "{known}");
        }
        assert!(!preferred(address("127.5.0.12")));
        hosts.learn(vec!["127.5.0.12".to_owned()]).await;
        assert!(!preferred(address("127.5.0.11")));
        assert!(preferred(address("127.5.0.12")));
    }
}
