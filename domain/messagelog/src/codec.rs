//! The sealed part of a record: its fields one after the other.

use std::sync::Arc;

use bytes::Bytes;
use xroad_id::{ClientId, ServiceId};

use crate::body::{BodyKey, ChunkSource, Extent, SealedBody};
use crate::error::LogError;
use crate::record::{
    Attachment, ConfigurationId, Direction, INLINE_LIMIT, MessageKind, NewRecord, Side,
};

const VERSION: u8 = 1;
const RESPONSE: u8 = 1;
const PROVIDER: u8 = 2;
const REST: u8 = 4;
const REQUEST_ID: u8 = 8;
const HASH_CHAIN: u8 = 16;
const TOLD: u8 = 32;

/// Most attachments of a record.
pub const MAX_ATTACHMENTS: usize = 4096;
/// Longest text (identifier part, query id), in bytes.
const MAX_TEXT: usize = 0xFFFF;

/// How a record's signature document is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureForm {
    /// As it is.
    Whole(Bytes),
    /// Told from the document of an earlier record of the same segment.
    Told {
        /// Offset of the frame of that record, whose own document is stored whole.
        base_offset: u32,
        /// Length of the document.
        length: u32,
        /// The steps of [`crate::delta`].
        steps: Bytes,
    },
}

