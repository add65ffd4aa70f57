//! Deletes a custom rendition: one transaction frees its name and schedules the deletion of its bytes.

use domain::Rendition;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::entity::{renditions, uploads};
use crate::error::RecordsError;
use crate::records::Records;
use crate::write::TxEnd;

impl Records {
    /// Deletes a rendition. Returns false if another request was faster.
    ///
    /// # Errors
    /// Any database error; then nothing was deleted.
    pub async fn delete_rendition(&self, rendition: &Rendition, by: &str) -> Result<bool, RecordsError> {
        self.write("delete_rendition", async |tx| {
            let now = self.now_ms();
            // The upload is locked first, as by every transaction that ends an upload.
            let upload = uploads::Entity::find_by_id(rendition.upload.id.get()).lock_exclusive().one(&tx.tx).await?;
            let released = renditions::Entity::update_many()
                .col_expr(renditions::Column::ReleasedAt, Expr::value(now))
                .filter(renditions::Column::Id.eq(rendition.id))
                .filter(renditions::Column::ReleasedAt.is_null())
                .exec(&tx.tx)
                .await?;
            if released.rows_affected == 0 {
                return Ok(TxEnd::Rollback(false));
            }
            tx.delete_uploads(upload.as_slice(), "the rendition was deleted", &format!("by {by}"), now).await?;
            Ok(TxEnd::Commit(true))
        })
        .await
    }
}
