//! Reading a transport message from a peer.

use std::time::Duration;

use asic::Content;
use bytes::Bytes;
use messagelog::{INLINE_LIMIT, SpoolOwner};
use pki::{Digest, DigestAlgorithm};
use proxy::Refusal;
use proxy::provider::MessageParts;
use store_segments::MessageLog;
use transport::Body;
use xroad_message::multipart::Headers;
use xroad_message::transport::{
    Direction, Protocol, TransportDecoder, TransportError, TransportEvent, TransportLimits,
};

use crate::attachment::{AttachmentRecorder, MEMORY_OF_MESSAGE, RecordedAttachment};
use crate::memory::{Account, Crowded};
use crate::refusals::log_refusal;

/// Most bytes that are read after the end of a message.
const EPILOGUE: usize = 16 * 1024;

/// How long the end of the HTTP body may take to follow the end of the message.
const EPILOGUE_WITHIN: Duration = Duration::from_secs(1);

/// Name under which the message part is signed.
const MESSAGE: &str = "/message.xml";

/// A message that is being read.
pub struct Incoming {
    decoder: TransportDecoder,
    body: Body,
    over: bool,
    protocol: Protocol,
    direction: Direction,
    account: Account,
}

/// The parts up to the message, which comes first or after status answers.
pub struct IncomingHead {
    /// Certificate status answers.
    pub status: Vec<Bytes>,
    /// Content type of the message part.
    pub content_type: String,
    /// Its other headers.
    pub headers: Headers,
    /// The message, as signed.
    pub message: Bytes,
}

/// The parts after the message.
#[derive(Default)]
pub struct IncomingRest {
    /// Attachments, or the REST body.
    pub attachments: Vec<RecordedAttachment>,
    /// Hash chain result.
    pub hash_chain_result: Option<Bytes>,
    /// Hash chain.
    pub hash_chain: Option<Bytes>,
    /// Signature.
    pub signature: Option<Bytes>,
}

/// How reading ended, if not with a message.
#[derive(Debug)]
pub enum IncomingError {
    /// The message is refused.
    Refused(Box<Refusal>),
    /// The peer reported a fault in place of its message or signature.
    Fault(Bytes),
}

impl From<Crowded> for Refusal {
    fn from(Crowded: Crowded) -> Self {
        Self::Crowded
    }
}

impl From<Crowded> for IncomingError {
    fn from(crowded: Crowded) -> Self {
        Refusal::from(crowded).into()
    }
}

impl From<Refusal> for IncomingError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

fn refusal(error: &TransportError) -> Refusal {
    match error {
        TransportError::MissingSignature => Refusal::MissingSignature,
        TransportError::MissingSoap | TransportError::MissingRest => Refusal::PeerForm {
            leaf: error.code().to_owned(),
            detail: error.to_string(),
        },
        _ => Refusal::PeerMessage {
            leaf: error.code().to_owned(),
            detail: error.to_string(),
        },
    }
}

impl Incoming {
    /// Begins to read `body`, which counts in `account`.
    ///
    /// # Errors
    /// The content type is not that of a transport message.
    pub fn new(
        direction: Direction,
        protocol: Protocol,
        content_type: &str,
        body: Body,
        soap_limit: usize,
        account: Account,
    ) -> Result<Self, Refusal> {
        let limits = TransportLimits {
            soap: soap_limit,
            ..TransportLimits::default()
        };
        let decoder = TransportDecoder::new(direction, protocol, content_type, limits)
            .map_err(|error| refusal(&error))?;
        Ok(Self {
            decoder,
            body,
            over: false,
            protocol,
            direction,
            account,
        })
    }

    /// Reads what may still follow the end of the message: nothing but the last chunk of
    /// the HTTP body. Left unread, it would cost the connection, and a peer that sends it
    /// late would see a reset.
    async fn drain(&mut self) {
        let mut left = EPILOGUE;
        let rest = async {
            while let Some(Ok(bytes)) = self.body.next().await {
                left = left.saturating_sub(bytes.len());
                if left == 0 {
                    return;
                }
            }
        };
        if !self.over {
            let _ = tokio::time::timeout(EPILOGUE_WITHIN, rest).await;
        }
    }

