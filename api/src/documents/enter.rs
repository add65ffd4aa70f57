//! Who may go on. The order of what is looked at is the contract's: credentials, file, role, and only then the rest of the
//! request.

use upload::{File, FileId, FileRole, Right};

use super::call::Call;
use super::refusal::{Deed, Refusal};
use super::visitor::Visitor;

/// Somebody at a file, who may do what they came for.
pub(crate) struct Visit {
    pub(crate) file: File,
    pub(crate) visitor: Visitor,
    /// What gives them the role.
    pub(crate) right: Right,
}

impl Call {
    /// Whoever calls, whatever they may.
    pub(crate) async fn visitor(&self) -> Result<Visitor, Refusal> {
        self.grammar()?;
        Visitor::of(self).await
    }

    /// Lets whoever has at least this role in at the file in the address.
    pub(crate) async fn enter(&self, deed: Deed, least: FileRole) -> Result<Visit, Refusal> {
        let visitor = self.visitor().await?;
        let id = self.id.parse().map_err(|_| Refusal::no_file())?;
        self.let_in(visitor, &id, deed, least).await
    }

    /// Lets somebody in at a file.
    pub(crate) async fn let_in(
        &self,
        visitor: Visitor,
        id: &FileId,
        deed: Deed,
        least: FileRole,
    ) -> Result<Visit, Refusal> {
        let records = &self.desk.places.records;
        let file = records.file(id).await?.ok_or_else(Refusal::no_file)?;
        // The credentials in the contract's order: the first that is enough counts.
        for right in &visitor.rights {
            if records.file_role(id, right).await?.is_some_and(|role| role >= least) {
                let right = right.clone();
                return Ok(Visit { file, visitor, right });
            }
        }
        Err(Refusal::privileges(deed, &visitor.name, id))
    }
}
