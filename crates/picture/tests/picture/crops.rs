//! Crops, rotations and letterboxes, compared pixel by pixel with a picture that is computed here: three times as wide as
//! high, four fields in its middle, and sides that the centre square does not show.

use domain::Rotation;
use picture::{
    CancelFlag, Limits, OutputFormat, OutputSpec, Region, RenderBuffers, RenderPlan, RenderedVariant, Shape, probe,
    render,
};

use super::golden::{pixels, psnr};
use super::{read_picture, single_output_plan};

/// Red, green, blue, alpha.
type Pixel = [u8; 4];

const WIDTH: u32 = 96;
const HEIGHT: u32 = 32;

const LEFT: Pixel = [250, 0, 250, 255];
const RIGHT: Pixel = [0, 250, 250, 255];
const FIELDS: [Pixel; 4] = [[250, 0, 0, 255], [0, 250, 0, 255], [0, 0, 250, 255], [250, 250, 0, 255]];
const CLEAR: Pixel = [255, 255, 255, 0];

/// A picture as rows of pixels.
#[derive(Clone, Debug, PartialEq)]
struct Expected(Vec<Vec<Pixel>>);

impl Expected {
    /// The picture. Each pixel differs a little from its neighbours, so that a shift by one pixel is found.
    fn whole() -> Self {
        let pixel = |x: u32, y: u32| {
            let [r, g, b, a] = match x {
                0..32 => LEFT,
                64.. => RIGHT,
                _ => FIELDS[(y / 16 * 2 + (x - 32) / 16) as usize],
            };
            [r ^ (x % 4) as u8, g ^ (y % 4) as u8, b ^ (x / 4 % 4) as u8, a]
        };
        Self((0..HEIGHT).map(|y| (0..WIDTH).map(|x| pixel(x, y)).collect()).collect())
    }

    /// The picture without the small differences, for results that are scaled.
    fn flat() -> Self {
        let level = |v: u8| if v > 128 { 250 } else { 0 };
        Self(
            Self::whole()
                .0
                .into_iter()
                .map(|row| row.iter().map(|p| [level(p[0]), level(p[1]), level(p[2]), 255]).collect())
                .collect(),
        )
    }

    fn size(&self) -> (u32, u32) {
        (self.0[0].len() as u32, self.0.len() as u32)
    }

    fn turned(&self, rotation: Rotation) -> Self {
        let mut turned = self.clone();
        for _ in 0..rotation.degrees() / 90 {
            let (width, height) = turned.size();
            // The first column, read upwards, becomes the first row.
            let row = |x: u32| (0..height).rev().map(|y| turned.0[y as usize][x as usize]).collect();
            turned = Self((0..width).map(row).collect());
        }
        turned
    }

    fn part(&self, part: Region) -> Self {
        let columns = part.x as usize..(part.x + part.width) as usize;
        Self(
            self.0[part.y as usize..(part.y + part.height) as usize]
                .iter()
                .map(|row| row[columns.clone()].to_vec())
                .collect(),
        )
    }

    fn rgba(&self) -> Vec<u8> {
        self.0.iter().flatten().flatten().copied().collect()
    }

    fn png(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.size().0, self.size().1);
        encoder.set_color(png::ColorType::Rgba);
        encoder.write_header().unwrap().write_image_data(&self.rgba()).unwrap();
        file
    }
}

fn render_one(
    file: &[u8],
    rotation: Rotation,
    crop: Option<Region>,
    shape: Shape,
    format: OutputFormat,
) -> RenderedVariant {
    let plan = RenderPlan { rotation, crop, outputs: vec![OutputSpec { shape, format }] };
    render(file, &plan, &Limits::default(), &CancelFlag::new()).unwrap().variants.remove(0)
}

/// The pixels of a rendered file. A JPEG is decoded by the engine itself, whose decoder has tests of its own.
fn shown(variant: &RenderedVariant) -> Expected {
    let file = match domain::Media::sniff(&variant.bytes) {
        Some(domain::Media::Png) => variant.bytes.clone(),
        _ => render_one(&variant.bytes, Rotation::Deg0, None, Shape::Full, OutputFormat::Png).bytes,
    };
    let (width, height, rgba) = pixels(&file);
    assert_eq!((width, height), (variant.width, variant.height));
    let rows = rgba.as_chunks::<4>().0.chunks_exact(width as usize);
    Expected(rows.map(<[Pixel]>::to_vec).collect())
}

