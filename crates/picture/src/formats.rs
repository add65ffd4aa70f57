//! The accepted formats. Each has one line in the table [`FORMATS`], and one module that holds everything else about
//! it.
//!
//! The module of a format has a function `probe`, which parses the headers, and an implementation
//! of [`crate::decoder::Decoder`]. If its codec is a third-party crate, it also has the one table
//! that maps the errors of that crate to sentences, because the crate's own texts are for
//! programmers.

mod bmp;
mod codec_errors;
mod gif;
mod ico;
mod jpeg;
mod png;
mod webp;

use domain::Media;

use crate::limits::Limits;
use crate::probed_picture::Probe;
use crate::rejection::Rejection;

/// One accepted format.
pub(crate) struct Format {
    pub(crate) media: Media,
    /// Parses the headers of a file. It decodes no pixel, inflates nothing, and allocates nothing by a number in the
    /// file. The caller checks the result against the limits; a probe uses them only to stop counting frames.
    pub(crate) probe: fn(&[u8], &Limits) -> Result<Probe, Rejection>,
    /// The output format of an opaque picture if the plan leaves the format open.
    pub(crate) opaque_output: Media,
}

/// The accepted formats.
#[rustfmt::skip]
pub(crate) const FORMATS: [Format; 6] = [
    Format { media: Media::Jpeg, probe: jpeg::probe, opaque_output: Media::Jpeg },
    Format { media: Media::Png, probe: png::probe, opaque_output: Media::Png },
    Format { media: Media::Gif, probe: gif::probe, opaque_output: Media::Png },
    Format { media: Media::Bmp, probe: bmp::probe, opaque_output: Media::Jpeg },
    Format { media: Media::WebP, probe: webp::probe, opaque_output: Media::Jpeg },
    Format { media: Media::Ico, probe: ico::probe, opaque_output: Media::Png },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_accepted_type_has_a_decoder() {
        for media in Media::all() {
            let formats = FORMATS.iter().filter(|format| format.media == media).count();
            assert_eq!(formats, usize::from(media.is_supported_picture()), "{media:?}");
        }
    }
}
