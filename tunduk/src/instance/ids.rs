//! Identifiers as the instance file writes them.

pub(super) mod client_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use xroad_id::ClientId;

    pub(in crate::instance) fn serialize<S: Serializer>(
        id: &ClientId,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&id.path())
    }

    pub(in crate::instance) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ClientId, D::Error> {
        let text = String::deserialize(deserializer)?;
        ClientId::from_path(&text).map_err(|error| D::Error::custom(format!("{text:?}: {error}")))
    }
}

pub(super) mod client_texts {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use xroad_id::ClientId;

    pub(in crate::instance) fn serialize<S: Serializer>(
        ids: &[ClientId],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ids.iter().map(ClientId::path))
    }

    pub(in crate::instance) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<ClientId>, D::Error> {
        Vec::<String>::deserialize(deserializer)?
            .iter()
            .map(|text| {
                ClientId::from_path(text)
                    .map_err(|error| D::Error::custom(format!("{text:?}: {error}")))
            })
            .collect()
    }
}

pub(super) mod server_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use xroad_id::SecurityServerId;

    pub(in crate::instance) fn serialize<S: Serializer>(
        id: &SecurityServerId,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&id.path())
    }

    pub(in crate::instance) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SecurityServerId, D::Error> {
        let text = String::deserialize(deserializer)?;
        SecurityServerId::from_path(&text)
            .map_err(|error| D::Error::custom(format!("{text:?}: {error}")))
    }
}
