//! Portraits and signature images: JPEG pictures of at most [`LARGEST_IMAGE`] bytes, for documents.
//!
//! An act says that a picture was taken and names it by its digest; the bytes lie beside the acts. A [`Image`] is made
//! only by [`Image::check`], so nothing else than a plain picture is ever stored or told.

use std::fmt;

use pki::DigestAlgorithm;
use serde::{Deserialize, Serialize};

/// Largest picture, in bytes.
pub const LARGEST_IMAGE: usize = 30_000;
/// Least pixels of a side.
const SHORTEST_SIDE: u16 = 16;
/// Most pixels of a side.
const LONGEST_SIDE: u16 = 1200;
/// Pixels of a side.
const SIDES: std::ops::RangeInclusive<u16> = SHORTEST_SIDE..=LONGEST_SIDE;

const START_OF_IMAGE: [u8; 2] = [0xFF, 0xD8];
const END_OF_IMAGE: u8 = 0xD9;
const START_OF_SCAN: u8 = 0xDA;
const QUANTISATION_TABLES: u8 = 0xDB;
const HUFFMAN_TABLES: u8 = 0xC4;
const RESTART_INTERVAL: u8 = 0xDD;
const JFIF: u8 = 0xE0;
const ADOBE: u8 = 0xEE;
/// Baseline, extended sequential and progressive frames with Huffman coding.
const FRAMES: std::ops::RangeInclusive<u8> = 0xC0..=0xC2;
/// The length of a JFIF segment without a thumbnail, and of Adobe's segment that names the colours.
const PLAIN_LENGTHS: [(u8, usize); 2] = [(JFIF, 16), (ADOBE, 14)];

/// What a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ImageKind {
    /// The face.
    Portrait,
    /// The signature as the person writes it.
    Signature,
}

/// A picture's name: SHA-256 of its bytes, in acts as hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageId([u8; 32]);

impl ImageId {
    /// A name as a database keeps it; none if these are not 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageId({self})")
    }
}

impl From<ImageId> for String {
    fn from(id: ImageId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for ImageId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = "a picture is named by 64 hexadecimal digits in small letters";
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut id = [0; 32];
        if text.len() != 64 {
            return Err(wrong);
        }
        for (byte, two) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let (high, low) = (digit(two[0]).ok_or(wrong)?, digit(two[1]).ok_or(wrong)?);
            *byte = high << 4 | low;
        }
        Ok(Self(id))
    }
}

/// Why bytes are no picture for a document. The fault is that of whoever took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// More than [`LARGEST_IMAGE`] bytes.
    #[error("a picture has at most {LARGEST_IMAGE} bytes, this one has {0}; compress it more")]
    Size(usize),
    /// Not JPEG, cut off, or with bytes behind its end.
    #[error("the picture is not a whole JPEG file")]
    NotJpeg,
    /// JPEG of a kind that not every reader knows: arithmetic coding, lossless, twelve bits, four colours.
    #[error("the picture is JPEG of an uncommon kind; save it as baseline or progressive")]
    Kind,
    /// A side that is too short or too long.
    #[error(
        "a picture has sides of {SHORTEST_SIDE} to {LONGEST_SIDE} pixels, this one has {0} by {1}"
    )]
    Sides(u16, u16),
    /// Comments, a place, a thumbnail, a colour profile: nothing but the picture itself is kept.
    #[error(
        "the picture carries other data beside it, such as the place where it was taken; remove them"
    )]
    Metadata,
}

/// A picture that was checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    id: ImageId,
    bytes: Vec<u8>,
    sides: (u16, u16),
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({}, {} bytes)", self.id, self.bytes.len())
    }
}

