//! The photograph that the demo uploads.

/// Eileen Collins, photographed by NASA (public domain, image S78-32456 of the "Great Images in NASA" collection; from
/// scikit-image's `astronaut`). Like a phone's photograph, it is stored sideways with EXIF orientation 6 and contains
/// the location. So the demo shows that the picture is turned upright and that the location is removed.
pub(super) const PHOTOGRAPH: &[u8] = include_bytes!("astronaut.jpg");
