//! Bodies for information systems, put together from what was recorded.

use bytes::{Bytes, BytesMut};
use messagelog::Attachment;
use transport::Body;
use xroad_message::multipart::{Headers, write_end, write_part_start};

use crate::attachment::{AttachmentReader, RecordedAttachment};

enum Piece {
    Bytes(Bytes),
    Attachment(AttachmentReader),
}

/// A body of pieces in order, whole if all of it is in memory, else streamed.
fn body(pieces: Vec<Piece>, length: u64) -> Body {
    let streams = pieces
        .iter()
        .any(|piece| matches!(piece, Piece::Attachment(AttachmentReader::Sealed(_))));
    if !streams {
        let mut all = BytesMut::with_capacity(usize::try_from(length).unwrap_or(0));
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) | Piece::Attachment(AttachmentReader::Inline(Some(bytes))) => {
                    all.extend_from_slice(&bytes);
                }
                Piece::Attachment(_) => {}
            }
        }
        return Body::full(all.freeze());
    }
    let (mut sender, body) = Body::channel_with_length(4, length);
    tokio::spawn(async move {
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => {
                    if sender.send(bytes).await.is_err() {
                        return;
                    }
                }
                Piece::Attachment(mut reader) => {
                    while let Some(bytes) = reader.next().await {
                        match bytes {
                            Ok(bytes) => {
                                if sender.send(bytes).await.is_err() {
                                    return;
                                }
                            }
                            Err(error) => {
                                tracing::error!(%error, "an attachment could not be read back from the log");
                                return sender.abort();
                            }
                        }
                    }
                }
            }
        }
        sender.finish();
    });
    body
}

/// The body of a REST message.
pub fn rest_body(attachment: Option<&RecordedAttachment>) -> Body {
    match attachment {
        None => Body::empty(),
        Some(RecordedAttachment {
            content: Attachment::Inline(bytes),
            ..
        }) => Body::full(bytes.clone()),
        Some(attachment) => body(
            vec![Piece::Attachment(attachment.reader())],
            attachment.content.len(),
        ),
    }
}

/// A SOAP message with its attachments as `multipart/related` with `boundary`. The
/// parts have the headers with which they came.
pub fn related_body(
    boundary: &str,
    content_type: &str,
    headers: &Headers,
    message: &Bytes,
    attachments: &[RecordedAttachment],
) -> Body {
    let mut pieces = Vec::new();
    let mut length = 0;
    let mut add = |piece: Piece, bytes: u64| {
        length += bytes;
        pieces.push(piece);
    };
    let mut start = BytesMut::new();
    let kind = std::iter::once(("Content-Type", content_type.as_bytes()));
    write_part_start(&mut start, boundary, true, kind.chain(headers.iter()));
    start.extend_from_slice(message);
    for attachment in attachments {
        write_part_start(&mut start, boundary, false, attachment.headers.iter());
        let bytes = start.split().freeze();
        let written = bytes.len() as u64;
        add(Piece::Bytes(bytes), written);
        add(
            Piece::Attachment(attachment.reader()),
            attachment.content.len(),
        );
    }
    write_end(&mut start, boundary);
    let bytes = start.freeze();
    let written = bytes.len() as u64;
    add(Piece::Bytes(bytes), written);
    body(pieces, length)
}