impl Image {
    /// Takes bytes that are a whole JPEG picture (ITU-T T.81) of the sizes allowed, with nothing beside it.
    ///
    /// # Errors
    /// See [`ImageError`].
    pub fn check(bytes: Vec<u8>) -> Result<Self, ImageError> {
        if bytes.len() > LARGEST_IMAGE {
            return Err(ImageError::Size(bytes.len()));
        }
        let sides = sides(&bytes)?;
        if !SIDES.contains(&sides.0) || !SIDES.contains(&sides.1) {
            return Err(ImageError::Sides(sides.0, sides.1));
        }
        let digest = DigestAlgorithm::Sha256.digest(&bytes);
        let id = ImageId::from_bytes(digest.as_ref()).ok_or(ImageError::NotJpeg)?;
        Ok(Self { id, bytes, sides })
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> ImageId {
        self.id
    }

    /// The JPEG file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Width and height in pixels.
    #[must_use]
    pub const fn sides(&self) -> (u16, u16) {
        self.sides
    }
}

impl From<Image> for Vec<u8> {
    fn from(image: Image) -> Self {
        image.bytes
    }
}

/// Walks over the file's segments to its very end; gives width and height.
fn sides(bytes: &[u8]) -> Result<(u16, u16), ImageError> {
    let mut rest = bytes
        .strip_prefix(&START_OF_IMAGE)
        .ok_or(ImageError::NotJpeg)?;
    let mut sides = None;
    let mut scanned = false;
    loop {
        let [0xFF, marker, after @ ..] = rest else {
            return Err(ImageError::NotJpeg);
        };
        if *marker == END_OF_IMAGE {
            let whole = after.is_empty() && scanned;
            return sides.filter(|_| whole).ok_or(ImageError::NotJpeg);
        }
        let [high, low, ..] = after else {
            return Err(ImageError::NotJpeg);
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let segment = after.get(2..length).ok_or(ImageError::NotJpeg)?;
        rest = after.get(length..).ok_or(ImageError::NotJpeg)?;
        match *marker {
            marker if FRAMES.contains(&marker) => {
                if sides.is_some() {
                    return Err(ImageError::NotJpeg);
                }
                sides = Some(frame(segment)?);
            }
            START_OF_SCAN => {
                if sides.is_none() {
                    return Err(ImageError::NotJpeg);
                }
                scanned = true;
                rest = rest.get(entropy_coded(rest)..).ok_or(ImageError::NotJpeg)?;
            }
            QUANTISATION_TABLES | HUFFMAN_TABLES | RESTART_INTERVAL => {}
            marker if PLAIN_LENGTHS.contains(&(marker, length)) => {}
            // Other frames than those above, arithmetic coding, a height that is told later.
            0xC3..=0xCF | 0xDC | 0xDE | 0xDF => return Err(ImageError::Kind),
            0xE0..=0xEF | 0xFE => return Err(ImageError::Metadata),
            _ => return Err(ImageError::NotJpeg),
        }
    }
}

/// Width and height of a frame of eight bits and one or three colours (T.81 B.2.2).
fn frame(segment: &[u8]) -> Result<(u16, u16), ImageError> {
    let [precision, h1, h0, w1, w0, colours, components @ ..] = segment else {
        return Err(ImageError::NotJpeg);
    };
    if components.len() != 3 * usize::from(*colours) {
        return Err(ImageError::NotJpeg);
    }
    if *precision != 8 || ![1, 3].contains(colours) {
        return Err(ImageError::Kind);
    }
    Ok((
        u16::from_be_bytes([*w1, *w0]),
        u16::from_be_bytes([*h1, *h0]),
    ))
}

/// How many bytes of a scan are coded data: up to a marker that is neither a stuffed byte nor a restart (T.81 B.1.1.5).
fn entropy_coded(bytes: &[u8]) -> usize {
    bytes
        .windows(2)
        .position(|two| two[0] == 0xFF && !matches!(two[1], 0x00 | 0xD0..=0xD7))
        .unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len() + 2).expect("short").to_be_bytes();
        [&[0xFF, marker], length.as_slice(), body].concat()
    }

