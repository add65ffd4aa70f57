//! Lists uploads, the newest first, in pages.

use domain::{Upload, UploadId, UploadState};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::convert;
use crate::entity::uploads;
use crate::error::RecordsError;
use crate::records::Records;

/// Which uploads to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadFilter {
    /// Only those of this user.
    pub owner: Option<String>,
    /// Only those in this state.
    pub state: Option<UploadState>,
}

impl Records {
    /// Lists at most `limit` uploads, the newest first. The next page begins `before` the last upload of this page.
    ///
    /// # Errors
    /// Any database error.
    pub async fn list_uploads(
        &self,
        filter: &UploadFilter,
        before: Option<UploadId>,
        limit: u64,
    ) -> Result<Vec<Upload>, RecordsError> {
        // Each query reads one range of an index, whatever the table holds. There is no index of an
        // owner's uploads in all states, because each index costs every upload a write. So the list
        // of an owner takes one query for each state.
        let states = match (&filter.owner, filter.state) {
            (_, Some(state)) => vec![Some(state)],
            (Some(_), None) => UploadState::ALL.map(Some).to_vec(),
            (None, None) => vec![None],
        };
        let mut found = Vec::new();
        for state in states {
            let mut page = uploads::Entity::find().order_by_desc(uploads::Column::Id).limit(limit);
            if let Some(owner) = &filter.owner {
                page = page.filter(uploads::Column::Owner.eq(owner));
            }
            if let Some(state) = state {
                page = page.filter(uploads::Column::State.eq(state.as_str()));
            }
            if let Some(before) = before {
                page = page.filter(uploads::Column::Id.lt(before.get()));
            }
            found.extend(page.all(&self.db).await?);
        }
        found.sort_by_key(|row| std::cmp::Reverse(row.id));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        found.into_iter().map(convert::upload).collect()
    }
}
