//! Makes pictures that differ from each other: squares of four colours, which follow from a number. Every rendering of
//! such a picture shows its four colours. So the pixels show whether two pictures were swapped.

use crate::random::SeededRandom;

/// The side length in pixels.
const SIDE: u32 = 64;
/// In a smaller rendering the colours mix, so they are not compared.
const MIN_COMPARED_SIDE: u32 = 16;
/// The maximum difference of a channel that rounding may cause.
const TOLERANCE: u8 = 8;

#[derive(Clone, Debug)]
pub struct TestPicture([[u8; 3]; 4]);

impl TestPicture {
    pub fn new(number: u64) -> Self {
        let mut random = SeededRandom::new(number);
        Self(std::array::from_fn(|_| std::array::from_fn(|_| random.next() as u8)))
    }

    fn colour(&self, x: u32, y: u32, side: u32) -> [u8; 3] {
        self.0[usize::from(x >= side / 2) + 2 * usize::from(y >= side / 2)]
    }

    pub fn png(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, SIDE, SIDE);
        encoder.set_color(png::ColorType::Rgb);
        let pixels: Vec<u8> = (0..SIDE * SIDE).flat_map(|at| self.colour(at % SIDE, at / SIDE, SIDE)).collect();
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&pixels).unwrap();
        writer.finish().unwrap();
        file
    }

    /// Compares a rendered PNG of `size` × `size` pixels with this picture.
    pub fn compare(&self, file: &[u8], size: u32) -> Result<(), String> {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
        decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
        let mut reader = decoder.read_info().map_err(|error| format!("no PNG: {error}"))?;
        let mut pixels = vec![0; reader.output_buffer_size().ok_or("a PNG too large to decode")?];
        let frame = reader.next_frame(&mut pixels).map_err(|error| format!("a damaged PNG: {error}"))?;
        if (frame.width, frame.height) != (size, size) {
            return Err(format!("{} × {} pixels instead of {size} × {size}", frame.width, frame.height));
        }
        let channels = frame.color_type.samples();
        if size < MIN_COMPARED_SIDE || channels < 3 {
            return Ok(());
        }
        for (x, y) in
            [(size / 4, size / 4), (size * 3 / 4, size / 4), (size / 4, size * 3 / 4), (size * 3 / 4, size * 3 / 4)]
        {
            let at = usize::try_from(y).unwrap() * frame.line_size + usize::try_from(x).unwrap() * channels;
            let (shown, sent) = (&pixels[at..at + 3], self.colour(x, y, size));
            if shown.iter().zip(sent).any(|(shown, sent)| shown.abs_diff(sent) > TOLERANCE) {
                return Err(format!("{shown:?} instead of {sent:?} at ({x}, {y})"));
            }
        }
        Ok(())
    }
}
