//! The fields of a crop, as a form sends them and as the status of an upload shows them
//! (`docs/contracts/dropbox.md`, 4).

use domain::{CROP_SPACE, Crop, CropFit, CropPart, CropSpace, Rotation};
use serde::Serialize;

use crate::error::ApiError;
use crate::http::small_body::FormField;

/// The space of the numbers of a crop
#[derive(utoipa::ToSchema, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes the names of `CropSpace`")]
pub(crate) enum CropSpaceName {
    Square,
    Picture,
}

/// How a part that is not square becomes a square
#[derive(utoipa::ToSchema, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes the names of `CropFit`")]
pub(crate) enum CropFitName {
    Cover,
    Contain,
}

/// A crop. Numbers are rounded, and what lies outside the picture is cut off. `x`, `y`, `w` and `h` are required, but with
/// `space=picture` all four may be left out, for the whole picture.
#[derive(utoipa::ToSchema)]
#[schema(example = json!({"x": 10, "y": 10, "w": 100, "h": 100}))]
#[expect(dead_code, reason = "describes the form that `RequestedCrop::parse` reads")]
pub(super) struct CropForm {
    /// The left edge
    #[schema(required = false)]
    x: f64,
    /// The upper edge
    #[schema(required = false)]
    y: f64,
    /// The width
    #[schema(exclusive_minimum = 0, required = false)]
    w: f64,
    /// The height
    #[schema(exclusive_minimum = 0, required = false)]
    h: f64,
    /// The space of the numbers: the centre square of the turned picture as 512 × 512, or the pixels of the turned picture
    #[schema(value_type = CropSpaceName, default = "square", required = false)]
    space: &'static str,
    /// Degrees by which the upright picture is turned clockwise, before it is cropped
    #[schema(maximum = 270, multiple_of = 90, default = 0, required = false)]
    rotate: u16,
    /// How a part that is not square becomes a square: its centre square fills it, or the whole part lies between bars,
    /// which are transparent in PNG and white in JPEG
    #[schema(value_type = CropFitName, default = "cover", required = false)]
    fit: &'static str,
}

/// What is shown of a picture, in the fields of `cropPicture`. Sending them again changes nothing.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ShownCrop {
    #[schema(value_type = CropSpaceName)]
    space: &'static str,
    /// The left edge
    x: u32,
    /// The upper edge
    y: u32,
    /// The width
    #[schema(minimum = 1)]
    w: u32,
    /// The height
    #[schema(minimum = 1)]
    h: u32,
    /// Degrees by which the upright picture is turned clockwise, before it is cropped
    #[schema(maximum = 270, multiple_of = 90)]
    rotate: u16,
    #[schema(value_type = CropFitName)]
    fit: &'static str,
}

impl ShownCrop {
    /// `size` is the width and the height of the upright picture.
    pub(crate) fn new(crop: Crop, size: (u32, u32)) -> Self {
        let part = crop.part.unwrap_or_else(|| whole(crop.rotate.turned_size(size)));
        Self {
            space: part.space.as_str(),
            x: part.x,
            y: part.y,
            w: part.w,
            h: part.h,
            rotate: crop.rotate.degrees(),
            fit: crop.fit.as_str(),
        }
    }
}

/// All of a picture of this size.
fn whole((w, h): (u32, u32)) -> CropPart {
    CropPart { space: CropSpace::Picture, x: 0, y: 0, w, h }
}

/// A crop as a form requests it. The size of the picture is not known yet.
#[derive(Debug, PartialEq)]
pub(super) struct RequestedCrop {
    area: RequestedArea,
    rotate: Rotation,
    fit: CropFit,
}

#[derive(Debug, PartialEq)]
enum RequestedArea {
    Whole,
    /// Clamped already, because the size of the square is always the same.
    InSquare(CropPart),
    /// x, y, w and h in pixels of the picture.
    InPicture([f64; 4]),
}

impl RequestedCrop {
    /// Parses the fields of a form. Other fields are ignored, and of a repeated field the first is taken.
    pub(super) fn parse(fields: &[FormField]) -> Result<Self, ApiError> {
        let space = parse_word(fields, "space", "\"square\" or \"picture\"")?.unwrap_or(CropSpace::Square);
        let rotate = parse_word(fields, "rotate", "0, 90, 180 or 270")?.unwrap_or(Rotation::Deg0);
        let fit = parse_word(fields, "fit", "\"cover\" or \"contain\"")?.unwrap_or(CropFit::Cover);
        let area = match space {
            CropSpace::Square => {
                let part = clamp(CropSpace::Square, parse_numbers(fields)?, (CROP_SPACE, CROP_SPACE))?;
                // The portal's page always sends this first, and it means the whole picture.
                let whole = CropPart { space: CropSpace::Square, ..whole((CROP_SPACE, CROP_SPACE)) };
                if part == whole { RequestedArea::Whole } else { RequestedArea::InSquare(part) }
            }
            CropSpace::Picture if ["x", "y", "w", "h"].iter().all(|name| find(fields, name).is_none()) => {
                RequestedArea::Whole
            }
            CropSpace::Picture => RequestedArea::InPicture(parse_numbers(fields)?),
        };
        Ok(Self { area, rotate, fit })
    }

