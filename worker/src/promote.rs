//! Promotes bytes: writes them as blobs under the prefix of one attempt. No other attempt writes under this prefix. The
//! blobs become valid when the attempt is settled. If the job ends in another way, the transaction that ends it
//! schedules their deletion.

use backends::Backends;
use bytes::Bytes;
use domain::{Variant, VariantName, sha256};
use records::Attempt;
use storage::{BlobContent, NewBlob, StoreError};

/// Writes the rendered variants for which `name` returns a name. Returns their descriptions in the same order.
pub(crate) async fn write_variants(
    backends: &Backends,
    attempt: &Attempt,
    rendered: Vec<picture::RenderedVariant>,
    name: impl Fn(&picture::RenderedVariant) -> Option<VariantName>,
) -> Result<Vec<Variant>, StoreError> {
    let (variants, objects) = blob_objects(attempt, rendered, name);
    backends.blobs.put_batch(&backends.staging, objects).await?;
    Ok(variants)
}

/// Writes the original bytes, and the rendered variants for which `name` returns a name. Returns the key of the
/// original, and the descriptions of these variants in the same order. The original of a file is served as it is. The
/// original of a dropbox picture is kept for later sizes and crops. `in_memory` has the original bytes if the worker
/// holds them.
pub(crate) async fn write_with_original(
    backends: &Backends,
    attempt: &Attempt,
    in_memory: Option<Bytes>,
    rendered: Vec<picture::RenderedVariant>,
    name: impl Fn(&picture::RenderedVariant) -> Option<VariantName>,
) -> Result<(String, Vec<Variant>), StoreError> {
    let (variants, mut objects) = blob_objects(attempt, rendered, name);
    let key = format!("{}original", attempt.prefix);
    let content = BlobContent::Staged { key: attempt.upload.staged_key.clone(), in_memory };
    objects.push(NewBlob { key: key.clone(), content });
    backends.blobs.put_batch(&backends.staging, objects).await?;
    Ok((key, variants))
}

/// Returns the description and the blob of each variant for which `name` returns a name.
fn blob_objects(
    attempt: &Attempt,
    rendered: Vec<picture::RenderedVariant>,
    name: impl Fn(&picture::RenderedVariant) -> Option<VariantName>,
) -> (Vec<Variant>, Vec<NewBlob>) {
    let named = rendered.into_iter().filter_map(|variant| {
        let name = name(&variant)?;
        let key = format!("{}{name}", attempt.prefix);
        let (byte_count, digest) = (variant.bytes.len() as u64, sha256(&variant.bytes));
        let object = NewBlob { key: key.clone(), content: BlobContent::Bytes(variant.bytes.into()) };
        Some((
            Variant { name, key, width: variant.width, height: variant.height, bytes: byte_count, sha256: digest },
            object,
        ))
    });
    named.unzip()
}
