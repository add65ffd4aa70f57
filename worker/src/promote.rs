//! Hanging it up: the bytes a worker made become blobs, under the prefix of its attempt, which nobody else writes to.
//! They count once the attempt is settled; whoever settles otherwise condemns them.

use bytes::Bytes;
use upload::{Attempt, Content, Object, Places, StoreError, Variant, VariantName, sha256};

use crate::picture;

/// Writes rendered variants and says where they are, in the order given.
pub(crate) async fn variants(
    places: &Places,
    attempt: &Attempt,
    rendered: Vec<picture::Variant>,
    name: impl Fn(&picture::Variant) -> Option<VariantName>,
) -> Result<Vec<Variant>, StoreError> {
    let (variants, objects) = objects(attempt, rendered, name);
    places.blobs.put_all(&places.staging, objects).await?;
    Ok(variants)
}

/// The same, and keeps the bytes as they came: a file's to be given back so, a dropbox picture's for later sizes and
/// crops. `held` are the bytes where they are in memory. Returns their key first.
pub(crate) async fn with_original(
    places: &Places,
    attempt: &Attempt,
    held: Option<Bytes>,
    rendered: Vec<picture::Variant>,
    name: impl Fn(&picture::Variant) -> Option<VariantName>,
) -> Result<(String, Vec<Variant>), StoreError> {
    let (variants, mut objects) = objects(attempt, rendered, name);
    let key = format!("{}original", attempt.prefix);
    let content = Content::Staged { key: attempt.upload.staged_key.clone(), held };
    objects.push(Object { key: key.clone(), content });
    places.blobs.put_all(&places.staging, objects).await?;
    Ok((key, variants))
}

fn objects(
    attempt: &Attempt,
    rendered: Vec<picture::Variant>,
    name: impl Fn(&picture::Variant) -> Option<VariantName>,
) -> (Vec<Variant>, Vec<Object>) {
    let named = rendered.into_iter().filter_map(|made| {
        let name = name(&made)?;
        let key = format!("{}{name}", attempt.prefix);
        let (bytes, digest) = (made.bytes.len() as u64, sha256(&made.bytes));
        let object = Object { key: key.clone(), content: Content::Bytes(made.bytes.into()) };
        Some((Variant { name, key, width: made.width, height: made.height, bytes, sha256: digest }, object))
    });
    named.unzip()
}
