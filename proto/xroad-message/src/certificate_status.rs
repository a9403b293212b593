//! Port 5577: a Security Server hands out the OCSP responses of its own
//! authentication certificates (section 1.9 of the protocol notes).

use bytes::{BufMut, Bytes, BytesMut};

use crate::fault::code;
use crate::multipart::{
    MultipartDecoder, MultipartError, MultipartEvent, MultipartLimits, boundary_of, is_type,
    write_end, write_part_start,
};
use crate::transport::{TYPE_OCSP, TYPE_RELATED};

/// Certificates that one query asks for.
pub const MAX_CERTIFICATES: usize = 10;
/// Longest OCSP response that is read, in bytes.
pub const MAX_RESPONSE_LENGTH: usize = 64 * 1024;
/// Longest body that [`decode_answer`] needs to be given.
pub const MAX_ANSWER_LENGTH: usize = MAX_CERTIFICATES * (MAX_RESPONSE_LENGTH + 1024);

/// Why a query or an answer is refused. The fault is the peer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// The query names no certificate.
    #[error("the query names no certificate")]
    Empty,
    /// More than [`MAX_CERTIFICATES`].
    #[error("the query names more than {MAX_CERTIFICATES} certificates")]
    TooMany,
    /// A hash that is not hexadecimal or of another length.
    #[error("the hash of a certificate is malformed")]
    Hash,
    /// The answer is not a multipart of OCSP responses.
    #[error("the answer does not hold OCSP responses")]
    ContentType,
    /// The answer holds another number of responses than were asked for (O2).
    #[error("the answer holds another number of responses than were asked for")]
    Count,
    /// A response is longer than [`MAX_RESPONSE_LENGTH`].
    #[error("an OCSP response is too long")]
    TooLong,
    /// Not a multipart.
    #[error(transparent)]
    Multipart(#[from] MultipartError),
}

impl StatusError {
    /// The leaf of the fault code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty | Self::TooMany | Self::Hash => code::BAD_REQUEST,
            _ => code::IO_ERROR,
        }
    }
}

/// The hash of one certificate in a query.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CertificateHash {
    /// SHA-1, as servers before 8 understand it (`cert`).
    Sha1([u8; 20]),
    /// SHA-256 (`cert_hash`).
    Sha256([u8; 32]),
}

/// The path and query that asks for the given certificates by both hashes (V1, O1).
pub fn encode_query<'a>(
    certificates: impl IntoIterator<Item = (&'a [u8; 20], &'a [u8; 32])>,
) -> String {
    let mut sha1 = String::new();
    let mut sha256 = String::new();
    for (short, long) in certificates {
        push_hash("cert=", short, &mut sha1);
        push_hash("cert_hash=", long, &mut sha256);
    }
    format!("/?{sha1}{}", sha256.trim_end_matches('&'))
}

fn push_hash(name: &str, hash: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push_str(name);
    for byte in hash {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out.push('&');
}

/// The certificates that a query asks for, in order. A peer that names both hashes
/// means the same certificates twice; the SHA-256 ones then count.
///
/// # Errors
/// The query names none, too many, or malformed hashes.
pub fn decode_query(query: Option<&str>) -> Result<Vec<CertificateHash>, StatusError> {
    let mut sha1 = Vec::new();
    let mut sha256 = Vec::new();
    for pair in query.unwrap_or("").split('&') {
        match pair.split_once('=') {
            Some(("cert", value)) => sha1.push(CertificateHash::Sha1(hash(value)?)),
            Some(("cert_hash", value)) => sha256.push(CertificateHash::Sha256(hash(value)?)),
            _ => {}
        }
        if sha1.len() > MAX_CERTIFICATES || sha256.len() > MAX_CERTIFICATES {
            return Err(StatusError::TooMany);
        }
    }
    let wanted = if sha256.is_empty() { sha1 } else { sha256 };
    if wanted.is_empty() {
        Err(StatusError::Empty)
    } else {
        Ok(wanted)
    }
}

fn hash<const N: usize>(text: &str) -> Result<[u8; N], StatusError> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(StatusError::Hash);
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks(2)) {
        for digit in pair {
            let value = char::from(*digit).to_digit(16).ok_or(StatusError::Hash)?;
            *byte = *byte << 4 | u8::try_from(value).map_err(|_| StatusError::Hash)?;
        }
    }
    Ok(out)
}