    /// Returns the crop of a picture whose upright size is `size`.
    pub(super) fn of_picture(self, size: (u32, u32)) -> Result<Crop, ApiError> {
        let turned_size = self.rotate.turned_size(size);
        let part = match self.area {
            RequestedArea::Whole => None,
            RequestedArea::InSquare(part) => Some(part),
            // The same picture is stored in one form, so that a repeated crop is found to be the same.
            RequestedArea::InPicture(numbers) => {
                Some(clamp(CropSpace::Picture, numbers, turned_size)?).filter(|part| *part != whole(turned_size))
            }
        };
        Ok(Crop { part, rotate: self.rotate, fit: self.fit })
    }
}

fn bad(why: String) -> ApiError {
    ApiError::malformed("bad_crop", why)
}

fn find<'a>(fields: &'a [FormField], name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim())
}

/// Parses a field that has one of a few values.
fn parse_word<T: std::str::FromStr>(fields: &[FormField], name: &str, allowed: &str) -> Result<Option<T>, ApiError> {
    let parse = |value: &str| value.parse().map_err(|_| bad(format!("\"{name}\" is {allowed}, not \"{value:.20}\"")));
    find(fields, name).map(parse).transpose()
}

/// Parses x, y, w and h.
fn parse_numbers(fields: &[FormField]) -> Result<[f64; 4], ApiError> {
    let field = |name: &str| {
        let value = find(fields, name).ok_or_else(|| bad(format!("\"{name}\" is missing; send x, y, w and h")))?;
        // A crop widget sends decimals. "NaN" and "inf" parse as `f64` but are invalid here.
        let number: f64 = value.parse().map_err(|_| bad(format!("\"{name}\" is a number, not \"{value:.20}\"")))?;
        if number.is_finite() { Ok(number) } else { Err(bad(format!("\"{name}\" is a number, not \"{value:.20}\""))) }
    };
    let numbers = [field("x")?, field("y")?, field("w")?, field("h")?];
    if numbers[2] <= 0.0 || numbers[3] <= 0.0 {
        return Err(bad("\"w\" and \"h\" are larger than 0".to_owned()));
    }
    Ok(numbers)
}

/// Rounds the edges and clamps them to a space of this size.
fn clamp(space: CropSpace, [x, y, w, h]: [f64; 4], (width, height): (u32, u32)) -> Result<CropPart, ApiError> {
    let outside = || bad(format!("the crop lies outside the picture, which is {width} × {height} here"));
    let (x, w) = clamp_side(x, w, width).ok_or_else(outside)?;
    let (y, h) = clamp_side(y, h, height).ok_or_else(outside)?;
    Ok(CropPart { space, x, y, w, h })
}

