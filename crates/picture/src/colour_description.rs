//! Colours described by numbers instead of an ICC profile: primaries and a transfer function.
//!
//! Rules: PNG, third edition, 11.3.2 (cHRM, gAMA, cICP) and 13.13; ITU-T H.273 for the code points of cICP.

use moxcms::{ColorProfile, ToneReprCurve, XyY, Xyzd};

use crate::raster::Colour;

/// Primaries and transfer function of the samples.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ColourDescription {
    chromaticities: Chromaticities,
    transfer: Transfer,
    /// Whether black and white are the smallest and the largest number. Otherwise they are 16 and 235 of 255.
    full_range: bool,
}

/// The chromaticities of white and of the primaries, as CIE x and y.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Chromaticities {
    white: [f64; 2],
    red: [f64; 2],
    green: [f64; 2],
    blue: [f64; 2],
}

/// How numbers become light.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Transfer {
    Srgb,
    /// Light is the number to this power.
    Power(f64),
    Bt709,
    Smpte240,
    Smpte428,
    /// ITU-R BT.2100, absolute luminance.
    Pq,
    /// ITU-R BT.2100, relative luminance.
    Hlg,
}

const D65: [f64; 2] = [0.3127, 0.3290];
const BT709: Chromaticities = Chromaticities { white: D65, red: [0.64, 0.33], green: [0.30, 0.60], blue: [0.15, 0.06] };

/// The luminance of a white page in a picture of high dynamic range, in cd/m². Rule: ITU-R BT.2408, 2.1.
const REFERENCE_WHITE: f64 = 203.0;

impl Chromaticities {
    /// Parses a cHRM chunk: eight numbers, times 100,000. None if they describe no colour space.
    pub(crate) fn from_png(data: &[u8]) -> Option<Self> {
        let (numbers, _) = data.as_chunks::<4>();
        let number = |i: usize| numbers.get(i).map(|four| f64::from(u32::from_be_bytes(*four)) / 100_000.0);
        let point = |i: usize| Some([number(i)?, number(i + 1)?]);
        let found = Self { white: point(0)?, red: point(2)?, green: point(4)?, blue: point(6)? };
        found.is_colour_space().then_some(found)
    }

    /// The primaries with this code point. Rule: ITU-T H.273, table 2.
    fn from_code_point(code: u8) -> Option<Self> {
        let illuminant_c = [0.310, 0.316];
        Some(match code {
            1 => BT709,
            4 => Self { white: illuminant_c, red: [0.67, 0.33], green: [0.21, 0.71], blue: [0.14, 0.08] },
            5 => Self { white: D65, red: [0.64, 0.33], green: [0.29, 0.60], blue: [0.15, 0.06] },
            6 | 7 => Self { white: D65, red: [0.630, 0.340], green: [0.310, 0.595], blue: [0.155, 0.070] },
            8 => Self { white: illuminant_c, red: [0.681, 0.319], green: [0.243, 0.692], blue: [0.145, 0.049] },
            9 => Self { white: D65, red: [0.708, 0.292], green: [0.170, 0.797], blue: [0.131, 0.046] },
            11 => Self { white: [0.314, 0.351], red: [0.680, 0.320], green: [0.265, 0.690], blue: [0.150, 0.060] },
            12 => Self { white: D65, red: [0.680, 0.320], green: [0.265, 0.690], blue: [0.150, 0.060] },
            22 => Self { white: D65, red: [0.630, 0.340], green: [0.295, 0.605], blue: [0.155, 0.077] },
            _ => return None,
        })
    }