/// The content type and body of an answer: one part for each response, in the order
/// of the query (O2).
pub fn encode_answer<'a>(
    boundary: &str,
    responses: impl IntoIterator<Item = &'a [u8]>,
) -> (String, Bytes) {
    let mut out = BytesMut::new();
    for (index, response) in responses.into_iter().enumerate() {
        write_part_start(
            &mut out,
            boundary,
            index == 0,
            [("Content-Type", TYPE_OCSP.as_bytes())],
        );
        out.put_slice(response);
    }
    write_end(&mut out, boundary);
    let content_type =
        format!("multipart/related; type=\"{TYPE_OCSP}\"; charset=UTF-8; boundary={boundary}");
    (content_type, out.freeze())
}

/// Reads an answer that must hold `count` responses.
///
/// # Errors
/// The answer is not what was asked for.
pub fn decode_answer(
    content_type: &str,
    body: Bytes,
    count: usize,
) -> Result<Vec<Bytes>, StatusError> {
    if !is_type(content_type, TYPE_RELATED) {
        return Err(StatusError::ContentType);
    }
    let limits = MultipartLimits {
        parts: MAX_CERTIFICATES,
        ..MultipartLimits::default()
    };
    let mut decoder = MultipartDecoder::new(&boundary_of(content_type)?, limits)?;
    decoder.feed(body);
    let mut responses: Vec<BytesMut> = Vec::new();
    while let Some(event) = decoder.next()? {
        match event {
            MultipartEvent::PartStart(headers) => {
                if !headers
                    .content_type()
                    .is_some_and(|kind| is_type(kind, TYPE_OCSP))
                {
                    return Err(StatusError::ContentType);
                }
                responses.push(BytesMut::new());
            }
            MultipartEvent::Data(data) => {
                if let Some(response) = responses.last_mut() {
                    if response.len() + data.len() > MAX_RESPONSE_LENGTH {
                        return Err(StatusError::TooLong);
                    }
                    response.put_slice(&data);
                }
            }
            MultipartEvent::PartEnd | MultipartEvent::End => {}
        }
    }
    decoder.finish()?;
    if responses.len() != count {
        return Err(StatusError::Count);
    }
    Ok(responses.into_iter().map(BytesMut::freeze).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_name_both_hashes() {
        let text = encode_query([(&[0xab; 20], &[1; 32]), (&[2; 20], &[3; 32])]);
        assert!(
            text.starts_with(&format!("/?cert={}&cert=02", "ab".repeat(20)))
                && text.ends_with("03")
        );
        let wanted = decode_query(text.split_once('?').map(|(_, q)| q)).unwrap();
        assert_eq!(
            wanted,
            [
                CertificateHash::Sha256([1; 32]),
                CertificateHash::Sha256([3; 32])
            ]
        );
        let old = format!("cert={}", "AB".repeat(20));
        assert_eq!(
            decode_query(Some(&old)).unwrap(),
            [CertificateHash::Sha1([0xab; 20])]
        );
        assert_eq!(decode_query(None), Err(StatusError::Empty));
        assert_eq!(decode_query(Some("cert=zz")), Err(StatusError::Hash));
        assert_eq!(
            decode_query(Some(&vec![old; 11].join("&"))),
            Err(StatusError::TooMany)
        );
    }

    #[test]
    fn answers_keep_order_and_count() {
        let (content_type, body) = encode_answer("stat", [&b"one"[..], &b"two\r\n"[..]]);
        let read = decode_answer(&content_type, body.clone(), 2).unwrap();
        assert_eq!(read, [&b"one"[..], &b"two\r\n"[..]]);
        assert_eq!(
            decode_answer(&content_type, body.clone(), 1),
            Err(StatusError::Count)
        );
        assert_eq!(
            decode_answer("text/html", body.clone(), 2),
            Err(StatusError::ContentType)
        );
        for length in 0..body.len() - 2 {
            assert!(decode_answer(&content_type, body.slice(..length), 2).is_err());
        }
    }
}
