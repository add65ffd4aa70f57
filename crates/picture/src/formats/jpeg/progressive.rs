//! Decodes progressive scans. Each scan adds some bits to some coefficients of all blocks.
//!
//! Two optimizations save most of the work. First, a scan is read only if it carries a needed
//! coefficient, or if a scan that carries one cannot be read without it. Second, the value of a
//! coefficient that is not needed is not kept. The encoding of later scans depends only on whether
//! it is zero. So one bit is kept for each coefficient, 64 bits for each block.
//!
//! Rule: ITU-T T.81, annex G.

mod coefficient_store;
mod scan;
mod scan_list;
mod smoothing;

use self::coefficient_store::{CoefficientStore, zeroed};
use self::scan_list::{needed_scans, read_scan_headers};
use self::smoothing::{Smoothing, means_around};
use super::bit_reader::EntropyData;
use super::header::{Header, broken};
use super::idct::{self, Block, DequantizationFactors};
use super::layout::{ComponentLayout, FrameLayout};
use crate::cancel::CancelFlag;
use crate::limits::Limits;
use crate::rejection::Rejection;

/// Decodes all scans into `layout`, whose scale is N eighths.
pub(super) fn decode<const N: usize>(
    file: &[u8],
    header: &Header,
    limits: &Limits,
    entropy: &mut EntropyData,
    layout: &mut FrameLayout,
    stop: &CancelFlag,
) -> Result<(), Rejection> {
    let frame = &header.frame;
    let parts = read_scan_headers(file, header, limits)?;
    let needed = needed_scans(&parts, idct::last_needed_coefficient(N) as u8, frame.components.len())?;
    let mut stores = Vec::with_capacity(layout.components.len());
    for component in &layout.components {
        let blocks = component.blocks_per_row * component.block_rows;
        stores.push(CoefficientStore { wanted: zeroed(blocks * N * N)?, nonzero: zeroed(blocks)? });
    }
    // If the file ends within a scan: the component of that scan, and the first block that the scan does not reach.
    let mut unreached = None;
    for part in parts.iter().zip(&needed).filter_map(|(part, needed)| needed.then_some(part)) {
        entropy.unstuff(file, part.scan_data, part.tables.restart_interval > 0);
        let reader = scan::ProgressiveScanReader::new(part)?;
        // Only the last scan may end early. The other scans are decoded by code without checks for it.
        match (part.scan.spectral_start, part.may_end_early) {
            (0, false) => reader.read_dc::<N, false>(part, entropy, layout, &mut stores, stop)?,
            (0, true) => reader.read_dc::<N, true>(part, entropy, layout, &mut stores, stop)?,
            (1.., false) => _ = reader.read_ac::<N, false>(part, entropy, layout, &mut stores, stop)?,
            (1.., true) => unreached = reader.read_ac::<N, true>(part, entropy, layout, &mut stores, stop)?,
        }
    }
    for (index, (component, store)) in layout.components.iter_mut().zip(&stores).enumerate() {
        // The table that is in force at the first scan of a component holds for all its scans, whatever later segments
        // say, as in libjpeg.
        let first = parts.iter().find(|part| part.scan.components.iter().any(|(i, ..)| *i == index));
        let slot = usize::from(frame.components[index].quantization_table);
        let table = first.and_then(|part| part.tables.quantization[slot].as_ref());
        let table = table.ok_or_else(|| broken("a quantization table is missing"))?;
        let factors = DequantizationFactors::new(N, table);
        let block = unreached.filter(|(of, _)| *of == index).map(|(_, block)| block);
        let smoothing = Smoothing::new(&parts, index, table, N, block);
        transform_blocks::<N>(component, store, &factors, smoothing.as_ref(), stop)?;
    }
    Ok(())
}

fn transform_blocks<const N: usize>(
    component: &mut ComponentLayout,
    store: &CoefficientStore,
    factors: &DequantizationFactors,
    smoothing: Option<&Smoothing>,
    stop: &CancelFlag,
) -> Result<(), Rejection> {
    let mut block: Block = [0; 256];
    for y in 0..component.blocks.1 {
        stop.check()?;
        for x in 0..component.blocks.0 {
            block[..N * N].copy_from_slice(&store.wanted[(y * component.blocks_per_row + x) * N * N..][..N * N]);
            if let Some(smoothing) = smoothing {
                let means = means_around(store, (x, y), component.blocks, component.blocks_per_row, N * N);
                smoothing.apply(&mut block, y * component.blocks_per_row + x, means);
            }
            component.put_block::<N>(x, y, &block, factors);
        }
    }
    Ok(())
}