    /// Whether white is a mixture of all three primaries.
    fn is_colour_space(&self) -> bool {
        let cross =
            |[ax, ay]: [f64; 2], [bx, by]: [f64; 2], [cx, cy]: [f64; 2]| (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
        let sides = [
            cross(self.red, self.green, self.white),
            cross(self.green, self.blue, self.white),
            cross(self.blue, self.red, self.white),
        ];
        self.white[1] > 0.0 && (sides.iter().all(|side| *side > 1e-6) || sides.iter().all(|side| *side < -1e-6))
    }
}

impl ColourDescription {
    /// The description in the chunks gAMA and cHRM; None if both are missing.
    ///
    /// gAMA holds the exponent of encoding, times 100,000. An exponent within 5 % of 1/2.2 means
    /// the curve of sRGB, because programs write it for sRGB. libpng does not correct such files
    /// either.
    pub(crate) fn from_png(gamma: Option<u32>, chromaticities: Option<Chromaticities>) -> Option<Self> {
        let exponent = gamma.map(|gamma| 100_000.0 / f64::from(gamma)).filter(|e| (0.1..=10.0).contains(e));
        if exponent.is_none() && chromaticities.is_none() {
            return None;
        }
        let transfer = match exponent {
            Some(exponent) if (exponent / 2.2 - 1.0).abs() >= 0.05 => Transfer::Power(exponent),
            _ => Transfer::Srgb,
        };
        Some(Self { chromaticities: chromaticities.unwrap_or(BT709), transfer, full_range: true })
    }

    /// The description in a cICP chunk; None if a code is undefined or if the samples are not RGB.
    pub(crate) fn from_code_points([primaries, transfer, matrix, range]: [u8; 4]) -> Option<Self> {
        let transfer = match transfer {
            1 | 6 | 14 | 15 => Transfer::Bt709,
            4 => Transfer::Power(2.2),
            5 => Transfer::Power(2.8),
            7 => Transfer::Smpte240,
            8 => Transfer::Power(1.0),
            13 => Transfer::Srgb,
            16 => Transfer::Pq,
            17 => Transfer::Smpte428,
            18 => Transfer::Hlg,
            _ => return None,
        };
        // In a PNG the matrix is always that of RGB.
        let chromaticities = Chromaticities::from_code_point(primaries).filter(|_| matrix == 0)?;
        Some(Self { chromaticities, transfer, full_range: range != 0 })
    }

    /// The equivalent profile for samples of `colour`; None if they are sRGB already.
    pub(crate) fn profile(&self, colour: Colour) -> Option<ColorProfile> {
        let is_srgb_curve = self.transfer == Transfer::Srgb && self.full_range;
        match colour {
            Colour::Gray | Colour::GrayAlpha if is_srgb_curve => None,
            Colour::Gray | Colour::GrayAlpha => {
                let mut profile = ColorProfile::new_gray_with_gamma(1.0);
                profile.gray_trc = Some(self.curve());
                Some(profile)
            }
            _ if is_srgb_curve && self.chromaticities == BT709 => None,
            _ => {
                let mut profile = ColorProfile::new_srgb();
                let Chromaticities { white, red, green, blue } = self.chromaticities;
                let [red, green, blue] = [red, green, blue].map(|[x, y]| Xyzd { x, y, z: 1.0 - x - y });
                let white = XyY { x: white[0], y: white[1], yb: 1.0 };
                profile.update_rgb_colorimetry_triplet(white, red, green, blue);
                profile.red_trc = Some(self.curve());
                profile.green_trc = Some(self.curve());
                profile.blue_trc = Some(self.curve());
                Some(profile)
            }
        }
    }

    /// The transfer function as a curve of a profile.
    fn curve(&self) -> ToneReprCurve {
        match self.transfer {
            Transfer::Power(exponent) if self.full_range => ToneReprCurve::Parametric(vec![exponent as f32]),
            Transfer::Srgb if self.full_range => {
                ToneReprCurve::Parametric(vec![2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045])
            }
            _ => {
                let light = |i: u16| self.light(f64::from(i) / 4095.0).clamp(0.0, 1.0);
                ToneReprCurve::Lut((0..4096).map(|i| (light(i) * 65_535.0).round() as u16).collect())
            }
        }
    }

