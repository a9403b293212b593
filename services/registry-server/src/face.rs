//! Faces and signatures of the invented residents: drawn, never photographed, and the same in every run.

use id_registry::{PersonalNumber, Resident, Sex, age_on};
use jpeg_encoder::{ColorType, Encoder, EncodingError};
use pki::DigestAlgorithm;
use time::Date;

/// Pixels of a portrait: three to four, as documents print it.
const PORTRAIT: (u16, u16) = (240, 320);
/// Pixels of a signature image.
const SIGNATURE: (u16, u16) = (300, 100);
/// Quality of JPEG, of 100: some 8 kB for a portrait.
const QUALITY: u8 = 75;
/// From this age hair turns grey.
const GREY: i32 = 55;

type Colour = [f32; 3];

const SKINS: [Colour; 4] = [
    [236.0, 196.0, 160.0],
    [224.0, 178.0, 138.0],
    [205.0, 158.0, 118.0],
    [242.0, 208.0, 178.0],
];
const HAIRS: [Colour; 4] = [
    [28.0, 22.0, 20.0],
    [52.0, 36.0, 26.0],
    [84.0, 56.0, 36.0],
    [38.0, 30.0, 34.0],
];
const CLOTHES: [Colour; 5] = [
    [40.0, 62.0, 104.0],
    [122.0, 34.0, 46.0],
    [46.0, 88.0, 72.0],
    [74.0, 74.0, 84.0],
    [150.0, 108.0, 46.0],
];
const EYES: [Colour; 3] = [[58.0, 36.0, 22.0], [86.0, 62.0, 34.0], [60.0, 78.0, 70.0]];

/// A picture of floating points, row by row.
struct Canvas {
    width: u16,
    height: u16,
    pixels: Vec<Colour>,
}

impl Canvas {
    fn new((width, height): (u16, u16), paint: impl Fn(f32) -> Colour) -> Self {
        let rows = (0..height).map(|row| paint(f32::from(row) / f32::from(height)));
        let pixels = rows
            .flat_map(|colour| std::iter::repeat_n(colour, usize::from(width)))
            .collect();
        Self {
            width,
            height,
            pixels,
        }
    }

    /// Paints where `inside` is positive; it is measured in pixels, so that edges are smooth.
    fn paint(&mut self, colour: Colour, inside: impl Fn(f32, f32) -> f32) {
        for row in 0..self.height {
            for column in 0..self.width {
                let cover = (inside(f32::from(column), f32::from(row)) + 0.5).clamp(0.0, 1.0);
                let place = usize::from(row) * usize::from(self.width) + usize::from(column);
                if let Some(pixel) = self.pixels.get_mut(place) {
                    for (under, over) in pixel.iter_mut().zip(colour) {
                        *under += (over - *under) * cover;
                    }
                }
            }
        }
    }

    fn ellipse(&mut self, colour: Colour, (x, y): (f32, f32), (wide, high): (f32, f32)) {
        self.paint(colour, ellipse((x, y), (wide, high)));
    }

    fn line(&mut self, colour: Colour, points: &[(f32, f32)], thick: f32) {
        self.paint(colour, |x, y| {
            let near = points
                .windows(2)
                .map(|two| distance((x, y), two[0], two[1]));
            thick / 2.0 - near.fold(f32::MAX, f32::min)
        });
    }

    fn encode(&self) -> Result<Vec<u8>, EncodingError> {
        let bytes: Vec<u8> = self.pixels.iter().flatten().copied().map(byte).collect();
        let mut file = Vec::new();
        Encoder::new(&mut file, QUALITY).encode(&bytes, self.width, self.height, ColorType::Rgb)?;
        Ok(file)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a byte"
)]
fn byte(value: f32) -> u8 {
    value.clamp(0.0, 255.0) as u8
}

/// Pixels from a point to the edge of an ellipse, positive inside; near enough at the edge.
fn ellipse((x, y): (f32, f32), (wide, high): (f32, f32)) -> impl Fn(f32, f32) -> f32 {
    move |column, row| {
        let away = ((column - x) / wide).hypot((row - y) / high);
        (1.0 - away) * wide.min(high)
    }
}