    fn frame_of(width: u16, height: u16) -> Vec<u8> {
        let ([w1, w0], [h1, h0]) = (width.to_be_bytes(), height.to_be_bytes());
        segment(0xC0, &[8, h1, h0, w1, w0, 1, 1, 0x11, 0])
    }

    fn picture(middle: &[Vec<u8>]) -> Vec<u8> {
        let scan = segment(START_OF_SCAN, &[1, 1, 0, 0, 63, 0]);
        let coded = [0x12, 0xFF, 0x00, 0x34, 0xFF, 0xD0, 0x56];
        [
            &START_OF_IMAGE,
            middle.concat().as_slice(),
            &scan,
            &coded,
            &[0xFF, END_OF_IMAGE],
        ]
        .concat()
    }

    #[test]
    fn a_plain_picture_is_taken_and_named() {
        let jfif = segment(
            JFIF,
            &[b'J', b'F', b'I', b'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0],
        );
        let image = Image::check(picture(&[jfif, frame_of(240, 320)])).expect("a picture");
        assert_eq!(image.sides(), (240, 320));
        let again: ImageId = image.id().to_string().try_into().expect("its name");
        assert_eq!(again, image.id());
        assert_eq!(ImageId::from_bytes(&[0; 31]), None);
        assert!(ImageId::try_from("0".repeat(63) + "G").is_err());
    }

    #[test]
    fn every_other_file_is_refused_with_its_reason() {
        let good = frame_of(240, 320);
        let refused = |middle: &[Vec<u8>]| Image::check(picture(middle)).expect_err("refused");
        assert_eq!(refused(&[]), ImageError::NotJpeg);
        assert_eq!(refused(&[good.clone(), good.clone()]), ImageError::NotJpeg);
        assert_eq!(refused(&[frame_of(0, 320)]), ImageError::Sides(0, 320));
        assert_eq!(
            refused(&[frame_of(240, 5000)]),
            ImageError::Sides(240, 5000)
        );
        let place = segment(0xE1, b"Exif\0\0");
        assert_eq!(refused(&[place, good.clone()]), ImageError::Metadata);
        let comment = segment(0xFE, b"<script>");
        assert_eq!(refused(&[comment, good.clone()]), ImageError::Metadata);
        let thumbnail = segment(JFIF, &[0; 20]);
        assert_eq!(refused(&[thumbnail, good.clone()]), ImageError::Metadata);
        let arithmetic = segment(0xC9, &[8, 1, 64, 0, 240, 1, 1, 0x11, 0]);
        assert_eq!(refused(&[arithmetic]), ImageError::Kind);
        let twelve = segment(0xC1, &[12, 1, 64, 0, 240, 1, 1, 0x11, 0]);
        assert_eq!(refused(&[twelve]), ImageError::Kind);
        let mut more = picture(std::slice::from_ref(&good));
        more.extend_from_slice(b"PK\x03\x04");
        assert_eq!(Image::check(more), Err(ImageError::NotJpeg));
        let large = vec![0xFF; LARGEST_IMAGE + 1];
        assert_eq!(Image::check(large), Err(ImageError::Size(30_001)));
        assert_eq!(
            Image::check(b"\x89PNG\r\n\x1a\n".to_vec()),
            Err(ImageError::NotJpeg)
        );
    }

    #[test]
    fn every_prefix_is_refused_and_no_changed_byte_makes_it_stumble() {
        let whole = picture(&[segment(QUANTISATION_TABLES, &[0; 65]), frame_of(240, 320)]);
        for length in 0..whole.len() {
            assert!(Image::check(whole[..length].to_vec()).is_err(), "{length}");
        }
        for place in 0..whole.len() {
            for value in [0, 1, 0x7F, 0xD8, 0xD9, 0xFF] {
                let mut changed = whole.clone();
                changed[place] = value;
                if let Ok(image) = Image::check(changed) {
                    assert!(SIDES.contains(&image.sides().0) && SIDES.contains(&image.sides().1));
                }
            }
        }
    }
}
