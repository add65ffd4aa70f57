//! Lists uploads, the newest first, in pages.

use domain::{Upload, UploadId, UploadKind, UploadState};
use jiff::Timestamp;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::convert;
use crate::entity::uploads;
use crate::error::RecordsError;
use crate::records::Records;

/// Which uploads to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadFilter {
    /// Only those of this user.
    pub owner: Option<String>,
    /// Only those of this kind.
    pub kind: Option<UploadKind>,
    /// Only those in this state.
    pub state: Option<UploadState>,
    /// Only those accepted at this time or later.
    pub created_from: Option<Timestamp>,
    /// Only those accepted before this time.
    pub created_before: Option<Timestamp>,
}

impl Records {
    /// Lists at most `limit` uploads, the newest first. The next page begins after `cursor`, the last upload of this
    /// page.
    ///
    /// # Errors
    /// Any database error.
    pub async fn list_uploads(
        &self,
        filter: &UploadFilter,
        cursor: Option<UploadId>,
        limit: u64,
    ) -> Result<Vec<Upload>, RecordsError> {
        let mut range = Condition::all();
        if let Some(owner) = &filter.owner {
            range = range.add(uploads::Column::Owner.eq(owner));
        }
        if let Some(from) = filter.created_from {
            range = range.add(uploads::Column::CreatedAt.gte(first_millisecond(from)));
        }
        if let Some(before) = filter.created_before {
            range = range.add(uploads::Column::CreatedAt.lt(first_millisecond(before)));
        }
        if let Some(cursor) = cursor {
            let Some(last) = uploads::Entity::find_by_id(cursor.get()).one(&self.db).await? else {
                return Ok(Vec::new());
            };
            // The first condition is the range of the index. The second one leaves out uploads of the same millisecond.
            let older = Condition::any()
                .add(uploads::Column::CreatedAt.lt(last.created_at))
                .add(uploads::Column::Id.lt(last.id));
            range = range.add(uploads::Column::CreatedAt.lte(last.created_at)).add(older);
        }
        // Each query reads one range of an index, whatever the table holds. There is no index without the kind and the
        // state, because each index costs every upload a write. So there is a query for each kind and state.
        let kinds = filter.kind.map_or_else(|| UploadKind::ALL.to_vec(), |kind| vec![kind]);
        let states = filter.state.map_or_else(|| UploadState::ALL.to_vec(), |state| vec![state]);
        let mut found = Vec::new();
        for kind in kinds {
            for state in &states {
                let page = uploads::Entity::find()
                    .filter(uploads::Column::Kind.eq(kind.as_str()))
                    .filter(uploads::Column::State.eq(state.as_str()))
                    .filter(range.clone())
                    .order_by_desc(uploads::Column::CreatedAt)
                    .order_by_desc(uploads::Column::Id)
                    .limit(limit);
                found.extend(page.all(&self.db).await?);
            }
        }
        found.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.id)));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        found.into_iter().map(convert::upload).collect()
    }
}

/// The first millisecond at this time or later, because the records have whole milliseconds.
fn first_millisecond(time: Timestamp) -> i64 {
    let rounded_down = time.as_millisecond();
    if convert::timestamp(rounded_down) < time { rounded_down + 1 } else { rounded_down }
}
