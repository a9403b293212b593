//! Writing a transport message: the parts before the signature, then, once the
//! record is on disk, the signature. Small messages are written into memory and
//! leave in one piece; large ones stream.

use bytes::{Bytes, BytesMut};
use messagelog::{INLINE_LIMIT, LogError, SpoolOwner};
use pki::{Digest, DigestAlgorithm};
use proxy::SignedParts;
use store_segments::MessageLog;
use transport::{BodyError, BodySender};
use xroad_message::multipart::Headers;
use xroad_message::soap_stream::{SoapStreamDecoder, SoapStreamError, SoapStreamEvent};
use xroad_message::transport::TransportEncoder;

use crate::attachment::{AttachmentRecorder, MEMORY_OF_MESSAGE, Opened, RecordedAttachment};
use crate::memory::{Account, Crowded};

/// Bytes that are gathered before they are sent, when a message streams.
const FLUSH_AT: usize = 32 * 1024;

/// Where a message is written.
pub enum Sink {
    /// Into memory, to leave whole.
    Memory(BytesMut),
    /// To a body that is under way.
    Stream {
        /// The body.
        sender: BodySender,
        /// What is not sent yet.
        buffer: BytesMut,
    },
}

/// Why a message could not be written.
#[derive(Debug)]
pub enum WriteError {
    /// The message log.
    Log(LogError),
    /// Whoever sends the attachments broke off.
    Source(BodyError),
    /// Whoever sends the attachments sent them malformed.
    Form(SoapStreamError),
    /// The receiver is gone.
    Receiver,
    /// There is no memory for more of what is read.
    Crowded,
}

impl From<Crowded> for WriteError {
    fn from(Crowded: Crowded) -> Self {
        Self::Crowded
    }
}

impl From<LogError> for WriteError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl Sink {
    fn buffer(&mut self) -> &mut BytesMut {
        match self {
            Self::Memory(buffer) | Self::Stream { buffer, .. } => buffer,
        }
    }

    async fn flush(&mut self, at: usize) -> Result<(), WriteError> {
        if let Self::Stream { sender, buffer } = self
            && buffer.len() >= at
            && !buffer.is_empty()
        {
            sender
                .send(buffer.split().freeze())
                .await
                .map_err(|_| WriteError::Receiver)?;
        }
        Ok(())
    }

    async fn data(&mut self, bytes: Bytes) -> Result<(), WriteError> {
        match self {
            Self::Memory(buffer) => buffer.extend_from_slice(&bytes),
            Self::Stream { .. } if bytes.len() < FLUSH_AT / 2 => {
                self.buffer().extend_from_slice(&bytes);
                self.flush(FLUSH_AT).await?;
            }
            Self::Stream { .. } => {
                self.flush(1).await?;
                if let Self::Stream { sender, .. } = self {
                    sender.send(bytes).await.map_err(|_| WriteError::Receiver)?;
                }
            }
        }
        Ok(())
    }

    /// Ends the message: gives back what was written to memory, or ends the stream.
    ///
    /// # Errors
    /// The receiver is gone.
    pub async fn finish(mut self) -> Result<Bytes, WriteError> {
        self.flush(1).await?;
        match self {
            Self::Memory(buffer) => Ok(buffer.freeze()),
            Self::Stream { sender, .. } => {
                sender.finish();
                Ok(Bytes::new())
            }
        }
    }
}

/// What follows the message part.
pub enum Payload {
    /// Nothing.
    None,
    /// A REST body that is not empty.
    RestBody(Opened),
    /// Attachments of a SOAP message, whose message part the decoder has passed.
    Attachments(Box<AttachmentSource>),
    /// Attachments that are in memory.
    Ready(Vec<(Headers, Bytes)>),
}

impl Payload {
    /// Whether everything is in memory already, so that the message needs no streaming.
    pub fn is_small(&self) -> bool {
        match self {
            Self::None | Self::Ready(_) => true,
            Self::RestBody(opened) => opened.rest.is_none(),
            Self::Attachments(source) => source.body.rest.is_none(),
        }
    }
}

/// A SOAP body that is being read.
pub struct AttachmentSource {
    /// The decoder.
    pub decoder: SoapStreamDecoder,
    /// What it has not been given yet.
    pub body: Opened,
    /// Where the message counts.
    pub account: Account,
}

impl AttachmentSource {
    /// The next event; after `End` there is none.
    ///
    /// # Errors
    /// The sender broke off, the bytes are malformed, or there is no memory for them.
    pub async fn next(&mut self) -> Result<SoapStreamEvent, WriteError> {
        loop {
            if let Some(mut event) = self.decoder.next().map_err(WriteError::Form)? {
                if let SoapStreamEvent::Message { bytes, .. } = &mut event {
                    *bytes = self.account.keep(std::mem::take(bytes))?;
                }
                return Ok(event);
            }
            self.account.hold(self.decoder.held())?;
            match self.body.next().await {
                Some(Ok(bytes)) => self.decoder.feed(bytes).map_err(WriteError::Form)?,
                Some(Err(error)) => return Err(WriteError::Source(error)),
                None => self.decoder.end_of_input(),
            }
        }
    }
}

