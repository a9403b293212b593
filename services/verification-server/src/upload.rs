//! The file out of a form, into a temporary without a name.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};

use pki::{Digest, DigestAlgorithm};
use tokio::io::AsyncWriteExt as _;
use transport::{Body, BodyError};
use xroad_message::multipart::{
    MultipartDecoder, MultipartError, MultipartEvent, MultipartLimits, boundary_of, is_type,
    parameter,
};

/// Name of the field with the file.
pub(crate) const FIELD: &str = "file";
/// Longest name of a file that is shown, in characters.
const LONGEST_NAME: usize = 120;
/// Most bytes of a form besides the file: boundaries, headers, other fields.
const OVERHEAD: u64 = 64 * 1024;

/// A file that was sent, whole.
#[derive(Debug)]
pub struct Taken {
    /// The file, at its beginning. It has no name on the disk: it is gone when this value is, or the process.
    pub file: File,
    /// What its sender calls it, without folders.
    pub name: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// Its SHA-256.
    pub digest: Digest,
}

/// Why there is no file. The sender is at fault but for [`UploadError::Disk`].
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The request is not a form with files.
    #[error("the request is not a form with a file: {0}")]
    Form(#[from] MultipartError),
    /// The form holds no file, or none was chosen.
    #[error("no file was chosen")]
    NoFile,
    /// The file is larger than the limit.
    #[error("the file is too large")]
    TooLarge,
    /// The connection ended too early.
    #[error("the connection ended before the file did: {0}")]
    Body(#[from] BodyError),
    /// The temporary cannot be written: our fault.
    #[error("the temporary file cannot be written: {0}")]
    Disk(#[from] std::io::Error),
}

/// The name that a browser gives a file (RFC 7578 section 4.2), without folders, shortened.
fn shown_name(disposition: &str) -> String {
    let name = parameter(disposition, "filename").unwrap_or_default();
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = name.chars().filter(|c| !c.is_control()).collect();
    match clean.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", clean.get(..end).unwrap_or_default()),
        None => clean,
    }
}

/// Takes the field `file` of a form (RFC 7578) with at most so many bytes; other fields are skipped.
///
/// # Errors
/// See [`UploadError`].
pub async fn take_file(
    content_type: &str,
    mut body: Body,
    largest: u64,
) -> Result<Taken, UploadError> {
    if !is_type(content_type, "multipart/form-data") {
        return Err(MultipartError::Boundary.into());
    }
    let limits = MultipartLimits {
        parts: 8,
        header_bytes: 4096,
        headers: 16,
        preamble_bytes: 1024,
    };
    let mut decoder = MultipartDecoder::new(&boundary_of(content_type)?, limits)?;
    let mut sink = tokio::fs::File::from_std(tempfile::tempfile()?);
    let mut hasher = DigestAlgorithm::Sha256.hasher();
    let mut name = None;
    let mut in_file = false;
    let (mut bytes, mut besides) = (0u64, 0u64);
    while let Some(piece) = body.next().await {
        let piece = piece?;
        besides = besides.saturating_add(piece.len() as u64);
        decoder.feed(piece);
        while let Some(event) = decoder.next()? {
            match event {
                MultipartEvent::PartStart(headers) => {
                    let disposition = headers.get("content-disposition").unwrap_or_default();
                    let disposition = String::from_utf8_lossy(disposition);
                    in_file =
                        name.is_none() && parameter(&disposition, "name").as_deref() == Some(FIELD);
                    if in_file {
                        name = Some(shown_name(&disposition));
                    }
                }
                MultipartEvent::Data(data) if in_file => {
                    bytes = bytes.saturating_add(data.len() as u64);
                    besides = besides.saturating_sub(data.len() as u64);
                    if bytes > largest {
                        return Err(UploadError::TooLarge);
                    }
                    hasher.update(&data);
                    sink.write_all(&data).await?;
                }
                MultipartEvent::PartEnd => in_file = false,
                MultipartEvent::Data(_) | MultipartEvent::End => {}
            }
        }
        // What the decoder still holds back is less than a delimiter, or the head of a part.
        if besides > OVERHEAD + 1024 {
            return Err(UploadError::TooLarge);
        }
    }
    decoder.finish()?;
    let Some(name) = name else {
        return Err(UploadError::NoFile);
    };
    if bytes == 0 {
        return Err(UploadError::NoFile);
    }
    sink.flush().await?;
    let mut file = sink.into_std().await;
    file.seek(SeekFrom::Start(0))?;
    Ok(Taken {
        file,
        name,
        bytes,
        digest: hasher.finish(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    const TYPE: &str = "multipart/form-data; boundary=xyz";

    fn form(disposition: &str, content: &[u8]) -> Vec<u8> {
        let mut form =
            b"--xyz\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\nabc\r\n--xyz\r\n"
                .to_vec();
        form.extend(format!("Content-Disposition: form-data; {disposition}\r\nContent-Type: application/pdf\r\n\r\n").bytes());
        form.extend(content);
        form.extend(b"\r\n--xyz--\r\n");
        form
    }

    async fn take(form: &[u8], piece: usize, largest: u64) -> Result<Taken, UploadError> {
        let (mut sender, body) = Body::channel(1);
        let pieces: Vec<Vec<u8>> = form.chunks(piece).map(<[u8]>::to_vec).collect();
        let writer = tokio::spawn(async move {
            for piece in pieces {
                if sender.send(piece).await.is_err() {
                    return;
                }
            }
            sender.finish();
        });
        let taken = take_file(TYPE, body, largest).await;
        writer.await.unwrap();
        taken
    }

    #[tokio::test]
    async fn a_file_arrives_whole_however_it_is_cut() {
        let content: Vec<u8> = (0..5000u32).flat_map(|at| at.to_le_bytes()).collect();
        let form = form(
            "name=\"file\"; filename=\"C:\\\\папка\\\\contract.pdf\"",
            &content,
        );
        for piece in [1, 7, 4096, form.len()] {
            let mut taken = take(&form, piece, 20_000).await.unwrap();
            let mut found = Vec::new();
            taken.file.read_to_end(&mut found).unwrap();
            assert_eq!(found, content);
            assert_eq!((taken.name.as_str(), taken.bytes), ("contract.pdf", 20_000));
            assert_eq!(taken.digest, DigestAlgorithm::Sha256.digest(&content));
        }
        assert!(matches!(
            take(&form, 4096, 19_999).await,
            Err(UploadError::TooLarge)
        ));
    }

    #[tokio::test]
    async fn what_is_no_file_is_refused() {
        let whole = form("name=\"file\"; filename=\"a.pdf\"", b"content");
        for end in 0..whole.len() - 4 {
            let cut = whole.get(..end).unwrap();
            let refused = take(cut, 64, 100).await;
            assert!(
                matches!(refused, Err(UploadError::Form(_))),
                "{end}: {refused:?}"
            );
        }
        for none in [
            form("name=\"file\"; filename=\"\"", b""),
            form("name=\"other\"; filename=\"a\"", b"x"),
        ] {
            assert!(matches!(
                take(&none, 64, 100).await,
                Err(UploadError::NoFile)
            ));
        }
        // Only the first file counts, and what stands beside it is bounded too.
        let beside = form("name=\"other\"", &vec![b'x'; 70_000]);
        assert!(matches!(
            take(&beside, 4096, 100).await,
            Err(UploadError::TooLarge)
        ));
        for kind in [
            "application/pdf",
            "multipart/form-data",
            "multipart/mixed; boundary=xyz",
            "",
        ] {
            let refused = take_file(kind, Body::full(whole.clone()), 100).await;
            assert!(matches!(refused, Err(UploadError::Form(_))), "{kind}");
        }
    }

    #[test]
    fn names_are_shown_short_and_without_folders() {
        for (disposition, name) in [
            ("form-data; name=\"file\"; filename=\"/etc/a.pdf\"", "a.pdf"),
            (
                "form-data; name=\"file\"; filename=\"Келишим.pdf\"",
                "Келишим.pdf",
            ),
            ("form-data; name=\"file\"", ""),
        ] {
            assert_eq!(shown_name(disposition), name);
        }
        let long = format!("form-data; filename=\"{}\"", "ы".repeat(400));
        assert_eq!(shown_name(&long).chars().count(), LONGEST_NAME + 1);
    }
}
