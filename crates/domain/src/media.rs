//! The media type of a file, judged by its first bytes only.
//!
//! The api sniffs early, to refuse files that no worker would accept; the worker sniffs again before it decodes. File
//! names and declared types are ignored, because a client wrote them.

use serde::{Deserialize, Serialize};

/// A file type that this program knows by name, accepted or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Media {
    /// JPEG, ITU-T T.81.
    Jpeg,
    /// PNG, ISO/IEC 15948.
    Png,
    /// GIF 87a or 89a.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// WebP, lossy or lossless, in its RIFF container.
    WebP,
    /// Windows icon, with PNG or BMP inside.
    Ico,
    /// Windows cursor: an icon that also has a hot spot, the position in it that points.
    Cur,
    /// HEIF with HEVC inside: what iPhones store.
    Heic,
    /// HEIF with AV1 inside.
    Avif,
    /// TIFF, either byte order, and BigTIFF.
    Tiff,
    /// Scalable vector graphics, or any XML that begins like it.
    Svg,
    /// Portable document format.
    Pdf,
    /// Photoshop document.
    Psd,
    /// JPEG XL, bare or boxed.
    Jxl,
    /// JPEG 2000.
    Jp2,
    /// An HTML page, often an error page saved as a picture.
    Html,
    /// A ZIP archive, which office documents are as well.
    Zip,
    /// Any other type. It occurs only where every type is accepted. The bytes are stored and
    /// returned, never decoded.
    Other,
}

/// The number of leading bytes that [`Media::sniff`] looks at, at most.
pub const SNIFF_BYTES: usize = 512;

impl Media {
    /// The type of the file that begins with `head`, or `None` if the type is unknown. The first [`SNIFF_BYTES`] bytes
    /// are enough.
    pub fn sniff(head: &[u8]) -> Option<Self> {
        let head = &head[..head.len().min(SNIFF_BYTES)];
        let magic: [(&[u8], Self); 14] = [
            (b"\xFF\xD8\xFF", Self::Jpeg),
            (b"\x89PNG\r\n\x1a\n", Self::Png),
            (b"GIF87a", Self::Gif),
            (b"GIF89a", Self::Gif),
            (b"II*\0", Self::Tiff),
            (b"MM\0*", Self::Tiff),
            (b"II+\0", Self::Tiff),
            (b"MM\0+", Self::Tiff),
            (b"%PDF-", Self::Pdf),
            (b"8BPS", Self::Psd),
            (b"\xFF\x0A", Self::Jxl),
            (b"\0\0\0\x0CJXL \r\n\x87\n", Self::Jxl),
            (b"\0\0\0\x0CjP  \r\n\x87\n", Self::Jp2),
            (b"PK\x03\x04", Self::Zip),
        ];
        if let Some((_, media)) = magic.iter().find(|(bytes, _)| head.starts_with(bytes)) {
            return Some(*media);
        }
        match head {
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            [_, _, _, _, b'f', b't', b'y', b'p', rest @ ..] => Self::sniff_heif(rest),
            [0, 0, kind @ (1 | 2), 0, ..] if Self::is_icon(head) => {
                Some(if *kind == 1 { Self::Ico } else { Self::Cur })
            }
            [b'B', b'M', ..] if Self::is_bmp(head) => Some(Self::Bmp),
            _ => Self::sniff_markup(head),
        }
    }

