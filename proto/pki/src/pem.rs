//! Textual encoding of DER (RFC 7468).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Largest text that is searched for blocks, in bytes.
pub const MAX_PEM_LENGTH: usize = 1 << 20;

/// Why a text has no usable block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// No block of the wanted label.
    #[error("the text has no PEM block of the expected kind")]
    NotFound,
    /// A block does not end, or its lines are not Base64.
    #[error("a PEM block is damaged")]
    Damaged,
    /// The text is longer than [`MAX_PEM_LENGTH`].
    #[error("the PEM text is too long")]
    TooLong,
}

/// The DER of every block of this label, in order.
///
/// # Errors
/// See [`PemError`].
pub fn decode_all(text: &[u8], label: &str) -> Result<Vec<Vec<u8>>, PemError> {
    if text.len() > MAX_PEM_LENGTH {
        return Err(PemError::TooLong);
    }
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let mut blocks = Vec::new();
    let mut current: Option<Vec<u8>> = None;
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line == begin.as_bytes() {
            if current.is_some() {
                return Err(PemError::Damaged);
            }
            current = Some(Vec::new());
        } else if line == end.as_bytes() {
            let base64 = current.take().ok_or(PemError::Damaged)?;
            blocks.push(STANDARD.decode(base64).map_err(|_| PemError::Damaged)?);
        } else if let Some(base64) = &mut current {
            base64.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
        }
    }
    if current.is_some() {
        return Err(PemError::Damaged);
    }
    if blocks.is_empty() {
        return Err(PemError::NotFound);
    }
    Ok(blocks)
}

/// The DER of the first block of this label.
///
/// # Errors
/// See [`PemError`].
pub fn decode(text: &[u8], label: &str) -> Result<Vec<u8>, PemError> {
    let blocks = decode_all(text, label)?;
    blocks.into_iter().next().ok_or(PemError::NotFound)
}

/// A block of this label, lines of 64 characters, with a final line feed.
pub fn encode(der: &[u8], label: &str) -> String {
    let base64 = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = behind;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_survive_a_round_trip() {
        let der: Vec<u8> = (0..200).collect();
        let text = format!(
            "subject=x\r\n{}junk\n{}",
            encode(&der, "CERTIFICATE").replace('\n', "\r\n"),
            encode(&[1], "CERTIFICATE")
        );
        let blocks = decode_all(text.as_bytes(), "CERTIFICATE").unwrap();
        assert_eq!(blocks, [der, vec![1]]);
        assert_eq!(
            decode(text.as_bytes(), "PRIVATE KEY"),
            Err(PemError::NotFound)
        );
        assert_eq!(
            decode(b"-----BEGIN X-----\nAA==", "X"),
            Err(PemError::Damaged)
        );
    }
}