    async fn next(&mut self) -> Result<TransportEvent, Refusal> {
        loop {
            if let Some(event) = self.decoder.next().map_err(|error| refusal(&error))? {
                return Ok(event);
            }
            if self.over {
                return Err(match self.decoder.finish() {
                    Err(error) => refusal(&error),
                    Ok(()) => Refusal::MissingSignature,
                });
            }
            self.account.hold(self.decoder.held())?;
            match self.body.next().await {
                Some(Ok(bytes)) => self.decoder.feed(bytes),
                Some(Err(error)) => {
                    tracing::info!(%error, "a peer broke off in the middle of a message");
                    return Err(Refusal::PeerBroken);
                }
                None => self.over = true,
            }
        }
    }

    /// Reads up to the message part.
    ///
    /// # Errors
    /// The message is malformed or a fault.
    pub async fn head(&mut self) -> Result<IncomingHead, IncomingError> {
        let mut status = Vec::new();
        loop {
            match self.next().await? {
                TransportEvent::OcspResponse(answer) => status.push(self.account.keep(answer)?),
                TransportEvent::Message {
                    content_type,
                    headers,
                    bytes,
                } => {
                    return Ok(IncomingHead {
                        status,
                        content_type,
                        headers,
                        message: self.account.keep(bytes)?,
                    });
                }
                TransportEvent::Fault(fault) => return Err(IncomingError::Fault(fault)),
                _ => return Err(missing_message(self.protocol).into()),
            }
        }
    }

    /// Reads what follows the message part, recording attachments on behalf of `owner`.
    ///
    /// # Errors
    /// The message is malformed, a fault stands at its end, or the log has no room.
    pub async fn rest(
        &mut self,
        log: &MessageLog,
        owner: &SpoolOwner,
        algorithm: DigestAlgorithm,
    ) -> Result<IncomingRest, IncomingError> {
        let mut rest = IncomingRest::default();
        let mut recorder: Option<AttachmentRecorder<'_>> = None;
        let mut memory = MEMORY_OF_MESSAGE;
        let begin = |headers, memory| {
            AttachmentRecorder::new(log, owner.clone(), headers, algorithm).within(memory)
        };
        loop {
            match self.next().await? {
                TransportEvent::AttachmentStart(headers) => {
                    let room = self.account.room(memory.min(INLINE_LIMIT));
                    recorder = Some(begin(headers, room));
                }
                TransportEvent::RestBodyStart => {
                    let room = self.account.room(memory.min(INLINE_LIMIT));
                    recorder = Some(begin(Headers::new(), room));
                }
                TransportEvent::AttachmentData(bytes) | TransportEvent::RestBodyData(bytes) => {
                    if let Some(recorder) = &mut recorder {
                        recorder
                            .write(bytes)
                            .await
                            .map_err(|error| log_refusal(&error))?;
                    }
                }
                TransportEvent::AttachmentEnd | TransportEvent::RestBodyEnd => {
                    if let Some(recorder) = recorder.take() {
                        let recorded = recorder
                            .finish()
                            .await
                            .map_err(|error| log_refusal(&error))?
                            .counted(&mut self.account)?;
                        memory = memory.saturating_sub(recorded.held());
                        rest.attachments.push(recorded);
                    }
                }
                TransportEvent::HashChainResult(bytes) => {
                    rest.hash_chain_result = Some(self.account.keep(bytes)?);
                }
                TransportEvent::HashChain(bytes) => {
                    rest.hash_chain = Some(self.account.keep(bytes)?);
                }
                TransportEvent::Signature(bytes) => {
                    rest.signature = Some(self.account.keep(bytes)?);
                }
                TransportEvent::Fault(_) if self.direction == Direction::Request => {
                    return Err(Refusal::MissingSignature.into());
                }
                TransportEvent::Fault(fault) => return Err(IncomingError::Fault(fault)),
                TransportEvent::End => {
                    self.drain().await;
                    return Ok(rest);
                }
                TransportEvent::OcspResponse(_) | TransportEvent::Message { .. } => {
                    return Err(missing_message(self.protocol).into());
                }
            }
        }
    }
}

fn missing_message(protocol: Protocol) -> Refusal {
    refusal(&match protocol {
        Protocol::Soap => TransportError::MissingSoap,
        Protocol::Rest => TransportError::MissingRest,
    })
}

