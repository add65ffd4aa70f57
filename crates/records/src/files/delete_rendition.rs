//! Deletes a custom rendition: one transaction frees its name and schedules the deletion of its bytes.

use domain::{Event, EventKind, ReasonCode, Rendition, UploadState, blob_keys};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::convert;
use crate::entity::{renditions, uploads, variants};
use crate::error::RecordsError;
use crate::records::Records;
use crate::usage::UsageDeltas;
use crate::write::TxEnd;

impl Records {
    /// Deletes a rendition. Returns false if another request was faster.
    ///
    /// # Errors
    /// Any database error; then nothing was deleted.
    pub async fn delete_rendition(&self, rendition: &Rendition, by: &str) -> Result<bool, RecordsError> {
        self.write("delete_rendition", async |tx| {
            let now = self.now_ms();
            let upload = rendition.upload.id;
            let released = renditions::Entity::update_many()
                .col_expr(renditions::Column::ReleasedAt, Expr::value(now))
                .filter(renditions::Column::Id.eq(rendition.id))
                .filter(renditions::Column::ReleasedAt.is_null())
                .exec(&tx.tx)
                .await?;
            if released.rows_affected == 0 {
                return Ok(TxEnd::Rollback(false));
            }
            let removed = uploads::Entity::update_many()
                .col_expr(uploads::Column::State, Expr::value(UploadState::Expired.as_str()))
                .col_expr(uploads::Column::ReasonCode, Expr::value(ReasonCode::Deleted.as_str()))
                .col_expr(uploads::Column::ReasonMessage, Expr::value("the rendition was deleted"))
                .filter(uploads::Column::Id.eq(upload.get()))
                .filter(uploads::Column::State.eq(UploadState::Ready.as_str()))
                .exec(&tx.tx)
                .await?;
            let made = variants::Entity::delete_many().filter(variants::Column::UploadId.eq(upload.get()));
            let made = made.exec_with_returning(&tx.tx).await?;
            tx.schedule_deletion(Some(upload.get()), &blob_keys::upload_prefix(upload), "deleted", now).await?;
            tx.record_events(upload, [Event::new(convert::timestamp(now), EventKind::Deleted, format!("by {by}"))])
                .await?;
            let mut changes = UsageDeltas::default();
            let owner = &rendition.upload.owner;
            changes.add_bytes(owner, -made.iter().filter_map(|variant| variant.bytes).sum::<i64>());
            if removed.rows_affected > 0 {
                changes.add_bytes(owner, -i64::try_from(rendition.upload.bytes).unwrap_or(i64::MAX));
            }
            tx.apply_usage(changes).await?;
            Ok(TxEnd::Commit(true))
        })
        .await
    }
}
