//! The positions of blocks: the geometry of a frame at the scale at which it is decoded.

use super::header::{ColourModel, FrameHeader, broken};
use super::idct::{self, Block, DequantizationFactors};
use crate::raster::{Colour, Plane, Raster, allocate};
use crate::rejection::Rejection;

/// The plane into which one component is decoded.
pub(super) struct ComponentLayout {
    /// Blocks per MCU of an interleaved scan, across and down.
    pub(super) blocks_per_mcu: (usize, usize),
    /// Blocks that hold part of the picture, across and down. A scan of this component alone has exactly these.
    pub(super) blocks: (usize, usize),
    /// Blocks for which a row has room, in whole MCUs.
    pub(super) blocks_per_row: usize,
    /// Rows of blocks, in whole MCUs.
    pub(super) block_rows: usize,
    pub(super) plane: Plane,
    scale: usize,
}

/// All components of a frame at `scale` eighths.
pub(super) struct FrameLayout {
    /// MCUs of an interleaved scan, across and down.
    pub(super) mcus: (usize, usize),
    pub(super) components: Vec<ComponentLayout>,
}

impl FrameLayout {
    pub(super) fn new(frame: &FrameHeader, n: usize) -> Result<Self, Rejection> {
        let (h_max, v_max) = frame.sampling();
        let (h_max, v_max) = (usize::from(h_max), usize::from(v_max));
        let (width, height) = (usize::from(frame.width), usize::from(frame.height));
        let units = (width.div_ceil(8 * h_max), height.div_ceil(8 * v_max));
        let mut components = Vec::with_capacity(frame.components.len());
        for component in &frame.components {
            let (h, v) = (usize::from(component.h), usize::from(component.v));
            let (row, rows) = (units.0 * h, units.1 * v);
            let size = ((width * h).div_ceil(h_max), (height * v).div_ceil(v_max));
            let shrunk = |length: usize, part: usize, most: usize| (length * part * n) as f64 / (8 * most) as f64;
            let extent = (shrunk(width, h, h_max), shrunk(height, v, v_max));
            let plane = Plane {
                samples: allocate(row * n * rows * n)?,
                stride: row * n,
                width: extent.0.ceil() as usize,
                height: extent.1.ceil() as usize,
                extent,
            };
            let blocks = (size.0.div_ceil(8), size.1.div_ceil(8));
            components.push(ComponentLayout {
                blocks_per_mcu: (h, v),
                blocks,
                blocks_per_row: row,
                block_rows: rows,
                plane,
                scale: n,
            });
        }
        Ok(Self { mcus: units, components })
    }

    /// Returns the decoded picture. Luma and chroma stay separate planes; RGB and CMYK are interleaved.
    pub(super) fn into_raster(self, frame: &FrameHeader, model: ColourModel) -> Result<Raster, Rejection> {
        let planes: Vec<Plane> = self.components.into_iter().map(|component| component.plane).collect();
        let (width, height) = (u32::from(frame.width), u32::from(frame.height));
        let raster = |colour, planes| Raster { width, height, colour, planes };
        Ok(match model {
            ColourModel::Gray => raster(Colour::Gray, planes),
            ColourModel::YCbCr => raster(Colour::YCbCr, planes),
            ColourModel::Rgb => raster(Colour::Rgb, vec![interleave::<3>(&planes)?]),
            ColourModel::Cmyk => raster(Colour::Cmyk, vec![interleave::<4>(&planes)?]),
            ColourModel::Ycck => {
                let mut ink = interleave::<4>(&planes)?;
                for [y, cb, cr, _] in ink.samples.as_chunks_mut::<4>().0 {
                    // The conversion gives light, so its result is inverted to become ink. Black is
                    // stored inverted already, so it stays.
                    [*y, *cb, *cr] = crate::colour::ycbcr_pixel_to_rgb(*y, *cb, *cr).map(|light| 255 - light);
                }
                raster(Colour::Cmyk, vec![ink])
            }
        })
    }
}

/// Interleaves N planes into one plane of N samples per pixel. Samples of smaller planes are
/// repeated.
fn interleave<const N: usize>(planes: &[Plane]) -> Result<Plane, Rejection> {
    let planes: &[Plane; N] =
        planes.try_into().map_err(|_| broken("the number of its colour components is not 1, 3 or 4"))?;
    let largest = planes.iter().max_by_key(|plane| plane.width * plane.height).unwrap_or(&planes[0]);
    let (width, height) = (largest.width, largest.height);
    let mut samples = allocate(width * height * N)?;
    for (y, row) in samples.chunks_exact_mut(width * N).enumerate() {
        for (i, plane) in planes.iter().enumerate() {
            let from = &plane.samples[y * plane.height / height * plane.stride..][..plane.width];
            for (x, pixel) in row.as_chunks_mut::<N>().0.iter_mut().enumerate() {
                pixel[i] = from[x * plane.width / width];
            }
        }
    }
    Ok(Plane { samples, stride: width, width, height, extent: largest.extent })
}

impl ComponentLayout {
    /// Transforms `block` and writes it at block column `x` and row `y`.
    #[inline(always)]
    pub(super) fn put_block<const N: usize>(
        &mut self,
        x: usize,
        y: usize,
        block: &Block,
        factors: &DequantizationFactors,
    ) {
        debug_assert_eq!(N, self.scale);
        let stride = self.plane.stride;
        if let Some(out) = self.plane.samples.get_mut(y * N * stride + x * N..) {
            idct::write_block::<N>(block, factors, out, stride);
        }
    }
}