#[test]
fn every_part_of_a_turned_picture_is_reached_exactly() {
    let picture = Expected::whole();
    let file = picture.png();
    for rotation in Rotation::ALL {
        let turned = picture.turned(rotation);
        let (width, height) = turned.size();
        let whole = render_one(&file, rotation, None, Shape::Full, OutputFormat::Png);
        assert_eq!(shown(&whole), turned, "{rotation:?}");
        let square = |x, y| Region { x, y, width: 32, height: 32 };
        for part in [
            square(0, 0),
            square(width - 32, height - 32),
            square((width - 32) / 2, (height - 32) / 2),
            Region { x: 3, y: 5, width: width - 7, height: 9 },
            Region { x: width - 1, y: height - 1, width: 1, height: 1 },
        ] {
            let made = render_one(&file, rotation, Some(part), Shape::Full, OutputFormat::Png);
            assert_eq!(shown(&made), turned.part(part), "{rotation:?}, {part:?}");
            if part.width == part.height {
                let side = Shape::Square(part.width);
                let made = render_one(&file, rotation, Some(part), side, OutputFormat::Png);
                assert_eq!(shown(&made), turned.part(part), "{rotation:?}, {part:?} as a square");
            }
        }
        // Without a crop, a square shows the middle of the turned picture.
        let made = render_one(&file, rotation, None, Shape::Square(32), OutputFormat::Png);
        assert_eq!(shown(&made), turned.part(square((width - 32) / 2, (height - 32) / 2)), "{rotation:?}");
    }
}

/// Whether a pixel is in a part.
fn contains(part: Region, x: usize, y: usize) -> bool {
    let (x, y) = (x as u32, y as u32);
    (part.x..part.x + part.width).contains(&x) && (part.y..part.y + part.height).contains(&y)
}

#[test]
fn a_letterboxed_picture_is_whole_and_its_bars_are_exact() {
    let picture = Expected::whole();
    let file = picture.png();
    for rotation in Rotation::ALL {
        let turned = picture.turned(rotation);
        let (width, height) = turned.size();
        let middle = Region { x: (96 - width) / 2, y: (96 - height) / 2, width, height };
        // 96 × 96: the picture is not scaled.
        let made = shown(&render_one(&file, rotation, None, Shape::Letterboxed(96), OutputFormat::Png));
        assert_eq!((made.size(), made.part(middle)), ((96, 96), turned.clone()), "{rotation:?}");
        for (y, row) in made.0.iter().enumerate() {
            for (x, pixel) in row.iter().enumerate() {
                assert!(contains(middle, x, y) || *pixel == CLEAR, "{rotation:?}: {pixel:?} at {x}, {y}");
            }
        }
        let jpeg = render_one(&file, rotation, None, Shape::Letterboxed(96), OutputFormat::Jpeg);
        let found = psnr(&shown(&jpeg).part(middle).rgba(), &turned.rgba());
        assert!(found > 24.0, "{rotation:?}: {found:.1} dB");
        // The bars end where blocks of the JPEG end, so the samples of the file are exact in them. In its pixels, a
        // decoder smooths the colours over the edge.
        let planes = RenderBuffers::default()
            .decode_jpeg_planes(&jpeg.bytes, 8, &Limits::default(), &CancelFlag::new())
            .unwrap();
        for (plane, side, white) in [(&planes[0], 96, 255), (&planes[1], 48, 128), (&planes[2], 48, 128)] {
            assert_eq!(plane.len(), side * side);
            for (i, sample) in plane.iter().enumerate() {
                let (x, y) = (i % side * 96 / side, i / side * 96 / side);
                assert!(contains(middle, x, y) || *sample == white, "{rotation:?}: {sample} at {x}, {y}");
            }
        }
    }
}

