//! A JSON object whose members are all different. Most parsers keep one of two members with the
//! same name, but not all of them keep the same one. So a repeated name is an error (RFC 8259,
//! section 4).

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// The members in their order. Names that differ only in blanks at their ends count as equal.
#[derive(Debug, Default)]
pub(crate) struct JsonObject(pub(crate) Vec<(String, Value)>);

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct JsonObjectVisitor;
        impl<'de> Visitor<'de> for JsonObjectVisitor {
            type Value = JsonObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonObject, A::Error> {
                let mut members: Vec<(String, Value)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.iter().any(|(known, _)| known.trim() == name.trim()) {
                        return Err(serde::de::Error::custom(format!("\"{:.40}\" is repeated", name.trim())));
                    }
                    members.push((name, value));
                }
                Ok(JsonObject(members))
            }
        }
        from.deserialize_map(JsonObjectVisitor)
    }
}