fn text(out: &mut Vec<u8>, what: &'static str, text: &str) -> Result<(), LogError> {
    if text.len() > MAX_TEXT {
        return Err(LogError::TooLarge {
            what,
            limit: MAX_TEXT as u64,
        });
    }
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn blob(out: &mut Vec<u8>, what: &'static str, bytes: &[u8]) -> Result<(), LogError> {
    if bytes.len() > crate::frame::MAX_PAYLOAD {
        return Err(LogError::TooLarge {
            what,
            limit: crate::frame::MAX_PAYLOAD as u64,
        });
    }
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

fn client(out: &mut Vec<u8>, id: &ClientId) -> Result<(), LogError> {
    text(out, "an identifier", &id.instance)?;
    text(out, "an identifier", &id.member_class)?;
    text(out, "an identifier", &id.member_code)?;
    optional(out, id.subsystem_code.as_deref())
}

fn optional(out: &mut Vec<u8>, value: Option<&str>) -> Result<(), LogError> {
    out.push(u8::from(value.is_some()));
    value.map_or(Ok(()), |value| text(out, "an identifier", value))
}

/// Appends the record's fields. `told` is the offset of the frame whose signature
/// document this one is told from, and the steps of [`crate::delta`]; without it
/// the document is stored whole.
pub fn encode(
    record: &NewRecord,
    told: Option<(u32, &[u8])>,
    out: &mut Vec<u8>,
) -> Result<(), LogError> {
    let mut flags = 0;
    if record.direction == Direction::Response {
        flags |= RESPONSE;
    }
    if record.side == Side::Provider {
        flags |= PROVIDER;
    }
    if record.kind == MessageKind::Rest {
        flags |= REST;
    }
    if record.request_id.is_some() {
        flags |= REQUEST_ID;
    }
    if record.hash_chain.is_some() {
        flags |= HASH_CHAIN;
    }
    if told.is_some() {
        flags |= TOLD;
    }
    out.push(VERSION);
    out.push(flags);
    out.extend_from_slice(&record.configuration.0);
    text(out, "the query id", &record.query_id)?;
    if let Some(id) = &record.request_id {
        text(out, "the request id", id)?;
    }
    client(out, &record.client)?;
    client(out, &record.service.client)?;
    text(out, "an identifier", &record.service.service_code)?;
    optional(out, record.service.service_version.as_deref())?;
    blob(out, "the message", &record.message)?;
    if record.attachments.len() > MAX_ATTACHMENTS {
        return Err(LogError::TooLarge {
            what: "the number of attachments",
            limit: MAX_ATTACHMENTS as u64,
        });
    }
    out.extend_from_slice(&(record.attachments.len() as u16).to_le_bytes());
    for attachment in &record.attachments {
        match attachment {
            Attachment::Inline(bytes) => {
                if bytes.len() > INLINE_LIMIT {
                    return Err(LogError::TooLarge {
                        what: "an attachment kept in its record",
                        limit: INLINE_LIMIT as u64,
                    });
                }
                out.push(0);
                blob(out, "an attachment", bytes)?;
            }
            Attachment::Sealed(body) => {
                let inner = &body.0;
                out.push(1);
                out.extend_from_slice(inner.key.bytes());
                out.extend_from_slice(&inner.len.to_le_bytes());
                out.extend_from_slice(&inner.stride.to_le_bytes());
                out.extend_from_slice(&(inner.extents.len() as u32).to_le_bytes());
                for extent in &inner.extents {
                    out.extend_from_slice(&extent.segment.to_le_bytes());
                    out.extend_from_slice(&extent.offset.to_le_bytes());
                    out.extend_from_slice(&extent.count.to_le_bytes());
                }
            }
        }
    }
    match told {
        Some((offset, steps)) => {
            out.extend_from_slice(&offset.to_le_bytes());
            out.extend_from_slice(&(record.signature.len() as u32).to_le_bytes());
            blob(out, "the signature", steps)?;
        }
        None => blob(out, "the signature", &record.signature)?,
    }
    if let Some((result, chain)) = &record.hash_chain {
        blob(out, "the hash chain result", result)?;
        blob(out, "the hash chain", chain)?;
    }
    Ok(())
}

struct Reader {
    bytes: Bytes,
}

impl Reader {
    fn take(&mut self, length: usize) -> Option<Bytes> {
        (self.bytes.len() >= length).then(|| self.bytes.split_to(length))
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?;
        bytes[..].try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        let bytes = self.take(8)?;
        bytes[..].try_into().ok().map(u64::from_le_bytes)
    }

    fn key(&mut self) -> Option<[u8; 32]> {
        self.take(32)?[..].try_into().ok()
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::from(self.u16()?);
        String::from_utf8(self.take(length)?.into()).ok()
    }

    fn optional(&mut self) -> Option<Option<String>> {
        match self.u8()? {
            0 => Some(None),
            1 => self.text().map(Some),
            _ => None,
        }
    }

    fn blob(&mut self) -> Option<Bytes> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    fn client(&mut self) -> Option<ClientId> {
        Some(ClientId {
            instance: self.text()?,
            member_class: self.text()?,
            member_code: self.text()?,
            subsystem_code: self.optional()?,
        })
    }

    fn attachment(&mut self, source: &Arc<dyn ChunkSource>) -> Option<Attachment> {
        if self.u8()? == 0 {
            return self.blob().map(Attachment::Inline);
        }
        let key = BodyKey::new(self.key()?);
        let length = self.u64()?;
        let stride = self.u32()?;
        let count = self.u32()? as usize;
        if count > self.bytes.len() / 12 {
            return None;
        }
        let extents = (0..count)
            .map(|_| {
                Some(Extent {
                    segment: self.u32()?,
                    offset: self.u32()?,
                    count: self.u32()?,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        SealedBody::new(key, length, extents, stride, Arc::clone(source), None)
            .ok()
            .map(Attachment::Sealed)
    }
}

/// Reads a record's fields back; its signature is empty, the second value says
/// how it is stored. `None` when the bytes are not what [`encode`] writes.
pub fn decode(
    bytes: Bytes,
    time: u64,
    source: &Arc<dyn ChunkSource>,
) -> Option<(NewRecord, SignatureForm)> {
    let mut reader = Reader { bytes };
    if reader.u8()? != VERSION {
        return None;
    }
    let flags = reader.u8()?;
    let has = |flag| flags & flag != 0;
    let configuration = ConfigurationId(reader.key()?);
    let query_id = reader.text()?;
    let request_id = if has(REQUEST_ID) {
        Some(reader.text()?)
    } else {
        None
    };
    let client = reader.client()?;
    let service = ServiceId {
        client: reader.client()?,
        service_code: reader.text()?,
        service_version: reader.optional()?,
    };
    let message = reader.blob()?;
    let attachments = (0..reader.u16()?)
        .map(|_| reader.attachment(source))
        .collect::<Option<Vec<_>>>()?;
    let signature = if has(TOLD) {
        SignatureForm::Told {
            base_offset: reader.u32()?,
            length: reader.u32()?,
            steps: reader.blob()?,
        }
    } else {
        SignatureForm::Whole(reader.blob()?)
    };
    let hash_chain = if has(HASH_CHAIN) {
        Some((reader.blob()?, reader.blob()?))
    } else {
        None
    };
    if !reader.bytes.is_empty() {
        return None;
    }
    let record = NewRecord {
        direction: if has(RESPONSE) {
            Direction::Response
        } else {
            Direction::Request
        },
        side: if has(PROVIDER) {
            Side::Provider
        } else {
            Side::Consumer
        },
        kind: if has(REST) {
            MessageKind::Rest
        } else {
            MessageKind::Soap
        },
        query_id,
        request_id,
        client,
        service,
        time,
        message,
        attachments,
        signature: Bytes::new(),
        hash_chain,
        configuration,
    };
    Some((record, signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;
    impl ChunkSource for Nowhere {
        fn read_exact_at(&self, _: u32, _: u64, _: &mut [u8]) -> Result<(), LogError> {
            Err(LogError::Closed)
        }
    }

    #[test]
    fn records_round_trip_and_no_prefix_is_one() {
        let source: Arc<dyn ChunkSource> = Arc::new(Nowhere);
        let bank = ClientId::from_path("KG/COM/80000001/bank").unwrap();
        let body = SealedBody::new(
            BodyKey::new([5; 32]),
            INLINE_LIMIT as u64 * 2 + 1,
            vec![
                Extent {
                    segment: 1,
                    offset: 100,
                    count: 2,
                },
                Extent {
                    segment: 2,
                    offset: 64,
                    count: 1,
                },
            ],
            1000,
            Arc::clone(&source),
            None,
        )
        .unwrap();
        let record = NewRecord {
            direction: Direction::Response,
            side: Side::Provider,
            kind: MessageKind::Rest,
            query_id: "Q-1".into(),
            request_id: Some("R".into()),
            client: bank.clone(),
            service: ServiceId::new(bank.to_member(), "get", Some("v1")).unwrap(),
            time: 7,
            message: Bytes::from_static(b"message"),
            attachments: vec![
                Attachment::Inline(Bytes::from_static(b"small")),
                Attachment::Sealed(body),
            ],
            signature: Bytes::from_static(b"signature document"),
            hash_chain: Some((Bytes::from_static(b"result"), Bytes::from_static(b"chain"))),
            configuration: ConfigurationId([9; 32]),
        };
        let mut out = Vec::new();
        encode(&record, None, &mut out).unwrap();
        let (back, form) = decode(out.clone().into(), 7, &source).unwrap();
        assert_eq!(form, SignatureForm::Whole(record.signature.clone()));
        assert_eq!(back.client, record.client);
        assert_eq!(back.service, record.service);
        assert_eq!(back.message, record.message);
        assert_eq!(back.hash_chain, record.hash_chain);
        assert_eq!(back.request_id, record.request_id);
        assert_eq!(back.attachments.len(), 2);
        assert_eq!(back.attachments[1].len(), INLINE_LIMIT as u64 * 2 + 1);
        for cut in 0..out.len() {
            assert!(decode(out[..cut].to_vec().into(), 7, &source).is_none());
        }
        out.push(0);
        assert!(decode(out.into(), 7, &source).is_none());
    }
}
