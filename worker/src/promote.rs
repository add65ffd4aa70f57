//! Hanging it up: the bytes a worker made become blobs, under the prefix of its attempt, which nobody else writes to.
//! They count once the attempt is settled; until then the ledger has them condemned.

use bytes::Bytes;
use futures::future::try_join_all;
use upload::{Attempt, Places, StoreError, Variant, VariantName, sha256};

use crate::picture;

/// Writes rendered variants and says where they are, in the order given.
pub(crate) async fn variants(
    places: &Places,
    attempt: &Attempt,
    rendered: Vec<picture::Variant>,
    name: impl Fn(&picture::Variant, usize) -> Option<VariantName>,
) -> Result<Vec<Variant>, StoreError> {
    let writes = rendered.into_iter().enumerate().filter_map(|(n, made)| {
        let name = name(&made, n)?;
        let key = format!("{}{name}", attempt.prefix);
        Some(async move {
            let digest = sha256(&made.bytes);
            let bytes = made.bytes.len() as u64;
            places.blobs.put(&key, Bytes::from(made.bytes)).await?;
            Ok::<_, StoreError>(Variant { name, key, width: made.width, height: made.height, bytes, sha256: digest })
        })
    });
    try_join_all(writes).await
}

/// Keeps the bytes as they came: a file's to be given back so, a dropbox picture's for later sizes and crops. `held` are
/// the bytes where they are in memory. Returns their key.
pub(crate) async fn original(places: &Places, attempt: &Attempt, held: Option<Bytes>) -> Result<String, StoreError> {
    let key = format!("{}original", attempt.prefix);
    places.blobs.promote(&places.staging, &attempt.upload.staged_key, &key, held).await?;
    Ok(key)
}