    /// The light of a number from 0 to 1, where 1 is white.
    fn light(&self, number: f64) -> f64 {
        let v = if self.full_range { number } else { ((number * 255.0 - 16.0) / 219.0).clamp(0.0, 1.0) };
        match self.transfer {
            Transfer::Srgb if v <= 0.04045 => v / 12.92,
            Transfer::Srgb => ((v + 0.055) / 1.055).powf(2.4),
            Transfer::Power(exponent) => v.powf(exponent),
            Transfer::Bt709 if v < 0.081 => v / 4.5,
            Transfer::Bt709 => ((v + 0.099) / 1.099).powf(1.0 / 0.45),
            Transfer::Smpte240 if v < 0.0912 => v / 4.0,
            Transfer::Smpte240 => ((v + 0.1115) / 1.1115).powf(1.0 / 0.45),
            Transfer::Smpte428 => v.powf(2.6) * 52.37 / 48.0,
            Transfer::Pq => {
                let power = v.powf(1.0 / 78.84375);
                let ratio = (power - 0.835_937_5).max(0.0) / (18.851_562_5 - 18.6875 * power);
                ratio.powf(1.0 / 0.159_301_757_812_5) * 10_000.0 / REFERENCE_WHITE
            }
            Transfer::Hlg => {
                let (a, b, c) = (0.178_832_77, 0.284_668_92, 0.559_910_73);
                let scene = if v <= 0.5 { v * v / 3.0 } else { (((v - c) / a).exp() + b) / 12.0 };
                // The nominal display has 1000 cd/m² and a system gamma of 1.2.
                scene.powf(1.2) * 1000.0 / REFERENCE_WHITE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfer_functions_have_their_published_values() {
        let light = |code, number: f64| ColourDescription::from_code_points([1, code, 0, 1]).unwrap().light(number);
        for (code, number, expected) in [
            (13, 0.5, 0.214_041),
            (1, 0.5, 0.259_589),
            (4, 0.5, 0.217_638),
            (8, 0.5, 0.5),
            // 58 % and 75 % of the signal are the reference white of PQ and HLG.
            (16, 0.580_69, 1.0),
            (18, 0.75, 1.0),
        ] {
            assert!((light(code, number) - expected).abs() < 2e-3, "{code}: {}", light(code, number));
        }
        let narrow = ColourDescription::from_code_points([1, 13, 0, 0]).unwrap();
        assert_eq!((narrow.light(16.0 / 255.0), narrow.light(235.0 / 255.0)), (0.0, 1.0));
    }

    #[test]
    fn descriptions_without_a_colour_space_are_ignored() {
        assert_eq!(ColourDescription::from_png(None, None), None);
        assert_eq!(ColourDescription::from_png(Some(0), None), None, "division by zero");
        assert_eq!(ColourDescription::from_png(Some(1), None), None, "an exponent of 100,000");
        assert_eq!(ColourDescription::from_code_points([2, 13, 0, 1]), None, "primaries unspecified");
        assert_eq!(ColourDescription::from_code_points([1, 2, 0, 1]), None, "transfer unspecified");
        assert_eq!(ColourDescription::from_code_points([1, 13, 1, 1]), None, "not RGB");
        let chunk = |numbers: [u32; 8]| numbers.map(u32::to_be_bytes).concat();
        assert!(
            Chromaticities::from_png(&chunk([31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000])).is_some()
        );
        for nonsense in
            [[0; 8], [33_333; 8], [u32::MAX; 8], [80_000, 10_000, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000]]
        {
            assert_eq!(Chromaticities::from_png(&chunk(nonsense)), None, "{nonsense:?}");
        }
        assert_eq!(Chromaticities::from_png(&[0; 31]), None);
    }

    #[test]
    fn srgb_by_any_name_needs_no_conversion() {
        for description in [
            ColourDescription::from_png(Some(45_455), None).unwrap(),
            ColourDescription::from_png(Some(45_455), Some(BT709)).unwrap(),
            ColourDescription::from_code_points([1, 13, 0, 1]).unwrap(),
        ] {
            assert!(description.profile(Colour::Rgb).is_none() && description.profile(Colour::Gray).is_none());
        }
        let linear = ColourDescription::from_png(Some(100_000), None).unwrap();
        assert!(linear.profile(Colour::Rgb).is_some() && linear.profile(Colour::GrayAlpha).is_some());
    }
}
