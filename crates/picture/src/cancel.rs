//! Cancellation of a render. The caller keeps the deadline, because it has a clock. This module
//! holds only the flag that the caller sets, and a reader. The reader also stops decoders that do
//! not know the flag.
//!
//! The flag is checked between rows of a JPEG, between portions of every other input file, between
//! outputs, and between portions of a PNG that is encoded. Two steps cannot be cancelled once
//! begun: decoding the pixels of a WebP, and one resize. Their duration depends on the limits. On a
//! busy machine, a WebP of 63 megapixels, the largest within the default limits, took 4.7 seconds.
//! Resizing a gray PNG of 100 megapixels took 0.2 seconds.

use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::rejection::Rejection;

/// A flag that cancels a running [`super::render`] from any thread. All clones are the same flag.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the work that holds a clone of this flag: within milliseconds, except for the two
    /// steps named in the module's documentation.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the work was told to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns [`Rejection::Cancelled`] once the flag is set. Every long loop calls this regularly.
    pub(crate) fn check(&self) -> Result<(), Rejection> {
        if self.is_cancelled() { Err(Rejection::Cancelled) } else { Ok(()) }
    }
}

/// A reader of bytes in memory, for third-party decoders. It returns portions, and fails once the
/// flag is set.
///
/// After that a decoder processes at most one more portion. At the highest ratio of deflate, 1032 to 1, a portion
/// becomes 8 MiB of pixels.
pub(crate) struct CancellableReader<'a> {
    bytes: &'a [u8],
    at: usize,
    cancel: &'a CancelFlag,
}

const READ_CHUNK: usize = 8 << 10;

impl<'a> CancellableReader<'a> {
    pub(crate) fn new(bytes: &'a [u8], stop: &'a CancelFlag) -> Self {
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
            // Not `Interrupted`, because readers retry after it.
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
        // As in a file: a position past the end is valid and has nothing to read; a position before the beginning is
        // invalid.
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
