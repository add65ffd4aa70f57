//! The brake. A deadline is kept elsewhere, by whoever has a clock; here is only the flag it pulls, and the reader
//! through which decoders that know nothing of it are stopped all the same.
//!
//! Looked at between rows of a JPEG, portions of every other file, outputs and portions of a PNG. Two things run to their
//! end once begun: a WebP's pixels, and one resize. How long that is depends on the limits: on a busy machine a WebP of 63
//! megapixels, the largest that the default ones take, was seen to need 4.7 seconds, 100 megapixels of gray PNG 0.2.

use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Rejection;

/// A flag that stops a [`super::render`] under way, from any thread. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the work that holds a clone of this: within milliseconds, but for what the module's head names.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the work was told to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// [`Rejection::Cancelled`] once the flag is set: every long loop asks this now and then.
    pub(super) fn check(&self) -> Result<(), Rejection> {
        if self.is_cancelled() { Err(Rejection::Cancelled) } else { Ok(()) }
    }
}

/// Bytes in memory as a general decoder wants them, in portions, failing once the flag is set.
///
/// No decoder gets further than one portion after that: at the highest ratio that deflate allows, 1032 to 1, a portion
/// is 8 MiB of pixels.
pub(super) struct CancellableReader<'a> {
    bytes: &'a [u8],
    at: usize,
    cancel: &'a CancelFlag,
}

const READ_CHUNK: usize = 8 << 10;

impl<'a> CancellableReader<'a> {
    pub(super) fn new(bytes: &'a [u8], stop: &'a CancelFlag) -> Self {
        Self { bytes, at: 0, cancel: stop }
    }
}

impl Read for CancellableReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let portion = self.fill_buf()?;
        let n = portion.len().min(out.len());
        out[..n].copy_from_slice(&portion[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for CancellableReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.cancel.is_cancelled() {
            // Not `Interrupted`: readers take that as an invitation to try again.
            return Err(io::Error::other("stopped"));
        }
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        Ok(&rest[..rest.len().min(READ_CHUNK)])
    }

    fn consume(&mut self, n: usize) {
        self.at = self.at.saturating_add(n).min(self.bytes.len());
    }
}

impl Seek for CancellableReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let from = |base: usize, by: i64| i64::try_from(base).ok().and_then(|base| base.checked_add(by));
        let at = match to {
            SeekFrom::Start(at) => i64::try_from(at).ok(),
            SeekFrom::Current(by) => from(self.at, by),
            SeekFrom::End(by) => from(self.bytes.len(), by),
        };
        // As a file does: past the end is a place, where there is nothing to read; before the beginning is none.
        let at = at.and_then(|at| usize::try_from(at).ok()).ok_or(io::ErrorKind::InvalidInput)?;
        self.at = at;
        Ok(at as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_flag_stops_the_reader() {
        let stop = CancelFlag::new();
        let bytes = vec![7; 3 * READ_CHUNK];
        let mut reader = CancellableReader::new(&bytes, &stop);
        let mut out = [0; 5];
        reader.read_exact(&mut out).unwrap();
        assert_eq!(out, [7; 5]);
        assert_eq!(reader.seek(SeekFrom::End(-1)).unwrap(), bytes.len() as u64 - 1);
        assert!(reader.seek(SeekFrom::Start(0)).is_ok() && reader.seek(SeekFrom::Current(-1)).is_err());
        stop.clone().cancel();
        assert!(reader.read_exact(&mut out).is_err());
        assert_eq!(stop.check(), Err(Rejection::Cancelled));
    }
}
