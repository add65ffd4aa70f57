//! The crop of a picture as a form of the page: its fields for the API, and its values when the page is rendered.
//!
//! The page uses crops in pixels of the turned picture (`docs/contracts/dropbox.md`, 4.5).

use domain::{CropFit, CropPart, CropSpace, Upload};

use crate::http::small_body::FormField;

/// Returns the fields of `PUT /api/dropbox/pictures/{id}` for those of the form.
pub(super) fn api_fields(form: &[FormField]) -> Vec<FormField> {
    let value = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let side = value("side");
    let mut fields = vec![("space", "picture")];
    match value("part") {
        whole @ ("contain" | "cover") => fields.push(("fit", whole)),
        _ => fields.extend([("x", value("x")), ("y", value("y")), ("w", side), ("h", side)]),
    }
    if !value("rotate").is_empty() {
        fields.push(("rotate", value("rotate")));
    }
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Returns the values of the form that show the crop of a picture. Without a picture, they are those of an empty one.
pub(super) fn template_values(upload: Option<&Upload>) -> Vec<(&'static str, String)> {
    let (width, height) = upload.and_then(|upload| upload.width.zip(upload.height)).unwrap_or((1, 1));
    let crop = upload.map(|upload| upload.crop).unwrap_or_default();
    let (width, height) = crop.rotate.turned_size((width, height));
    let side = width.min(height);
    let centre = ((width - side) / 2, (height - side) / 2, side);
    let (part, square) = match crop.part {
        Some(CropPart { space: CropSpace::Picture, x, y, w, h }) => ("square", (x, y, w.min(h))),
        None if crop.fit == CropFit::Contain => ("contain", centre),
        // Without a part the centre square is shown. The script shows the square of another client.
        _ => ("square", centre),
    };
    let mut values = vec![
        ("x", square.0.to_string()),
        ("y", square.1.to_string()),
        ("side", square.2.to_string()),
        ("longest", width.max(height).to_string()),
        ("width", width.to_string()),
        ("height", height.to_string()),
    ];
    for name in ["square", "contain"] {
        values.push((name, if part == name { "checked".to_owned() } else { String::new() }));
    }
    let degrees = crop.rotate.degrees();
    for (name, of) in [("rotate_0", 0), ("rotate_90", 90), ("rotate_180", 180), ("rotate_270", 270)] {
        values.push((name, if degrees == of { "selected".to_owned() } else { String::new() }));
    }
    values
}
