//! What a file says about its colours. Without a statement, samples are sRGB.

use std::ops::Range;

use moxcms::ColorProfile;

use crate::colour_description::ColourDescription;
use crate::limits::Limits;
use crate::raster::Colour;
use crate::rejection::{LimitKind, Rejection};

/// Where a file describes its colours.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum ColourSource {
    /// The file says nothing.
    #[default]
    Unspecified,
    /// An ICC profile in the parts of the file that these ranges name, in order.
    Profile(Vec<Range<usize>>),
    /// An ICC profile as a zlib stream in this range of the file.
    DeflatedProfile(Range<usize>),
    /// Numbers instead of a profile.
    Description(ColourDescription),
}

impl ColourSource {
    /// Bytes that the profile takes in the file.
    pub(crate) fn stored_bytes(&self) -> u64 {
        match self {
            Self::Unspecified | Self::Description(_) => 0,
            Self::Profile(parts) => parts.iter().map(|part| part.len() as u64).sum(),
            Self::DeflatedProfile(part) => part.len() as u64,
        }
    }

    /// Returns the profile of `file` for samples of `colour`. None if the file has no readable profile, because every
    /// viewer ignores a profile that is broken.
    ///
    /// # Errors
    ///
    /// [`Rejection::LimitExceeded`] if the profile is larger than `limits` allow.
    pub(crate) fn profile(
        &self,
        file: &[u8],
        colour: Colour,
        limits: &Limits,
    ) -> Result<Option<ColorProfile>, Rejection> {
        if let Self::Description(description) = self {
            return Ok(description.profile(colour));
        }
        let icc = self.icc_profile(file, limits)?;
        Ok(icc.and_then(|icc| ColorProfile::new_from_slice(&icc).ok()))
    }

    /// Returns the ICC profile of `file`, inflated.
    ///
    /// The size of a deflated profile is known only by inflating it, so inflating stops at the limit.
    fn icc_profile(&self, file: &[u8], limits: &Limits) -> Result<Option<Vec<u8>>, Rejection> {
        match self {
            Self::Unspecified | Self::Description(_) => Ok(None),
            Self::Profile(parts) => {
                let parts: Vec<&[u8]> = parts.iter().filter_map(|part| file.get(part.clone())).collect();
                Ok((!parts.is_empty()).then(|| parts.concat()))
            }
            Self::DeflatedProfile(part) => {
                let stored = file.get(part.clone()).unwrap_or_default();
                match fdeflate::decompress_to_vec_bounded(stored, limits.max_icc as usize) {
                    Ok(inflated) => Ok(Some(inflated)),
                    Err(fdeflate::BoundedDecompressionError::OutputTooLarge { .. }) => {
                        let limit = u64::from(limits.max_icc);
                        Err(Rejection::LimitExceeded { excess: LimitKind::Profile, limit, actual: limit + 1 })
                    }
                    Err(_) => Ok(None),
                }
            }
        }
    }
}