/// Rounds one side of a crop and clamps it to the picture. None if the side lies outside the picture.
fn clamp_side(start: f64, length: f64, limit: u32) -> Option<(u32, u32)> {
    let end = f64::from(limit);
    let from = start.round().clamp(0.0, end);
    let to = (start + length).round().clamp(0.0, end);
    // At this point the values are whole numbers from 0 to `limit`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped above")]
    let (from, to) = (from as u32, to as u32);
    (from < to).then(|| (from, to - from))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses a query string as the form.
    fn parse(form: &str) -> Result<RequestedCrop, ApiError> {
        let fields = form_urlencoded::parse(form.as_bytes()).map(|(key, value)| (key.into_owned(), value.into_owned()));
        RequestedCrop::parse(&fields.collect::<Vec<_>>())
    }

    /// The part that a form selects of a picture of 300 × 100 pixels, and the number of degrees.
    fn part(form: &str) -> Option<(&'static str, [u32; 4])> {
        let crop = parse(form).unwrap().of_picture((300, 100)).unwrap();
        crop.part.map(|part| (part.space.as_str(), [part.x, part.y, part.w, part.h]))
    }

    #[test]
    fn crops_are_rounded_and_clamped() {
        for (form, expected) in [
            ("x=0&y=0&w=512&h=512", None),
            ("x=-10&y=-10&w=600&h=600", None),
            ("x=10.4&y=20.6&w=100.2&h=99.9", Some(("square", [10, 21, 101, 100]))),
            ("x=500&y=0&w=100&h=512", Some(("square", [500, 0, 12, 512]))),
            ("x=-5&y=0&w=10&h=512&space=square", Some(("square", [0, 0, 5, 512]))),
            ("x=0&y=0&w=1e308&h=1e308", None),
            ("space=picture", None),
            ("space=picture&x=0&y=0&w=300&h=100", None),
            ("space=picture&x=-1&y=-1&w=1e308&h=1e308", None),
            ("space=picture&x=0&y=0&w=512&h=512&rotate=0", None),
            ("space=picture&x=10.4&y=20.6&w=100.2&h=99.9", Some(("picture", [10, 21, 101, 79]))),
            ("space=picture&x=299&y=99&w=1&h=1", Some(("picture", [299, 99, 1, 1]))),
            // The turned picture is 100 wide and 300 high.
            ("space=picture&x=0&y=0&w=300&h=100&rotate=90", Some(("picture", [0, 0, 100, 100]))),
            ("space=picture&x=0&y=0&w=100&h=300&rotate=270", None),
            ("space=picture&x=99&y=299&w=1&h=1&rotate=90", Some(("picture", [99, 299, 1, 1]))),
        ] {
            assert_eq!(part(form), expected, "{form}");
        }
    }

    #[test]
    fn all_fields_are_kept() {
        let crop = |form: &str| parse(form).unwrap().of_picture((300, 100)).unwrap();
        assert_eq!(crop("x=0&y=0&w=512&h=512"), Crop::default());
        assert_eq!(
            crop("space=picture&rotate=180&fit=contain"),
            Crop { part: None, rotate: Rotation::Deg180, fit: CropFit::Contain }
        );
        assert_eq!(
            crop("x=0&y=0&w=512&h=512&rotate=90&fit=contain"),
            Crop { part: None, rotate: Rotation::Deg90, fit: CropFit::Contain }
        );
    }

    #[test]
    fn a_shown_crop_sent_again_is_the_same() {
        for form in [
            "space=picture",
            "space=picture&rotate=90&fit=contain",
            "space=picture&x=1&y=2&w=3&h=4&rotate=270",
            "x=1&y=2&w=3&h=4&rotate=180",
        ] {
            let crop = parse(form).unwrap().of_picture((300, 100)).unwrap();
            let shown = serde_json::to_value(ShownCrop::new(crop, (300, 100))).unwrap();
            let text = |value: &serde_json::Value| value.as_str().map_or(value.to_string(), str::to_owned);
            let fields: Vec<_> =
                shown.as_object().unwrap().iter().map(|(key, value)| (key.clone(), text(value))).collect();
            assert_eq!(RequestedCrop::parse(&fields).unwrap().of_picture((300, 100)).unwrap(), crop, "{form}");
        }
    }

    #[test]
    fn invalid_crops_are_refused() {
        for form in [
            "x=NaN&y=0&w=1&h=1",
            "x=0&y=inf&w=1&h=1",
            "x=0&y=0&w=infinity&h=1",
            "x=0&y=0&w=0&h=1",
            "x=0&y=0&w=-1&h=1",
            "x=512&y=0&w=10&h=10",
            "x=1e308&y=0&w=1e308&h=1",
            "x=-10&y=0&w=10&h=10",
            "x=&y=0&w=1&h=1",
            "x=0&y=0&w=1&h=one",
            "x=0&y=0&w=1",
            "",
            "rotate=90",
            "fit=contain",
            "space=square",
            "space=&x=0&y=0&w=1&h=1",
            "space=pixels&x=0&y=0&w=1&h=1",
            "x=0&y=0&w=1&h=1&rotate=45",
            "x=0&y=0&w=1&h=1&rotate=-90",
            "x=0&y=0&w=1&h=1&rotate=",
            "x=0&y=0&w=1&h=1&fit=fill",
            "space=picture&x=0",
            "space=picture&x=0&y=0&w=1",
            "space=picture&x=0&y=0&w=0&h=1",
            "space=picture&x=NaN&y=0&w=1&h=1",
        ] {
            assert!(parse(form).is_err(), "{form}");
        }
        for form in [
            "space=picture&x=300&y=0&w=1&h=1",
            "space=picture&x=0&y=100&w=1&h=1",
            "space=picture&x=100&y=0&w=1&h=1&rotate=90",
            "space=picture&x=-5&y=0&w=5&h=1",
        ] {
            assert!(parse(form).unwrap().of_picture((300, 100)).is_err(), "{form}");
        }
    }
}
