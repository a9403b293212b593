//! Global groups as the configuration in force has them.

use globalconf::Current;
use serverconf::Groups;
use xroad_id::{ClientId, GlobalGroupId};

/// The groups of a configuration, as access rights ask for them (B5).
#[derive(Debug, Clone, Copy)]
pub struct InstanceGroups<'a>(pub &'a Current);

impl Groups for InstanceGroups<'_> {
    fn contains(&self, group: &GlobalGroupId, client: &ClientId) -> bool {
        self.0.in_global_group(client, group)
    }
}