struct Digests<'a> {
    message: &'a Bytes,
    attachments: &'a [RecordedAttachment],
}

impl Content for Digests<'_> {
    fn digest(&self, name: &str, algorithm: DigestAlgorithm) -> Option<Digest> {
        if name == MESSAGE {
            return Some(algorithm.digest(self.message));
        }
        let number: usize = name.strip_prefix("/attachment")?.parse().ok()?;
        self.attachments
            .get(number.checked_sub(1)?)?
            .digest(algorithm)
    }

    fn contains(&self, name: &str) -> bool {
        name == MESSAGE
            || name
                .strip_prefix("/attachment")
                .and_then(|number| number.parse::<usize>().ok())
                .is_some_and(|number| (1..=self.attachments.len()).contains(&number))
    }
}

impl IncomingRest {
    /// Calls `with` with the parts as the verification wants them.
    pub fn with_parts<T>(&self, message: &Bytes, with: impl FnOnce(&MessageParts<'_>) -> T) -> T {
        let made: Vec<String> = (1..=self.attachments.len())
            .map(|number| format!("/attachment{number}"))
            .collect();
        let mut names = Vec::with_capacity(made.len() + 1);
        names.push(MESSAGE);
        names.extend(made.iter().map(String::as_str));
        let content = Digests {
            message,
            attachments: &self.attachments,
        };
        with(&MessageParts {
            names: &names,
            content: &content,
            signature: self.signature.as_deref(),
            hash_chain: self
                .hash_chain_result
                .as_deref()
                .zip(self.hash_chain.as_deref()),
        })
    }

    /// The hash chain as it is logged.
    pub fn chain(&self) -> Option<(Bytes, Bytes)> {
        self.hash_chain_result.clone().zip(self.hash_chain.clone())
    }

    /// The attachments as they are logged.
    pub fn contents(&self) -> Vec<messagelog::Attachment> {
        self.attachments
            .iter()
            .map(|attachment| attachment.content.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MessageMemory;

    fn incoming(memory: &std::sync::Arc<MessageMemory>) -> (Incoming, transport::BodySender) {
        let (sender, body) = Body::channel(1);
        let incoming = Incoming::new(
            Direction::Request,
            Protocol::Soap,
            "multipart/mixed; boundary=b",
            body,
            10 << 20,
            memory.request(),
        );
        (incoming.expect("a content type"), sender)
    }

    #[tokio::test]
    async fn slow_envelopes_of_peers_share_one_memory() {
        let memory = MessageMemory::new(8 << 20);
        let start = Bytes::from("--b\r\ncontent-type: text/xml\r\n\r\n");
        let piece = Bytes::from(vec![b'x'; 64 * 1024]);
        let mut reading = Vec::new();
        let mut senders = Vec::new();
        // Each of the first two stops after a megabyte and stays.
        for _ in 0..2 {
            let (mut message, mut sender) = incoming(&memory);
            reading.push(tokio::spawn(async move { message.head().await.map(drop) }));
            sender.send(start.clone()).await.expect("read");
            for _ in 0..15 {
                sender.send(piece.clone()).await.expect("read");
            }
            senders.push(sender);
        }
        let (mut message, mut sender) = incoming(&memory);
        let refused = tokio::spawn(async move { message.head().await.map(drop) });
        sender.send(start.clone()).await.expect("read");
        while sender.send(piece.clone()).await.is_ok() {}
        let refused = refused.await.expect("no panic").expect_err("too much");
        assert!(
            matches!(&refused, IncomingError::Refused(refusal) if **refusal == Refusal::Crowded),
            "{refused:?}"
        );
        // An ordinary message needs nothing of it.
        let (mut message, mut sender) = incoming(&memory);
        sender.send(start).await.expect("sent");
        let ordinary = tokio::spawn(async move { message.head().await.map(|head| head.message) });
        sender.send("<a/>\r\n--b\r\n").await.expect("sent");
        assert_eq!(ordinary.await.expect("no panic").expect("whole"), "<a/>");
        drop(senders);
        for slow in reading {
            let ended = slow.await.expect("no panic").expect_err("it broke off");
            assert!(
                matches!(&ended, IncomingError::Refused(refusal) if **refusal == Refusal::PeerBroken),
                "{ended:?}"
            );
        }
    }
}
