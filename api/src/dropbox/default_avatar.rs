//! The avatar of a resource without a picture: a plain figure. An API process draws the figure at the requested size,
//! so that no stored picture has to be decoded and no worker is needed.

use std::sync::OnceLock;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::sha256;

use crate::dropbox::variant_server::picture_headers;
use crate::error::ApiError;
use crate::http::conditional::{Validators, etag};

/// Red, green and blue of the background and of the figure.
const BACKGROUND: [u8; 3] = [221, 226, 233];
const FIGURE: [u8; 3] = [140, 151, 166];
/// The number of shades from background to figure, for smooth edges.
const SHADES: u32 = 16;

/// The largest side, in pixels (`docs/contracts/dropbox.md`, 7.1).
const MAX_SIZE: usize = 512;
/// Each size is drawn once per process. All sizes together take 2 MB.
static RENDERED: [OnceLock<(Bytes, String)>; MAX_SIZE] = [const { OnceLock::new() }; MAX_SIZE];

/// Returns the response with the figure as a PNG of `size` × `size` pixels, 1 to 512. The response is 304 if the client
/// has the figure.
pub(super) fn default_avatar(size: u32, headers: &HeaderMap, cache: &'static str) -> Result<Response, ApiError> {
    let size = usize::try_from(size).unwrap_or(MAX_SIZE).clamp(1, MAX_SIZE);
    let (drawn, tag) = rendered(size);
    // It is not known since when the resource has the figure, because it may have had a picture before.
    let validators = Validators { tag: tag.clone(), modified_at: None };
    let mut response = if validators.is_not_modified(headers)? {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Body::from(drawn.clone()).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
        response
    };
    picture_headers(response.headers_mut(), &validators, cache);
    Ok(response)
}

/// Returns the ETags of the figure at all sizes.
pub(super) fn default_avatar_tags() -> Vec<String> {
    (1..=MAX_SIZE).map(|size| rendered(size).1.clone()).collect()
}

/// Returns the figure at a size from 1 to [`MAX_SIZE`], and its ETag.
fn rendered(size: usize) -> &'static (Bytes, String) {
    RENDERED[size - 1].get_or_init(|| {
        let drawn = encode_png(u32::try_from(size).unwrap_or_default());
        let tag = etag(&sha256(&drawn));
        (drawn.into(), tag)
    })
}

/// Returns whether a point belongs to the figure: a head above shoulders. The coordinates are
/// thousandths of the picture's side.
fn is_figure(x: u32, y: u32) -> bool {
    let within = |(cx, cy): (u32, u32), (rx, ry): (u32, u32)| {
        let (dx, dy) = (u64::from(x.abs_diff(cx)), u64::from(y.abs_diff(cy)));
        let (rx, ry) = (u64::from(rx), u64::from(ry));
        dx * dx * ry * ry + dy * dy * rx * rx <= rx * rx * ry * ry
    };
    within((500, 390), (170, 190)) || within((500, 1020), (360, 360))
}

/// Returns the shade of a pixel: how many of 4 × 4 points in it belong to the figure, at most [`SHADES`] − 1.
fn shade(size: u32, px: u32, py: u32) -> u8 {
    let point = |pixel: u32, part: u32| (8 * pixel + 2 * part + 1) * 1000 / (8 * size);
    let part = |part: u32| is_figure(point(px, part % 4), point(py, part / 4));
    // Most pixels are entirely figure or entirely background. If the four corners agree, the other points are not
    // tested.
    let corners = [0, 3, 12, 15].map(part);
    let points = match corners {
        [true, true, true, true] => 16,
        [false, false, false, false] => 0,
        _ => (0..16).filter(|number| part(*number)).count(),
    };
    u8::try_from(points.min(SHADES as usize - 1)).unwrap_or_default()
}

/// Encodes the figure as a PNG with one byte for each pixel and a palette of shades (PNG, third edition,
/// https://www.w3.org/TR/png-3/).
fn encode_png(size: u32) -> Vec<u8> {
    let rows = (0..size).flat_map(|y| std::iter::once(0).chain((0..size).map(move |x| shade(size, x, y))));
    let pixels = miniz_oxide::deflate::compress_to_vec_zlib(&rows.collect::<Vec<u8>>(), 6);
    let palette: Vec<u8> = (0..SHADES).flat_map(|shade| (0..3).map(move |colour| blend(colour, shade))).collect();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    // Width, height, 8 bits a pixel, colour type 3 (palette), compression 0 (deflate), filter method 0, not interlaced.
    write_chunk(&mut png, *b"IHDR", &[&size.to_be_bytes()[..], &size.to_be_bytes(), &[8, 3, 0, 0, 0]].concat());
    write_chunk(&mut png, *b"PLTE", &palette);
    write_chunk(&mut png, *b"IDAT", &pixels);
    write_chunk(&mut png, *b"IEND", &[]);
    png
}

fn blend(colour: usize, shade: u32) -> u8 {
    let (paper, figure) = (u32::from(BACKGROUND[colour]), u32::from(FIGURE[colour]));
    let mixed = (paper * (SHADES - 1 - shade) + figure * shade) / (SHADES - 1);
    u8::try_from(mixed).unwrap_or(u8::MAX)
}

fn write_chunk(png: &mut Vec<u8>, name: [u8; 4], body: &[u8]) {
    let name_and_body = [&name[..], body].concat();
    png.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    png.extend(&name_and_body);
    png.extend(crc32fast::hash(&name_and_body).to_be_bytes());
}
