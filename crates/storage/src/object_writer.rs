//! The trait with which an engine writes one object in parts.

use async_trait::async_trait;
use object_store::{MultipartUpload, Result};

/// An object being written by an engine. After an error it is of no use. A writer that is dropped may leave parts
/// behind, so a caller that gives up calls [`abort`](Self::abort).
#[async_trait]
pub(crate) trait ObjectWriter: std::fmt::Debug + Send {
    /// Whether [`complete`](Self::complete) takes the bytes that follow the last whole part.
    /// Otherwise the caller writes them as a last part first.
    fn takes_rest(&self) -> bool;

    /// Writes the next part. Returns a buffer for the part after it.
    async fn write_part(&mut self, part: Vec<u8>) -> Result<Vec<u8>>;

    /// Makes the whole object durable.
    async fn complete(&mut self, rest: Vec<u8>) -> Result<()>;

    /// Deletes what has been written.
    async fn abort(self: Box<Self>);
}

/// In a bucket, each part of an object is one request. The completion is a request too, and carries
/// no bytes.
#[async_trait]
impl ObjectWriter for Box<dyn MultipartUpload> {
    fn takes_rest(&self) -> bool {
        false
    }

    async fn write_part(&mut self, part: Vec<u8>) -> Result<Vec<u8>> {
        self.put_part(part.into()).await?;
        Ok(Vec::new())
    }

    async fn complete(&mut self, _: Vec<u8>) -> Result<()> {
        MultipartUpload::complete(self.as_mut()).await.map(drop)
    }

    async fn abort(mut self: Box<Self>) {
        MultipartUpload::abort(self.as_mut().as_mut()).await.ok();
    }
}