#[test]
fn bars_of_an_odd_width_are_exact() {
    // 33 × 33: the picture is 33 × 11, between two bars of 11. 34 × 34: the picture is 34 × 11, and the lower bar is wider.
    let file = Expected::flat().png();
    for (side, bar, high) in [(33, 11, 11), (34, 11, 11), (3, 1, 1)] {
        let made = shown(&render_one(&file, Rotation::Deg0, None, Shape::Letterboxed(side), OutputFormat::Png));
        let rows: Vec<bool> = made.0.iter().map(|row| row.iter().all(|pixel| *pixel == CLEAR)).collect();
        let expected: Vec<bool> = (0..side as usize).map(|y| y < bar || y >= bar + high).collect();
        assert_eq!(rows, expected, "{side}");
        assert!(made.0[bar].iter().all(|pixel| pixel[3] == 255), "{side}: the picture is opaque");
    }
    let made = shown(&render_one(&file, Rotation::Deg90, None, Shape::Letterboxed(33), OutputFormat::Png));
    assert!(made.0.iter().all(|row| row[..11].iter().chain(&row[22..]).all(|pixel| *pixel == CLEAR)));
    // The left side of the picture is above, the right side below.
    assert_eq!((made.0[5][16], made.0[27][16]), (LEFT, RIGHT));
}

/// The luma and the chroma of a JPEG go to the encoder as they are. With bars of an odd width, the pairs of pixels that
/// share a chroma sample are other ones than in the file.
#[test]
fn a_letterboxed_jpeg_keeps_its_colours_in_place() {
    for orientation in 1..=8 {
        let file = read_picture(&format!("orientation-{orientation}.jpg"));
        for rotation in Rotation::ALL {
            for side in [64, 75, 120] {
                let made = |format| shown(&render_one(&file, rotation, None, Shape::Letterboxed(side), format)).rgba();
                // The PNG is laid on white, like the JPEG.
                let on_white: Vec<u8> = made(OutputFormat::Png)
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .flat_map(|&[r, g, b, _]| [r, g, b, 255])
                    .collect();
                let found = psnr(&made(OutputFormat::Jpeg), &on_white);
                assert!(found > 32.0, "orientation {orientation}, {rotation:?}, {side}: {found:.1} dB");
            }
        }
    }
}

#[test]
fn a_rotation_turns_every_orientation_alike() {
    let plan = |rotation| RenderPlan { rotation, ..single_output_plan(Shape::Inside(60), OutputFormat::Png) };
    for rotation in Rotation::ALL {
        let of = |orientation| {
            let file = read_picture(&format!("orientation-{orientation}.jpg"));
            let made = render(&file, &plan(rotation), &Limits::default(), &CancelFlag::new()).unwrap();
            shown(&made.variants[0])
        };
        let upright = read_picture("orientation-1.jpg");
        let upright = render(&upright, &plan(Rotation::Deg0), &Limits::default(), &CancelFlag::new()).unwrap();
        let expected = shown(&upright.variants[0]).turned(rotation);
        for orientation in 1..=8 {
            let made = of(orientation);
            assert_eq!(made.size(), expected.size());
            let found = psnr(&made.rgba(), &expected.rgba());
            assert!(found > 30.0, "orientation {orientation}, {rotation:?}: {found:.1} dB");
        }
    }
}

/// A picture whose part is square has no bars, so it needs no transparency.
#[test]
fn a_square_part_is_letterboxed_without_bars() {
    let file = Expected::whole().png();
    let part = Some(Region { x: 10, y: 2, width: 20, height: 20 });
    let made = |shape| render_one(&file, Rotation::Deg90, part, shape, OutputFormat::Png).bytes;
    assert_eq!(made(Shape::Letterboxed(50)), made(Shape::Square(50)));
}

#[test]
fn the_memory_estimate_includes_the_bars() {
    // One row of pixels: the picture is 512 × 1, with its bars 512 × 512.
    let line = Expected(vec![vec![LEFT; 600]]);
    let probe = probe(&line.png(), &Limits::default()).unwrap();
    let estimate = |shape| probe.memory_estimate(&single_output_plan(shape, OutputFormat::Png));
    assert!(estimate(Shape::Letterboxed(512)) >= estimate(Shape::Inside(512)) + 512 * 511 * 8);
}