    /// Sniffs a HEIF file. `brands` is what follows the name of its `ftyp` box: major brand,
    /// version, compatible brands.
    fn sniff_heif(brands: &[u8]) -> Option<Self> {
        let has_any =
            |names: &[&[u8; 4]]| brands.chunks_exact(4).take(16).any(|brand| names.iter().any(|name| brand == *name));
        if has_any(&[b"avif", b"avis"]) {
            Some(Self::Avif)
        } else if has_any(&[b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"]) {
            Some(Self::Heic)
        } else {
            None
        }
    }

    /// Whether a file that begins with "BM" is a bitmap. "BM" alone can be the start of any text. So one of two more
    /// things is required: reserved bytes of zero, or a header of a length that is defined. The reserved bytes alone
    /// do not decide, because some programs write a mark of their own into them.
    fn is_bmp(head: &[u8]) -> bool {
        let is_reserved_zero = matches!(head, [_, _, _, _, _, _, 0, 0, 0, 0, ..]);
        let header_length = head.get(14..).and_then(<[u8]>::first_chunk).map(|four| u32::from_le_bytes(*four));
        is_reserved_zero || header_length.is_some_and(|length| matches!(length, 12 | 16..=64 | 108 | 124))
    }

    /// Whether a file that begins like an icon or a cursor is one. Four bytes of mostly zeros can be the start of any
    /// binary file. So there must be an entry too, and the entry's picture must begin behind the list of entries.
    fn is_icon(head: &[u8]) -> bool {
        let number = |at: usize| head.get(at..).and_then(<[u8]>::first_chunk).map(|two| u16::from_le_bytes(*two));
        let position = head.get(18..).and_then(<[u8]>::first_chunk).map(|four| u32::from_le_bytes(*four));
        match (number(4), position) {
            (Some(entries @ 1..), Some(position)) => position >= 6 + 16 * u32::from(entries),
            _ => false,
        }
    }

    fn sniff_markup(head: &[u8]) -> Option<Self> {
        let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
        let begins = |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        let mentions = |word: &[u8]| text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
        if begins(b"<!doctype html") || begins(b"<html") {
            Some(Self::Html)
        } else if begins(b"<svg")
            || (begins(b"<?xml") || begins(b"<!--") || begins(b"<!doctype svg")) && mentions(b"<svg")
        {
            Some(Self::Svg)
        } else {
            None
        }
    }

    /// The row of this type in `TABLE`.
    fn row(self) -> &'static MediaRow {
        // `TABLE` has the order of the variants, which is checked when this file is compiled.
        &TABLE[self as usize]
    }

    /// Every type, accepted or not.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.media)
    }

    /// The types of which pictures are accepted, in the order in which texts list them.
    pub fn supported_pictures() -> impl Iterator<Item = Self> {
        Self::all().filter(|media| media.is_supported_picture())
    }

    /// The names of the accepted types as a list: "JPEG, PNG or GIF", if `conjunction` is "or".
    pub fn list_supported_pictures(conjunction: &str) -> String {
        let names: Vec<&str> = Self::supported_pictures().map(Self::name).collect();
        match names.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} {conjunction} {last}", others.join(", ")),
            None => String::new(),
        }
    }

    /// Whether a picture of this type is accepted (`docs/contracts/dropbox.md`, 2.3).
    pub fn is_supported_picture(self) -> bool {
        self.row().remedy.is_none()
    }

    /// The type's usual name.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The media type with which a file of this type is served, from the IANA registry.
    pub fn mime(self) -> &'static str {
        self.row().mime
    }

    /// The usual file name extension, without the dot.
    pub fn extension(self) -> &'static str {
        self.row().extension
    }

    /// The type whose usual extension this is.
    pub fn from_extension(extension: &str) -> Option<Self> {
        Self::all().find(|media| media.extension() == extension)
    }

    /// What a client can send instead of a file of this type, as the end of an error message.
    pub fn remedy(self) -> &'static str {
        self.row().remedy.unwrap_or(SAVE_AS_JPEG_OR_PNG)
    }
}

/// What the program knows about one type.
struct MediaRow {
    media: Media,
    name: &'static str,
    mime: &'static str,
    extension: &'static str,
    /// What a client can send instead, as the end of an error message. None if pictures of this type are accepted.
    remedy: Option<&'static str>,
}

const SAVE_AS_JPEG_OR_PNG: &str = "save it as JPEG or PNG";
const CONVERT_ON_PHONE: &str =
    "set the camera to \"Most Compatible\", or let the form ask for image/jpeg so that the phone converts it";

