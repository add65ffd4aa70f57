//! What is wanted of a picture: the words in which the rest of the program talks to the engine.

/// What to make of one picture: from an optional crop of it, every output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RenderPlan {
    /// The part to use; all of it when `None`.
    pub crop: Option<Region>,
    /// The variants wanted. [`super::RenderedPicture::variants`] keeps their order.
    pub outputs: Vec<OutputSpec>,
}

/// A rectangle in pixels of the oriented picture: as people see it, not as the file stores it.
///
/// The engine clamps it to the picture; one that misses the picture altogether becomes the nearest single pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// From the left edge.
    pub x: u32,
    /// From the top edge.
    pub y: u32,
    /// Pixels to the right, at least one.
    pub width: u32,
    /// Pixels down, at least one.
    pub height: u32,
}

/// One variant: its shape and its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputSpec {
    /// How large.
    pub shape: Shape,
    /// Encoded as what.
    pub format: OutputFormat,
}

/// How large an output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Exactly n × n pixels of the centre square of the picture or crop. A smaller picture is scaled up: whoever asks
    /// for a square has promised somebody exactly that many pixels.
    Square(u32),
    /// Fits into n × n, proportions kept, never scaled up.
    Inside(u32),
    /// The picture or crop at its own size.
    Full,
}

/// How an output is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// JPEG stays JPEG; WebP and BMP without transparency become JPEG; PNG, GIF and anything with transparency, PNG.
    Auto,
    /// JPEG, quality 80, 4:2:0; transparency is laid on white.
    Jpeg,
    /// PNG, by the fast compressor.
    Png,
}
