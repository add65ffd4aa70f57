//! Render plans: what the rest of the program requests from the picture engine.

use domain::Rotation;

/// The outputs to make of one picture: the upright picture is turned, then cropped, then scaled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RenderPlan {
    /// The turn of the upright picture.
    pub rotation: Rotation,
    /// The part of the turned picture to use; all of it if `None`.
    pub crop: Option<Region>,
    /// The requested variants. [`super::RenderedPicture::variants`] keeps their order.
    pub outputs: Vec<OutputSpec>,
}

/// A rectangle in pixels of the turned picture: upright by its EXIF orientation, then turned by [`RenderPlan::rotation`].
///
/// The engine clamps it to the picture. Of a rectangle that lies right of the picture or below it,
/// the last column or row remains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Pixels from the left edge.
    pub x: u32,
    /// Pixels from the top edge.
    pub y: u32,
    /// Width in pixels, at least one.
    pub width: u32,
    /// Height in pixels, at least one.
    pub height: u32,
}

/// One variant: its shape and its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputSpec {
    /// The size.
    pub shape: Shape,
    /// The encoding.
    pub format: OutputFormat,
}

/// The size of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Exactly n × n pixels of the centre square of the picture or crop. A smaller picture is scaled up, because the
    /// caller needs exactly that many pixels.
    Square(u32),
    /// Exactly n × n pixels with the whole picture or crop in the middle. It touches two opposite edges, proportions
    /// kept, and a smaller one is scaled up. The bars beside it are transparent in PNG and white in JPEG. If they cannot
    /// be equal, the right or lower bar is one pixel wider.
    Letterboxed(u32),
    /// Fits into n × n, proportions kept, never scaled up.
    Inside(u32),
    /// The picture or crop at its own size.
    Full,
}

/// The encoding of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// JPEG stays JPEG; WebP and BMP become JPEG, or PNG if they have transparency; PNG, GIF and ICO become PNG.
    Auto,
    /// JPEG, quality 80, 4:2:0; transparency is laid on white.
    Jpeg,
    /// PNG, by the fast compressor.
    Png,
}
