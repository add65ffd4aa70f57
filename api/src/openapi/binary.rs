//! The schema of raw bytes in the OpenAPI document.

use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// Raw bytes of the type that is named beside them. `Vec<u8>` would be a list of numbers to a generated client.
pub(crate) struct Binary;

impl PartialSchema for Binary {
    fn schema() -> RefOr<Schema> {
        let bytes =
            ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
        bytes.into()
    }
}

impl ToSchema for Binary {}
