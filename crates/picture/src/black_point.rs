//! Black point compensation: the darkest colour of a press becomes black on the screen.
//!
//! The darkest ink is a dark gray. Without compensation, prints look washed out: 7 to 21 levels of 255 too light for
//! one common profile. LittleCMS, and with it Pillow and sharp, compensates in every conversion to its own sRGB
//! profile. The crate `moxcms` has no compensation.
//!
//! Rule: ISO 18619. The black point is used as it is and is not made neutral. LittleCMS does the
//! same for the perceptual intent. The standard scales X, Y and Z. This module scales the channels
//! of linear RGB. Black and white become the same colours as in the standard, and the colours
//! between them differ by less than one level.

use moxcms::{ColorProfile, DataColorSpace, Layout, ProfileVersion, TransformOptions};

/// The light of black in each channel, where white is 1, for the perceptual tables of ICC version
/// 4. Rule: ICC.1:2022, 6.3.3.
const VERSION_4_BLACK: f64 = 0.003_473_1;

/// The most light that is taken for black: L* 50.
const MAX_BLACK: f64 = 0.184_187;

/// For each channel of sRGB, a table from a sample to the compensated sample.
pub(crate) type Compensation = [[u8; 256]; 3];

/// Returns the compensation for conversions from `profile` to `srgb`. Samples under `profile` have
/// the layout `from`. None if the black of `profile` is the black of `srgb` already.
pub(crate) fn compensation(profile: &ColorProfile, from: Layout, srgb: &ColorProfile) -> Option<Compensation> {
    let black = darkest_light(profile, from, srgb).filter(|black| black.iter().any(|light| *light > 1e-5))?;
    Some(black.map(|black| {
        std::array::from_fn(|sample| {
            let light = (decoded(sample as f64 / 255.0) - black) / (1.0 - black);
            (encoded(light.max(0.0)) * 255.0).round() as u8
        })
    }))
}

/// The light of the darkest colour in each channel, where white is 1. None if the profile has curves instead of a
/// table, because the darkest colour of a profile with curves is black.
fn darkest_light(profile: &ColorProfile, from: Layout, srgb: &ColorProfile) -> Option<[f64; 3]> {
    profile.lut_a_to_b_perceptual.as_ref()?;
    if !matches!(
        profile.version(),
        ProfileVersion::V2_0
            | ProfileVersion::V2_1
            | ProfileVersion::V2_2
            | ProfileVersion::V2_3
            | ProfileVersion::V2_4
    ) {
        return Some([VERSION_4_BLACK; 3]);
    }
    // The darkest colour has all inks, or no light and no transparency.
    let (darkest, to) = match (profile.color_space, from) {
        (DataColorSpace::Cmyk, _) => ([u16::MAX; 4], Layout::Rgb),
        (_, Layout::Rgba) => ([0, 0, 0, u16::MAX], Layout::Rgba),
        _ => ([0; 4], Layout::Rgb),
    };
    let transform = profile.create_transform_16bit(from, srgb, to, TransformOptions::default()).ok()?;
    let mut rgb = [0; 4];
    let channels = |layout| if layout == Layout::Rgba { 4 } else { 3 };
    transform.transform(&darkest[..channels(from)], &mut rgb[..channels(to)]).ok()?;
    Some([rgb[0], rgb[1], rgb[2]].map(|sample| decoded(f64::from(sample) / 65_535.0).min(MAX_BLACK)))
}

/// Converts an sRGB value to light, both from 0 to 1. Rule: IEC 61966-2-1.
fn decoded(v: f64) -> f64 {
    if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

/// Converts light to an sRGB value, both from 0 to 1.
fn encoded(light: f64) -> f64 {
    if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_with_curves_need_no_compensation() {
        let (p3, srgb) = (ColorProfile::new_display_p3(), ColorProfile::new_srgb());
        assert_eq!(compensation(&p3, Layout::Rgb, &srgb), None);
    }

    #[test]
    fn encoding_reverses_decoding() {
        for i in 0..=255u8 {
            let v = f64::from(i) / 255.0;
            assert!((encoded(decoded(v)) - v).abs() < 1e-4, "{i}");
        }
    }
}