/// Everything of a message but its signature has been written.
pub struct Written {
    /// SHA-512 of the message and of each attachment, in order: what is signed.
    pub digests: Vec<Digest>,
    /// The attachments.
    pub attachments: Vec<RecordedAttachment>,
}

/// The message part and what stands before it.
pub struct MessagePart<'a> {
    /// Certificate status answers, in requests.
    pub status: &'a [Bytes],
    /// Content type of the part.
    pub content_type: &'a str,
    /// Its other headers.
    pub headers: &'a Headers,
    /// Its bytes.
    pub bytes: &'a Bytes,
}

/// Writes all parts before the signature.
///
/// # Errors
/// The log has no room, the source broke off or the receiver is gone.
pub async fn write_parts(
    log: &MessageLog,
    owner: SpoolOwner,
    encoder: &mut TransportEncoder,
    sink: &mut Sink,
    part: MessagePart<'_>,
    payload: Payload,
) -> Result<Written, WriteError> {
    for status in part.status {
        encoder.ocsp_response(sink.buffer(), status);
    }
    encoder.message(sink.buffer(), part.content_type, part.headers, part.bytes);
    let mut digests = vec![DigestAlgorithm::Sha512.digest(part.bytes)];
    let mut attachments = Vec::new();
    match payload {
        Payload::None => {}
        Payload::RestBody(mut body) => {
            encoder.rest_body_start(sink.buffer());
            let mut recorder =
                AttachmentRecorder::new(log, owner, Headers::new(), DigestAlgorithm::Sha512);
            while let Some(bytes) = body.next().await {
                let bytes = bytes.map_err(WriteError::Source)?;
                recorder.write(bytes.clone()).await?;
                sink.data(bytes).await?;
            }
            attachments.push(recorder.finish().await?);
        }
        Payload::Ready(ready) => {
            for (number, (headers, bytes)) in ready.into_iter().enumerate() {
                encoder.attachment_start(sink.buffer(), number == 0, &headers);
                let mut recorder =
                    AttachmentRecorder::new(log, owner.clone(), headers, DigestAlgorithm::Sha512);
                recorder.write(bytes.clone()).await?;
                sink.data(bytes).await?;
                attachments.push(recorder.finish().await?);
            }
            if !attachments.is_empty() {
                encoder.attachments_end(sink.buffer());
            }
        }
        Payload::Attachments(mut source) => {
            let mut recorder: Option<AttachmentRecorder<'_>> = None;
            let mut memory = MEMORY_OF_MESSAGE;
            loop {
                match source.next().await? {
                    SoapStreamEvent::Message { .. } => {}
                    SoapStreamEvent::AttachmentStart(headers) => {
                        encoder.attachment_start(sink.buffer(), attachments.is_empty(), &headers);
                        let begun = AttachmentRecorder::new(
                            log,
                            owner.clone(),
                            headers,
                            DigestAlgorithm::Sha512,
                        );
                        let room = source.account.room(memory.min(INLINE_LIMIT));
                        recorder = Some(begun.within(room));
                    }
                    SoapStreamEvent::AttachmentData(bytes) => {
                        if let Some(recorder) = &mut recorder {
                            recorder.write(bytes.clone()).await?;
                        }
                        sink.data(bytes).await?;
                    }
                    SoapStreamEvent::AttachmentEnd => {
                        if let Some(recorder) = recorder.take() {
                            let recorded = recorder.finish().await?;
                            let recorded = recorded.counted(&mut source.account)?;
                            memory = memory.saturating_sub(recorded.held());
                            attachments.push(recorded);
                        }
                    }
                    SoapStreamEvent::End => break,
                }
            }
            if !attachments.is_empty() {
                encoder.attachments_end(sink.buffer());
            }
        }
    }
    digests.extend(attachments.iter().map(|attachment| attachment.sha512));
    sink.flush(1).await?;
    Ok(Written {
        digests,
        attachments,
    })
}

/// Writes the signature and the end of the message. The caller has the parts from a
/// proof that the record is on disk.
///
/// # Errors
/// The receiver is gone.
pub async fn write_signature(
    encoder: &mut TransportEncoder,
    mut sink: Sink,
    parts: &SignedParts,
) -> Result<Bytes, WriteError> {
    if let Some((result, chain)) = &parts.hash_chain {
        encoder.hash_chain(sink.buffer(), result, chain);
    }
    encoder.signature(sink.buffer(), &parts.signature);
    encoder.end(sink.buffer());
    sink.finish().await
}

/// Writes a fault in place of the signature (T20).
///
/// # Errors
/// The receiver is gone.
pub async fn write_fault(
    encoder: &mut TransportEncoder,
    mut sink: Sink,
    fault: &[u8],
) -> Result<Bytes, WriteError> {
    encoder.fault(sink.buffer(), fault);
    encoder.end(sink.buffer());
    sink.finish().await
}