fn distance((x, y): (f32, f32), from: (f32, f32), to: (f32, f32)) -> f32 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = (dx * dx + dy * dy).max(f32::EPSILON);
    let along = (((x - from.0) * dx + (y - from.1) * dy) / length).clamp(0.0, 1.0);
    (x - from.0 - along * dx).hypot(y - from.1 - along * dy)
}

/// What somebody looks like: bytes that follow from the number.
struct Traits([u8; 32]);

impl Traits {
    fn of(number: PersonalNumber) -> Self {
        let digest = DigestAlgorithm::Sha256.digest(number.as_str().as_bytes());
        let mut bytes = [0; 32];
        bytes
            .iter_mut()
            .zip(digest.as_ref())
            .for_each(|(to, from)| *to = *from);
        Self(bytes)
    }

    /// A value between two.
    fn between(&self, trait_: usize, low: f32, high: f32) -> f32 {
        low + (high - low) * f32::from(self.0[trait_ % 32]) / 255.0
    }

    fn pick<T: Copy>(&self, trait_: usize, values: &[T], other: T) -> T {
        let place = usize::from(self.0[trait_ % 32]) % values.len().max(1);
        values.get(place).copied().unwrap_or(other)
    }
}

/// The face of a resident on a day, as a JPEG file.
pub(crate) fn portrait(resident: &Resident, today: Date) -> Result<Vec<u8>, EncodingError> {
    let traits = Traits::of(resident.number);
    let age = age_on(resident.born_on, today);
    let woman = resident.sex == Sex::Female;
    let skin = traits.pick(0, &SKINS, SKINS[0]);
    let dark = skin.map(|part| part * 0.82);
    let hair = if age >= GREY {
        [176.0, 174.0, 172.0]
    } else {
        traits.pick(1, &HAIRS, HAIRS[0])
    };
    // A child's face is rounder and smaller.
    let small = if age < 14 { 0.88 } else { 1.0 };
    let (wide, high) = (
        traits.between(2, 54.0, 66.0) * small,
        traits.between(3, 72.0, 84.0) * small,
    );
    let (x, y) = (120.0, 150.0);
    let mut canvas = Canvas::new(PORTRAIT, |down| {
        [
            222.0 - 30.0 * down,
            230.0 - 26.0 * down,
            238.0 - 20.0 * down,
        ]
    });
    let clothes = traits.pick(4, &CLOTHES, CLOTHES[0]);
    if woman && age >= 10 {
        let long = traits.between(5, 70.0, 130.0);
        canvas.ellipse(hair, (x, y + 20.0), (wide + 16.0, long + 20.0));
    }
    canvas.paint(dark, |column, row| {
        let side = 24.0 * small - (column - x).abs();
        side.min(row - y).min(y + high + 34.0 - row)
    });
    canvas.ellipse(clothes, (x, 330.0), (108.0 * small, 92.0));
    canvas.ellipse(hair, (x, y - 22.0), (wide + 8.0, high - 8.0));
    for side in [-1.0, 1.0] {
        canvas.ellipse(dark, (x + side * wide, y + 4.0), (9.0, 15.0));
    }
    canvas.ellipse(skin, (x, y), (wide, high));
    // Hair over the forehead, down to a line of its own.
    let line = y - high * traits.between(6, 0.48, 0.66);
    let head = ellipse((x, y - 6.0), (wide + 4.0, high + 4.0));
    let parting = traits.between(7, -30.0, 30.0);
    let bald = !woman && age >= GREY && traits.0[8].is_multiple_of(2);
    if !bald {
        canvas.paint(hair, |column, row| {
            let edge = line + ((column - x - parting) / 22.0).abs() * 5.0 - row;
            head(column, row).min(edge)
        });
    }
    let apart = traits.between(9, 22.0, 28.0) * small;
    let eye = traits.pick(10, &EYES, EYES[0]);
    let open = traits.between(11, 5.5, 8.0);
    for side in [-1.0, 1.0] {
        let at = (x + side * apart, y - 8.0);
        canvas.ellipse([250.0; 3], at, (12.0 * small, open));
        canvas.ellipse(eye, at, (5.5, open.min(5.5)));
        canvas.ellipse([12.0; 3], at, (2.5, 2.5));
        let brow = y - 8.0 - traits.between(12, 14.0, 19.0);
        let arch = traits.between(13, 1.0, 5.0);
        canvas.line(
            hair,
            &[
                (at.0 - 13.0, brow + arch),
                (at.0, brow),
                (at.0 + 13.0, brow + arch),
            ],
            if woman { 3.0 } else { 5.0 },
        );
    }
    let nose = traits.between(14, 24.0, 32.0) * small;
    canvas.line(
        dark,
        &[
            (x - 3.0, y),
            (x - 8.0, y - 8.0 + nose),
            (x + 6.0, y - 6.0 + nose),
        ],
        3.0,
    );
    let mouth = y + high * 0.55;
    let smile = traits.between(15, -1.0, 5.0);
    let lips = if woman {
        [176.0, 74.0, 78.0]
    } else {
        skin.map(|part| part * 0.62)
    };
    canvas.line(
        lips,
        &[
            (x - 20.0 * small, mouth - smile),
            (x, mouth),
            (x + 20.0 * small, mouth - smile),
        ],
        traits.between(16, 4.0, 7.0),
    );
    if !woman && age >= 25 && traits.0[17].is_multiple_of(3) {
        canvas.line(
            hair,
            &[
                (x - 18.0, mouth - 7.0),
                (x, mouth - 12.0),
                (x + 18.0, mouth - 7.0),
            ],
            6.0,
        );
    }
    if age >= 45 {
        for up in [0.0, 9.0] {
            let wrinkle = y - high * 0.42 - up;
            canvas.line(dark, &[(x - 24.0, wrinkle), (x + 24.0, wrinkle)], 1.5);
        }
    }
    canvas.encode()
}