/// One row for each variant of [`Media`], in the same order.
#[rustfmt::skip]
const TABLE: [MediaRow; 18] = [
    accepted(Media::Jpeg, "JPEG", "image/jpeg", "jpg"),
    accepted(Media::Png, "PNG", "image/png", "png"),
    accepted(Media::Gif, "GIF", "image/gif", "gif"),
    accepted(Media::Bmp, "BMP", "image/bmp", "bmp"),
    accepted(Media::WebP, "WebP", "image/webp", "webp"),
    accepted(Media::Ico, "ICO", "image/vnd.microsoft.icon", "ico"),
    // This media type is not registered with IANA. It is the name that shared-mime-info has for a cursor.
    refused(Media::Cur, "Windows cursor", "image/x-win-bitmap", "cur", "save it as PNG"),
    refused(Media::Heic, "HEIC", "image/heic", "heic", CONVERT_ON_PHONE),
    refused(Media::Avif, "AVIF", "image/avif", "avif", SAVE_AS_JPEG_OR_PNG),
    refused(Media::Tiff, "TIFF", "image/tiff", "tif", SAVE_AS_JPEG_OR_PNG),
    refused(Media::Svg, "SVG", "image/svg+xml", "svg", "export it as PNG"),
    refused(Media::Pdf, "PDF", "application/pdf", "pdf", "export the page as PNG or JPEG"),
    refused(Media::Psd, "Photoshop", "image/vnd.adobe.photoshop", "psd", SAVE_AS_JPEG_OR_PNG),
    refused(Media::Jxl, "JPEG XL", "image/jxl", "jxl", SAVE_AS_JPEG_OR_PNG),
    refused(Media::Jp2, "JPEG 2000", "image/jp2", "jp2", SAVE_AS_JPEG_OR_PNG),
    refused(Media::Html, "HTML", "text/html", "html", "save the picture itself, not the page that shows it"),
    refused(Media::Zip, "ZIP", "application/zip", "zip", "unpack it and send one picture"),
    refused(Media::Other, "unknown", "application/octet-stream", "bin", SAVE_AS_JPEG_OR_PNG),
];

const _: () = {
    let mut i = 0;
    while i < TABLE.len() {
        assert!(TABLE[i].media as usize == i, "the rows are not in the order of the variants");
        i += 1;
    }
};

const fn accepted(media: Media, name: &'static str, mime: &'static str, extension: &'static str) -> MediaRow {
    MediaRow { media, name, mime, extension, remedy: None }
}

const fn refused(
    media: Media,
    name: &'static str,
    mime: &'static str,
    extension: &'static str,
    remedy: &'static str,
) -> MediaRow {
    MediaRow { media, name, mime, extension, remedy: Some(remedy) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide_the_media_type() {
        for (head, media) in [
            (&b"\xFF\xD8\xFF\xE0\0\x10JFIF"[..], Some(Media::Jpeg)),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Some(Media::Png)),
            (b"GIF89a\x01\0", Some(Media::Gif)),
            (b"BM\x46\0\0\0\0\0\0\0\x36\0", Some(Media::Bmp)),
            (b"BM\x46\0\0\0MARK\x36\0\0\0\x28\0\0\0", Some(Media::Bmp)),
            (b"BMW is a car maker", None),
            (b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0\x68\x04\0\0\x16\0\0\0", Some(Media::Ico)),
            (b"\0\0\x02\0\x01\0\x10\x10\0\0\x01\0\x20\0\x68\x04\0\0\x16\0\0\0", Some(Media::Cur)),
            (b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0\x68\x04\0\0\x10\0\0\0", None),
            (b"\0\0\x02\0\0\0\0\0\0\0\0\0\x40\0\x40\0\x18\0\0\0\0\0", None),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Some(Media::WebP)),
            (b"RIFF\x24\0\0\0WAVEfmt ", None),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Some(Media::Heic)),
            (b"\0\0\0\x1Cftypavif\0\0\0\0avifmif1miaf", Some(Media::Avif)),
            (b"\0\0\0\x18ftypmp42\0\0\0\0isom", None),
            (b"II*\0\x08\0\0\0", Some(Media::Tiff)),
            (b"%PDF-1.7", Some(Media::Pdf)),
            (b"\xEF\xBB\xBF  <SVG xmlns=\"\">", Some(Media::Svg)),
            (b"<?xml version=\"1.0\"?><svg>", Some(Media::Svg)),
            (b"<?xml version=\"1.0\"?><note>", None),
            (b"\n<!DOCTYPE html><title>", Some(Media::Html)),
            (b"hello", None),
            (b"", None),
        ] {
            assert_eq!(Media::sniff(head), media, "{:?}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn lists_of_the_accepted_types_name_them_all() {
        let list = Media::list_supported_pictures("or");
        assert!(list.starts_with("JPEG, PNG, ") && list.contains(" or "), "{list}");
        assert!(Media::supported_pictures().all(|media| list.contains(media.name())), "{list}");
        assert!(!list.contains(Media::Tiff.name()) && !Media::Tiff.is_supported_picture());
    }

    #[test]
    fn every_type_has_names_of_its_own() {
        for media in Media::all() {
            assert_eq!(Media::from_extension(media.extension()), Some(media));
            assert_eq!(Media::all().filter(|other| other.mime() == media.mime()).count(), 1, "{media:?}");
        }
    }
}