/// The signature of a resident: a stroke of the pen, as a JPEG file.
pub(crate) fn signature(resident: &Resident) -> Result<Vec<u8>, EncodingError> {
    let traits = Traits::of(resident.number);
    let mut canvas = Canvas::new(SIGNATURE, |_| [255.0; 3]);
    let waves = [
        (traits.between(0, 3.0, 6.0), traits.between(1, 12.0, 26.0)),
        (traits.between(2, 9.0, 16.0), traits.between(3, 4.0, 14.0)),
    ];
    let shift = traits.between(4, 0.0, 6.0);
    let points: Vec<(f32, f32)> = (0_u8..=120)
        .map(|step| {
            let along = f32::from(step) / 120.0;
            let high: f32 = waves
                .iter()
                .map(|(often, far)| (along * often * 6.0 + shift).sin() * far * (1.1 - along))
                .sum();
            let back = (along * waves[1].0 * 4.0).cos() * 10.0;
            (22.0 + along * 250.0 + back, 52.0 - high)
        })
        .collect();
    canvas.line([24.0, 34.0, 110.0], &points, 2.6);
    canvas.line([24.0, 34.0, 110.0], &[(30.0, 84.0), (264.0, 76.0)], 1.8);
    canvas.encode()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use id_registry::{Image, Population};
    use time::macros::date;

    /// Every picture is one that the register takes, differs from all others and is read by a decoder that we did not
    /// write.
    #[test]
    fn everybody_has_a_face_and_a_hand_of_their_own() {
        let population = Population::demonstration();
        let today = date!(2026 - 11 - 25);
        let mut seen = BTreeSet::new();
        for place in 0..12 {
            let resident = population.person(place * 17).expect("somebody");
            let drawn = portrait(&resident, today).expect("drawn");
            assert_eq!(portrait(&resident, today).expect("drawn again"), drawn);
            let hand = signature(&resident).expect("drawn");
            for (file, sides) in [(drawn, PORTRAIT), (hand, SIGNATURE)] {
                let mut decoder = zune_jpeg::JpegDecoder::new(std::io::Cursor::new(&file));
                let pixels = decoder.decode().expect("an independent decoder reads it");
                assert_eq!(
                    pixels.len(),
                    usize::from(sides.0) * usize::from(sides.1) * 3
                );
                let image = Image::check(file).expect("a picture for documents");
                assert_eq!(image.sides(), sides);
                assert!(seen.insert(image.id()), "{place}");
            }
        }
    }
}
